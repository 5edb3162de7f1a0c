"""The value of a target for a batch of pictures, computed inside a graph from the outputs of a call.

A user's function is called there, and returns one number for each picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.targets import NOWHERE, TOP, Chosen, Reading, Target
from cnnwidgets.model.backend import tf
from cnnwidgets.model.fast_means import scores_without_map
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import OutputInfo, logits_of
from cnnwidgets.model.recording import Recording
from cnnwidgets.model.tracing import user_function

TINY = 1e-30  # of a probability whose logarithm is taken
FUNCTION = "The target function"
RETURN_ONE = "Return one number for each picture of the batch, such as lambda output: output[:, 7]."


def read_target(net: Network, target: Target, outputs: Sequence[Any], recording: Recording, chosen: Chosen) -> Reading:
    """The target of each picture, inside a graph."""
    if target.function is not None:
        one = [outputs[target.output]]
        given, nested = (list(outputs), net.as_returned) if target.takes_all else (one, lambda flat: flat[0])
        value = _values(target.function, given, nested)
        nothing = tf.fill(tf.shape(value), float("nan"))
        return Reading(value, tf.fill(tf.shape(value), TOP), nothing, nothing[:, None, None])
    scores = _scores(net, target, outputs, recording)
    units, where = _units_and_positions(scores, net.outputs[target.output], chosen)  # [N], [N, h, w]
    each = scores.each(units)
    value = _of_units(target, scores, each)
    if target.against:
        value -= tf.reduce_mean(tf.gather(scores.flat, chosen.classes[1:], axis=1), -1, keepdims=True)
    return Reading(_mean(value, where), units, _mean(_probability(scores, each), where), where)


def read_runner_up(
    net: Network, target: Target, outputs: Sequence[Any], recording: Recording, reading: Reading
) -> tuple[Any, Any]:
    """[N] class with the highest score besides the target's own, at the same positions, and [N] its number."""
    scores = _scores(net, target, outputs, recording)
    means = tf.einsum("nhwk,nhw->nk", scores.rows, reading.where)
    is_own = tf.one_hot(reading.unit, tf.shape(means)[1], True, False)
    units = tf.argmax(tf.where(is_own, tf.constant(-np.inf, means.dtype), means), -1, tf.int32)
    return units, _mean(_of_units(target, scores, scores.each(units)), reading.where)


class _Scores(NamedTuple):
    """Logits of each position.

    Attributes:
        rows: [N, h, w, K].
        flat: [N * h * w, K].
        squashed_by: the function after them.
    """

    rows: Any
    flat: Any
    squashed_by: str

    def each(self, units: Any) -> Any:
        """[N * h * w, 1]: the unit of each picture, [N], for each of its positions."""
        if _is_one_position(self.rows):
            return units[:, None]
        return tf.repeat(units, tf.shape(self.rows)[1] * tf.shape(self.rows)[2])[:, None]


def _is_one_position(rows: Any) -> bool:
    """Whether [N, h, w, ...] has one row and one column."""
    return tuple(rows.shape[1:3]) == (1, 1)


def _scores(net: Network, target: Target, outputs: Sequence[Any], recording: Recording) -> _Scores:
    info = net.outputs[target.output]
    logits, squashed_by = logits_of(info, outputs[target.output], recording)
    squashed_by = "sigmoid" if info.is_decision else squashed_by
    logits = tf.cast(scores_without_map(recording, logits), tf.float32)
    rows = _rows(logits, info.is_decision)
    return _Scores(rows, rows[:, 0, 0] if _is_one_position(rows) else _flat(rows), squashed_by)


def _flat(rows: Any) -> Any:  # [N, h, w, K] -> [N * h * w, K]
    return tf.reshape(rows, [-1, tf.shape(rows)[-1]])


def _of_units(target: Target, scores: _Scores, each: Any) -> Any:  # [N * h * w, 1] -> [N * h * w, 1]
    """The number of a unit at each position."""
    if target.of == "log_odds" and scores.squashed_by != "sigmoid" and scores.rows.shape[-1] != 1:
        return _log_odds(scores.flat, each, scores.squashed_by)
    return tf.gather(scores.flat, each, batch_dims=1)


def _probability(scores: _Scores, each: Any) -> Any:  # [N * h * w, 1] -> [N * h * w, 1]
    if scores.squashed_by == "sigmoid":
        return tf.sigmoid(tf.gather(scores.flat, each, batch_dims=1))
    if scores.squashed_by:
        return tf.gather(tf.nn.softmax(scores.flat), each, batch_dims=1)
    return tf.fill(tf.shape(each), float("nan"))


def _rows(logits: Any, is_decision: bool) -> Any:  # [N, ..., K] -> [N, h, w, K]
    """Logits as rows and columns, one of each where the output is not dense, the mean over the positions of a sequence.

    One sigmoid is evidence for its class 1 and against its class 0.
    """
    logits = tf.concat([-logits, logits], -1) if is_decision else logits
    if logits.shape.rank == 4:
        return logits
    return tf.reduce_mean(logits, list(range(1, logits.shape.rank - 1)))[:, None, None]


