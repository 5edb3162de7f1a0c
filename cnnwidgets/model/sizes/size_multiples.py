"""Networks of any size that join maps of several resolutions, such as U-Nets: their sides must be multiples of 2^n."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.tracing.compiled import from_shapes

USUAL = 128  # pixels: sides near this one are tried
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
_ENLARGING = (keras.layers.UpSampling2D, keras.layers.Conv2DTranspose)


def with_multiples(
    inputs: Sequence[InputInfo], layers: Iterable[Any], run: Callable[[list[Any]], Any]
) -> tuple[InputInfo, ...]:
    """The inputs, with what their sides must be multiples of, found by shapes alone.

    Args:
        inputs: of the model.
        layers: every layer; only where one may enlarge maps is anything tried.
        run: the model, on a tensor for each input.
    """
    is_open = any(info.is_picture and not info.is_fixed for info in inputs)
    if not is_open or not any(map(_may_enlarge, layers)):
        return tuple(inputs)
    found = next((multiple for multiple in MULTIPLES if _takes(inputs, multiple, run)), 1)
    return tuple(replace(info, multiple=found) if info.is_picture else info for info in inputs)


def _may_enlarge(layer: Any) -> bool:
    return isinstance(layer, _ENLARGING) or not type(layer).__module__.startswith("keras.")


def _takes(inputs: Sequence[InputInfo], multiple: int, run: Callable[[list[Any]], Any]) -> bool:
    """Whether the model can be traced for sides that are this times an odd number."""
    side = multiple * (USUAL // multiple + 1)

    def trace() -> None:
        shapes = [[1, *(n or (side if info.is_picture else 1) for n in info.model_shape)] for info in inputs]
        run([tf.zeros(shape, info.dtype) for info, shape in zip(inputs, shapes, strict=True)])

    try:
        from_shapes(trace)
    except Exception:  # whatever a layer raises where two maps do not fit
        return False
    return True
