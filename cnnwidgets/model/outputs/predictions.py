"""Predictions: a number for each class or value of an output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadModel
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.outputs import class_names
from cnnwidgets.model.outputs.output_info import OutputInfo
from cnnwidgets.model.outputs.without_units import Kept, forward_without
from cnnwidgets.model.tracing.compiled import compiled

if TYPE_CHECKING:
    from cnnwidgets.model.network import Network


class Prediction(NamedTuple):
    """One line of `net.predict`: class index, name, and probability 0..1.

    Of a dense output [H, W, C] of class scores, `probability` is the share of pixels whose top class this is. Of an
    output that is not class scores, `name` says what the number is ("value of output 'distance'", "value 3 of output
    'embedding'") and `probability` is that number itself; the lines are in the output's own order.
    """

    index: int  # type: ignore[assignment]  # a tuple's own method of that name is not missed
    name: str
    probability: float


def best(net: Network, arrays: Sequence[Array], index: int, top: int, kept: Kept) -> list[Prediction]:
    """The most probable classes of an output, best first; all numbers in their own order if it has no classes.

    Args:
        net: the network.
        arrays: a batch of one for each input.
        index: of the output.
        top: how many, at most.
        kept: the units that are not set to zero, as `kept_units` returns them.

    Raises:
        BadPicture: for pictures that are too small for this network.
        BadModel: for a network whose weights or output are not finite.
    """
    feed = [tf.constant(array) for array in arrays]
    net.check_room(feed)
    net.check_weights()
    output = net.outputs[index]
    scores = np.asarray(_outputs(net, feed, kept)[index], np.float64)[0]
    if not np.isfinite(scores).all():
        raise BadModel(net.why_not_finite())
    numbers = class_numbers(np.moveaxis(scores, 0, -1) if output.channels_first else scores, output)
    order = np.argsort(-numbers, kind="stable") if output.is_class_scores else np.arange(len(numbers))
    names = net.class_names
    return [Prediction(int(i), class_names.name_of(int(i), output, names), float(numbers[i])) for i in order[:top]]


def _outputs(net: Network, feed: list[Any], kept: Kept) -> list[Any]:
    """The outputs of a network without the units that are not kept."""
    if not kept:
        return net.traces.get(lambda: compiled(net.call))(feed)  # type: ignore[no-any-return]
    paths = tuple(sorted(kept))
    forward = net.traces.get(lambda: compiled(forward_without(net, paths)))
    return forward(feed, [tf.constant(kept[path]) for path in paths])  # type: ignore[no-any-return]


def class_numbers(scores: Array, output: OutputInfo) -> Array:
    """A number for each class or value of an output [..., K]: see `Prediction`."""
    rows = scores.reshape(-1, scores.shape[-1] if scores.ndim else 1)  # [positions, K]
    if output.kind == "classes" and len(output.shape) == 3 and output.squashed_by != "sigmoid":
        return np.bincount(rows.argmax(1), minlength=rows.shape[1]) / len(rows)
    if output.is_decision and not output.squashed_by:
        rows = 1 / (1 + np.exp(-rows))
    mean = rows.mean(0)
    return _probabilities(mean, output) if output.is_class_scores else np.asarray(mean)


def _probabilities(scores: Array, output: OutputInfo) -> Array:
    """Softmax of logits; what is a distribution already stays as it is, and so does a plain number."""
    if output.is_decision:
        return np.array([1 - scores[0], scores[0]])
    if output.squashed_by == "log_softmax":
        return np.asarray(np.exp(scores))
    is_distribution = scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2
    if output.squashed_by or scores.size == 1 or is_distribution:
        return scores
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())
