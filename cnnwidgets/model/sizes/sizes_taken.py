"""The sizes of pictures that a model takes: that of its first call, any, or multiples of a number.

All are found by tracing the model for other shapes; nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.outputs.output_info import tensors_of
from cnnwidgets.model.tracing.compiled import from_shapes

OTHER = (32, 64)  # rows and columns by which the pictures of a second size are larger
USUAL = 128  # pixels: sides near this one are tried
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)  # networks that join maps of several resolutions, such as U-Nets, need 2^n
_ENLARGING = (keras.layers.UpSampling2D, keras.layers.Conv2DTranspose)

Run = Callable[[list[Any]], Any]  # the model, on a tensor for each input


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


def of_any_size(model: Any, inputs: Sequence[InputInfo], run: Run) -> tuple[InputInfo, ...]:
    """The same inputs, their pictures of any size if the model keeps the shapes of its first call but takes others.

    Args:
        model: the Keras model.
        inputs: as the first call left them.
        run: the model, on a tensor for each input; it is traced by shapes, nothing is computed.
    """
    if not _keeps_first_shape(model):
        return tuple(inputs)
    freed = tuple(replace(i, shape=_with_sides(i, (None, None))) if _may_vary(i) else i for i in inputs)
    larger = [_larger(info) if _may_vary(info) else info.model_shape for info in inputs]
    every = [[[None, *shape] for shape in shapes] for shapes in (larger, [info.model_shape for info in freed])]
    made = [_output_shapes(inputs, shapes, run) for shapes in every]
    has_scores = all(one is not None and all(s[-1] is not None for s in one if s.rank == 2) for one in made)
    return freed if has_scores else tuple(inputs)


def _may_vary(info: InputInfo) -> bool:
    return info.is_picture and info.inner_shape is None


def _larger(info: InputInfo) -> tuple[int | None, ...]:
    return _with_sides(info, tuple(None if n is None else n + more for n, more in zip(info.size, OTHER, strict=True)))


def _with_sides(info: InputInfo, sides: Sequence[int | None]) -> tuple[int | None, ...]:
    return (info.shape[0], *sides) if info.channels_first else (*sides, info.shape[-1])


# -- multiples


def with_multiples(inputs: Sequence[InputInfo], layers: Iterable[Any], run: Run) -> tuple[InputInfo, ...]:
    """The inputs, with what their sides must be multiples of, found by shapes alone.

    Args:
        inputs: of the model.
        layers: every layer; only where one may enlarge maps is anything tried.
        run: the model, on a tensor for each input.
    """
    is_open = any(info.is_picture and not info.is_fixed for info in inputs)
    if not is_open or not any(map(_may_enlarge, layers)):
        return tuple(inputs)
    found = next((multiple for multiple in MULTIPLES if _output_shapes(inputs, _odd_times(multiple, inputs), run)), 1)
    return tuple(replace(info, multiple=found) if info.is_picture else info for info in inputs)


def _may_enlarge(layer: Any) -> bool:
    return isinstance(layer, _ENLARGING) or not type(layer).__module__.startswith("keras.")


def _odd_times(multiple: int, inputs: Sequence[InputInfo]) -> list[Any]:
    """The shapes of one picture whose sides are this times an odd number."""
    side = multiple * (USUAL // multiple + 1)
    return [[1, *(n or (side if info.is_picture else 1) for n in info.model_shape)] for info in inputs]


def _output_shapes(inputs: Sequence[InputInfo], shapes: Sequence[Any], run: Run) -> list[Any] | None:
    """The shapes of the outputs for inputs of these shapes; `None` where the model cannot be traced for them."""

    def trace() -> list[Any]:
        given = [
            tf.raw_ops.Placeholder(dtype=one.dtype, shape=shape) for one, shape in zip(inputs, shapes, strict=True)
        ]
        return [output.shape for output in tensors_of(run(given))]

    try:
        return from_shapes(trace)
    except Exception:  # whatever a layer raises that takes one size only, or where two maps do not fit
        return None
