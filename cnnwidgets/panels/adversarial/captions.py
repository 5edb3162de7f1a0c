"""What an AdversarialPanel says in words about what it shows: bars, captions, conclusions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnwidgets.model.network import Prediction
from cnnwidgets.panels.base import markup
from cnnwidgets.visualize.adversarial import AdversarialFrame

LIKELY = 5  # classes that are shown as bars
Lines = Sequence[Prediction]


def bars(frame: AdversarialFrame, believed: Lines) -> str:
    """The most probable classes, the one that the nudge is about, and what the photograph itself is, as HTML."""
    wanted = frame.class_index
    kept = {wanted, *(line.index for line in believed[:1])}
    shown = [line for rank, line in enumerate(frame.predictions) if rank < LIKELY or line.index in kept]
    at = next((place for place, line in enumerate(shown) if line.index == wanted), None)
    return markup.bars([(line.name, line.probability) for line in shown], at, "The most probable classes")


def before(believed: Lines) -> str:
    """What stands under the photograph: its text equivalent."""
    return f"Before: the network predicts {top(believed)}" if believed else "The photograph"


def after(frame: AdversarialFrame) -> str:
    """What stands under the nudged picture."""
    return f"After step {frame.step} of {frame.steps}: the network predicts {top(frame.predictions)}"


def difference(frame: AdversarialFrame) -> str:
    """What stands under the difference."""
    change = np.abs(frame.pictures - frame.original)
    share = markup.percent(float((change > 0).any(-1).mean()))
    most = levels(float(change.max()))
    return f"What was added, 20 times stronger, where gray is nothing: at most {most} of 255, in {share} of the pixels"


def levels(epsilon: float) -> str:
    """A share 0..1 in gray levels, as a person says it."""
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
    return f"Not fooled within {budget}: {name} is at {share}. Give a larger budget, more steps or another method."


def after_jpeg(predictions: Lines, frame: AdversarialFrame, quality: int) -> str:
    """What survives a JPEG file."""
    if not frame.succeeded:
        verdict = "The network was not fooled before either"
    elif (predictions[0].index == frame.class_index) == frame.is_targeted:
        verdict = "The nudge survives"
    else:
        verdict = "The nudge does not survive"
    name, share_after = _of_wanted(predictions, frame.class_index)
    _, share_before = _of_wanted(frame.predictions, frame.class_index)
    return (
        f"As JPEG of quality {quality} the network predicts {top(predictions)}. "
        f"{verdict}: {name} goes from {share_before} to {share_after}."
    )


def of_another(name: str, photograph: Lines, nudged: Lines) -> str:
    """What another network says to the same picture."""
    is_moved = photograph[0].index != nudged[0].index
    verdict = (
        f"The nudge moves it too, from {photograph[0].name}"
        if is_moved
        else "It is not fooled, it predicted the same before"
    )
    return f"{name} predicts {top(nudged)}. {verdict}."


def _of_wanted(predictions: Lines, wanted: int) -> tuple[str, str]:
    return next((line.name, markup.percent(line.probability)) for line in predictions if line.index == wanted)
