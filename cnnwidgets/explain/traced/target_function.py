"""A user's function of the model's output as a target: called inside a graph, one number for each picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing import user_function

NAME = "The target function"
RETURN_ONE = "Return one number for each picture of the batch, such as lambda output: output[:, 7]."


def values(function: Callable[[Any], Any], flat: Sequence[Any], nested: Callable[[list[Any]], Any]) -> Any:
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
    value = user_function.called(NAME, function, given, RETURN_ONE)
    shape = value.shape
    if shape.rank and any(n != 1 for n in shape[1:]) and not all(n == 1 for n in shape):
        raise BadTarget(f"{NAME} returned the shape {quoted(tuple(shape))}. {RETURN_ONE}")
    return value


def _is_single(value: Any) -> bool:
    """Whether its shape is that of one number for any batch."""
    return value.shape.rank is not None and all(n == 1 for n in value.shape)
