"""Texts of an AdversarialPanel: bars, captions, conclusions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.base import markup
from cnnwidgets.visualize.adversarial import AdversarialFrame

LIKELY = 5  # classes that are shown as bars
Lines = Sequence[Prediction]


def bars(frame: AdversarialFrame, believed: Lines) -> str:
    """The most probable classes, the target, and the top class of the photograph, as HTML bars."""
    wanted = frame.class_index
    kept = {wanted, *(line.index for line in believed[:1])}
    shown = [line for rank, line in enumerate(frame.predictions) if rank < LIKELY or line.index in kept]
    at = next((place for place, line in enumerate(shown) if line.index == wanted), None)
    return markup.bars([(line.name, line.probability) for line in shown], at, "The most probable classes")


def before(believed: Lines) -> str:
    """The caption of the photograph: its text equivalent."""
    return f"Before: the network predicts {top(believed)}" if believed else "The photograph"


def after(frame: AdversarialFrame) -> str:
    """The caption of the perturbed picture."""
    return f"After step {frame.step} of {frame.steps}: the network predicts {top(frame.predictions)}"


def difference(frame: AdversarialFrame) -> str:
    """The caption of the difference."""
    change = np.abs(frame.pictures - frame.original)
    share = markup.percent(float((change > 0).any(-1).mean()))
    most = levels(float(change.max()))
    return f"What was added, 20 times stronger; gray means no change: at most {most} of 255, in {share} of the pixels"


def levels(epsilon: float) -> str:
    """A share 0..1 as text, in gray levels."""
    count = round(255 * epsilon)
    return f"{count} gray level" if count == 1 else f"{count} gray levels"


def top(predictions: Lines) -> str:
    """The top class with its probability."""
    return f"{predictions[0].name}, {markup.percent(predictions[0].probability)}"


def conclusion(frame: AdversarialFrame, believed: Lines, epsilon: float) -> str:
    """Whether the network was fooled, and what to try next."""
    budget = levels(epsilon)
    if frame.succeeded:
        return (
            f"Fooled within {budget}: {top(believed)}, became {top(frame.predictions)}. "
            "Look at the difference, then save it as JPEG: does it survive?"
        )
    name, share = _of_wanted(frame.predictions, frame.class_index)
    return f"Not fooled within {budget}: {name} is at {share}. Try a larger budget, more steps or another method."


def after_jpeg(predictions: Lines, frame: AdversarialFrame, quality: int) -> str:
    """What survives a JPEG file."""
    if not frame.succeeded:
        result = "The network was not fooled before either"
    elif (predictions[0].index == frame.class_index) == frame.is_targeted:
        result = "The perturbation survives"
    else:
        result = "The perturbation does not survive"
    name, share_after = _of_wanted(predictions, frame.class_index)
    _, share_before = _of_wanted(frame.predictions, frame.class_index)
    return (
        f"As JPEG of quality {quality} the network predicts {top(predictions)}. "
        f"{result}: {name} goes from {share_before} to {share_after}."
    )


def of_another(name: str, photograph: Lines, perturbed: Lines) -> str:
    """The prediction of another network for the same picture, in two sentences."""
    is_moved = photograph[0].index != perturbed[0].index
    result = (
        f"The perturbation changes its prediction too, from {photograph[0].name}"
        if is_moved
        else "It is not fooled: it predicts the same for the photograph"
    )
    return f"{name} predicts {top(perturbed)}. {result}."


def _of_wanted(predictions: Lines, wanted: int) -> tuple[str, str]:
    return next((line.name, markup.percent(line.probability)) for line in predictions if line.index == wanted)
