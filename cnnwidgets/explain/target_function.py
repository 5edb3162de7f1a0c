"""A user's function of the model's output as a target: called inside a graph, one number for each picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnwidgets.errors import BadTarget, CnnWidgetsError, quoted
from cnnwidgets.model.backend import tf

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


def failed(error: Exception, given: Any = None) -> BadTarget:
    """The error for a function that raised one."""
    line = _first_line(error)
    text = f"{type(error).__name__}: {line}" if line else type(error).__name__
    got = "" if given is None else f" It was given {_described(given)}, as symbolic tensors: use TensorFlow operations."
    return BadTarget(f"The target function raised {text.rstrip('.')}.{got}")


def _number(function: Callable[[Any], Any], given: Any) -> Any:
    try:
        value = function(given)
    except CnnWidgetsError:
        raise
    except Exception as error:  # the user's code can raise anything
        raise failed(error, given) from error
    value = _as_float(value)
    shape = value.shape
    if shape.rank and any(n != 1 for n in shape[1:]) and not all(n == 1 for n in shape):
        raise BadTarget(f"The target function returned the shape {quoted(tuple(shape))}. {RETURN_ONE}")
    return value


def _as_float(value: Any) -> Any:
    try:
        tensor = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        tensor = None
    if tensor is None or not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
        raise BadTarget(f"The target function returned {quoted(value)}, which is not a number. {RETURN_ONE}")
    return tf.cast(tensor, tf.float32)


def _is_single(value: Any) -> bool:
    """Whether its shape is that of one number for any batch."""
    return value.shape.rank is not None and all(n == 1 for n in value.shape)


def _first_line(error: Exception) -> str:
    """The informative line; TensorFlow adds a report of the graph before and after it."""
    lines = [line.strip() for line in str(error).partition("[[{{")[0].splitlines() if line.strip()]
    if not lines:
        return ""
    return (lines[-1] if isinstance(error, tf.errors.OpError) else lines[0])[:200]


def _described(given: Any) -> str:
    if isinstance(given, Mapping):
        return f"a dict of {', '.join(map(repr, given))}"
    if isinstance(given, (list, tuple)):
        return f"a {type(given).__name__} of {len(given)} outputs"
    return f"one output of the shape {tuple(given.shape)}"
