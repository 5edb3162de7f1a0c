"""The inputs of a model that keeps the shapes of its first call, although it may take pictures of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.tracing.compiled import from_shapes

OTHER = (32, 64)  # rows and columns by which the pictures of a second size are larger


def trained_at(model: Any, first: tuple[int | None, int | None]) -> tuple[int | None, int | None] | None:
    """(height, width) of the pictures that a model was called on first, if that is the size that it was trained at."""
    return first if _keeps_first_shape(model) and None not in first and _was_trained(model) else None


def _keeps_first_shape(model: Any) -> bool:
    """Whether the shapes of a model's inputs are those of the data that it was called on first."""
    known = getattr(model, "inputs", None)
    return not known or (isinstance(model, keras.Sequential) and known[0].shape[0] is not None)


def _was_trained(model: Any) -> bool:
    """Whether a model was compiled and has been trained since."""
    optimizer = getattr(model, "optimizer", None)
    return optimizer is not None and int(optimizer.iterations) > 0


def of_any_size(model: Any, inputs: Sequence[InputInfo], run: Callable[[list[Any]], Any]) -> tuple[InputInfo, ...]:
    """The same inputs, their pictures of any size if the model keeps the shapes of its first call but takes others.

    Args:
        model: the Keras model.
        inputs: as the first call left them.
        run: the model, on a tensor for each input; it is traced by shapes, nothing is computed.
    """
    if not _keeps_first_shape(model):
        return tuple(inputs)
    freed = tuple(_without_size(info) if _may_vary(info) else info for info in inputs)
    larger = [_larger(info) if _may_vary(info) else info.model_shape for info in inputs]
    takes_others = all(_takes(inputs, shapes, run) for shapes in (larger, [info.model_shape for info in freed]))
    return freed if takes_others else tuple(inputs)


def _takes(inputs: Sequence[InputInfo], shapes: Sequence[Any], run: Callable[[list[Any]], Any]) -> bool:
    """Whether the model can be traced for inputs of these shapes, and has a fixed number of scores."""

    def trace() -> bool:
        outputs = run(
            [tf.raw_ops.Placeholder(dtype=i.dtype, shape=[None, *s]) for i, s in zip(inputs, shapes, strict=True)]
        )
        return all(one.shape[-1] is not None for one in keras.tree.flatten(outputs) if one.shape.rank == 2)

    try:
        return from_shapes(trace)
    except Exception:  # whatever a layer raises that takes one size only
        return False


def _may_vary(info: InputInfo) -> bool:
    return info.is_picture and info.inner_shape is None


def _without_size(info: InputInfo) -> InputInfo:
    return replace(info, shape=_with_sides(info, (None, None)))


def _larger(info: InputInfo) -> tuple[int | None, ...]:
    return _with_sides(info, tuple(None if n is None else n + more for n, more in zip(info.size, OTHER, strict=True)))


def _with_sides(info: InputInfo, sides: Sequence[int | None]) -> tuple[int | None, ...]:
    return (info.shape[0], *sides) if info.channels_first else (*sides, info.shape[-1])
