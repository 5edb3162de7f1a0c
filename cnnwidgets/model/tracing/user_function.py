"""A function of the user's that is called inside a graph: its number as a tensor, its error in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnwidgets.errors import BadTarget, CnnWidgetsError, quoted
from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing.compiled import line_of

_RETURN_BATCH = "Return the whole batch [N, H, W, C], such as lambda pictures: pictures / 255."


def called(name: str, function: Callable[[Any], Any], given: Any, advice: str) -> Any:
    """What it returns, float32.

    Args:
        name: what it is called in messages, such as "The target function".
        function: the user's.
        given: its one argument.
        advice: what it should return, a sentence.

    Raises:
        BadTarget: for a function that fails, or returns what is not numbers.
    """
    return tf.cast(tensor_of(name, function, given, advice), tf.float32)


def preprocessed(function: Callable[[Any], Any], pictures: Any, takes: Sequence[int | None]) -> Any:
    """What a preprocessing makes of a batch [N, H, W, C] in 0..255, in the type that it returns.

    Args:
        function: the user's.
        pictures: the batch.
        takes: (height, width, channels) that the network takes, `None` for any.

    Raises:
        BadTarget: for a function that fails, or returns anything but as many pictures that the network takes.
    """
    name = "The preprocess function"
    tensor = tensor_of(name, function, pictures, _RETURN_BATCH)
    if tensor.shape.is_compatible_with([pictures.shape[0], *takes]):
        return tensor
    got = f"{name} made the shape {quoted(tuple(tensor.shape))} of {quoted(tuple(pictures.shape))}"
    size = "" if None in takes else f"{takes[0]} x {takes[1]} pixels and "
    raise BadTarget(f"{got}, and the network takes {size}{takes[2]} channels. {_RETURN_BATCH}")


def tensor_of(name: str, function: Callable[[Any], Any], given: Any, advice: str) -> Any:
    """As `called`, in the type that the function returns."""
    try:
        value = function(given)
    except CnnWidgetsError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise failed(name, error, given) from error
    try:
        tensor = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        tensor = None
    if tensor is None or not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
        raise BadTarget(f"{name} returned {quoted(value)}, which is not a number. {advice}")
    return tensor


def failed(name: str, error: BaseException, given: Any = None) -> BadTarget:
    """The message for a function that raised an error."""
    line = line_of(error)
    text = f"{type(error).__name__}: {line}" if line else type(error).__name__
    got = "" if given is None else f" It was given {_described(given)}, as symbolic tensors: use TensorFlow operations."
    return BadTarget(f"{name} raised {text.rstrip('.')}.{got}")


def _described(given: Any) -> str:
    if isinstance(given, Mapping):
        return f"a dict of {', '.join(map(repr, given))}"
    if isinstance(given, (list, tuple)):
        return f"a {type(given).__name__} of {len(given)} outputs"
    return f"one tensor of the shape {tuple(given.shape)}"