def _units_and_positions(scores: _Scores, info: OutputInfo, chosen: Chosen) -> tuple[Any, Any]:
    """[N] class of each picture, and [N, h, w] how much each position counts: all of them where none predicts it."""
    rows, flat, squashed_by = scores
    is_dense = info.is_class_scores and rows.shape.rank == 4 and len(info.shape) == 3
    if _is_one_position(rows) and not is_dense:
        return _top_if_open(flat, chosen), tf.ones_like(rows[..., 0])
    given = tf.reduce_max(chosen.where) > 0
    part = tf.image.resize(chosen.where[None, ..., None], tf.shape(rows)[1:3], "area")[..., 0]  # [1, h, w]
    part = tf.where(given, tf.repeat(part, tf.shape(rows)[0], 0), 1.0)  # [N, h, w]
    if not is_dense:
        shown = rows
    elif squashed_by == "sigmoid" and not info.is_decision:
        shown = tf.cast(rows > 0, tf.float32)  # each class is decided on its own
    else:
        shown = tf.one_hot(tf.argmax(rows, -1, tf.int32), rows.shape[-1])
    units = _top_if_open(tf.einsum("nhwk,nhw->nk", shown, part), chosen)  # [N]
    if not is_dense:
        return units, part
    predicted = tf.gather(tf.transpose(shown, [0, 3, 1, 2]), units, batch_dims=1)  # [N, h, w]
    is_nowhere = tf.reduce_max(predicted, [1, 2], keepdims=True) <= 0
    return units, tf.where(given, part, tf.where(is_nowhere, NOWHERE, predicted))


def _top_if_open(scores: Any, chosen: Chosen) -> Any:  # [N, K] -> [N]
    """The class that is chosen; the highest of each picture where none is."""
    return tf.where(chosen.classes[0] < 0, tf.argmax(scores, -1, tf.int32), chosen.classes[0])


def _mean(values: Any, where: Any) -> Any:  # [N * h * w, 1], [N, h, w] -> [N]
    if _is_one_position(where):
        return values[:, 0]
    return tf.einsum("nhw,nhw->n", tf.reshape(values, tf.shape(where)), where) / tf.reduce_sum(where, [1, 2])


def _log_odds(logits: Any, units: Any, squashed_by: str) -> Any:  # [N, K], [N, M] -> [N, M]
    """log(p / (1 - p)) of classes behind a softmax, without the rounding of p near 1."""
    if not squashed_by:  # a mean of softmaxes, for example: probabilities whose logits are not in the graph
        is_distribution = (tf.abs(tf.reduce_sum(logits, -1) - 1) < 1e-3) & tf.reduce_all(logits >= 0, -1)
        logits = tf.where(is_distribution[:, None], tf.math.log(tf.clip_by_value(logits, TINY, 1 / TINY)), logits)
    is_unit = tf.one_hot(units, tf.shape(logits)[-1], True, False)  # [N, M, K]
    others = tf.where(is_unit, tf.constant(-np.inf, logits.dtype), logits[:, None])
    return tf.gather(logits, units, batch_dims=1) - tf.reduce_logsumexp(others, -1)


def _values(function: Callable[[Any], Any], flat: Sequence[Any], nested: Callable[[list[Any]], Any]) -> Any:
    """The function's number for each picture, float32 [N], inside a graph.

    A function that mixes the pictures of a batch into one number, such as `tf.reduce_mean` or `lambda y: y[0, 3]`, is
    called for each picture alone, in a batch of one.

    Args:
        function: takes the output and returns one number for each picture, or one number where there is one picture.
        flat: the outputs that it is given, each [N, ...].
        nested: puts them into the structure that the function gets.

    Raises:
        BadTarget: for a function that fails, or returns anything else.
    """
    value = _number(function, nested(list(flat)))
    if not _is_single(value):
        return tf.reshape(value, [-1])

    def of_one_picture(parts: Sequence[Any]) -> Any:
        return tf.reshape(_number(function, nested([part[None] for part in parts])), [])

    # Not tf.map_fn, whose loop would hide which outputs matter and where a gradient is cut.
    return tf.vectorized_map(of_one_picture, list(flat), warn=False)


def _number(function: Callable[[Any], Any], given: Any) -> Any:
    value = user_function.called(FUNCTION, function, given, RETURN_ONE)
    shape = value.shape
    if shape.rank and any(n != 1 for n in shape[1:]) and not all(n == 1 for n in shape):
        raise BadTarget(f"{FUNCTION} returned the shape {quoted(tuple(shape))}. {RETURN_ONE}")
    return value


def _is_single(value: Any) -> bool:
    """Whether its shape is that of one number for any batch."""
    return value.shape.rank is not None and all(n == 1 for n in value.shape)
