"""How a model is run: at rest, with nothing of a traced call left behind, and for what Keras alone cannot trace."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cnnwidgets.compute.backend import keras, tf
from cnnwidgets.compute.layers import TRACING, wrap


@contextlib.contextmanager
def floats_stay(model: Any) -> Iterator[None]:
    """Let a model that takes whole numbers take floats as they are, so that a gradient passes its first cast."""

    def keeping(convert: Any) -> Any:
        @functools.wraps(convert)
        def wrapped(flat: list[Any]) -> Any:
            return [given if given.dtype.is_floating else made for given, made in zip(flat, convert(flat), strict=True)]

        return wrapped

    with TRACING, contextlib.ExitStack() as restore:
        for part in model._flatten_layers():
            if isinstance(part, keras.Sequential):  # it casts what it is called with, before its layers see it
                wrap(part, "_convert_input_args", lambda _: False, restore)
            for owner in (part, getattr(part, "_functional", None)):
                if hasattr(owner, "_convert_inputs_to_tensors"):
                    wrap(owner, "_convert_inputs_to_tensors", keeping, restore)
        yield


@contextlib.contextmanager
def losses_stay(model: Any) -> Iterator[None]:
    """Keep the losses that layers hold from the user's last call: a traced call would leave tensors of its graph."""
    with TRACING:
        held = [(layer, list(layer._losses)) for layer in model._flatten_layers()]
        try:
            yield
        finally:
            for layer, losses in held:
                layer._losses[:] = losses


@contextlib.contextmanager
def sizes_stay_open(model: Any) -> Iterator[None]:
    """Let upsampling between pixels be traced for pictures of any size: Keras asks there for the size as a number."""

    def resizing(by_keras: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(by_keras)
        def wrapped(x: Any, high: int, wide: int, data_format: str, interpolation: str = "nearest") -> Any:
            first = data_format == "channels_first"
            if interpolation == "nearest" or None not in (x.shape[2:] if first else x.shape[1:3]):
                return by_keras(x, high, wide, data_format, interpolation=interpolation)
            x = tf.transpose(x, [0, 2, 3, 1]) if first else x
            x = tf.image.resize(x, tf.shape(x)[1:3] * [high, wide], interpolation)
            return tf.transpose(x, [0, 3, 1, 2]) if first else x

        return wrapped

    with TRACING, contextlib.ExitStack() as restore:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.UpSampling2D) and hasattr(layer, "_resize_images"):
                wrap(layer, "_resize_images", resizing, restore)
        yield


@contextlib.contextmanager
def nothing_recomputed(model: Any) -> Iterator[None]:
    """Let what was built in a keras.RematScope run once, as any other layer.

    A layer that is recomputed on the way back lies in a graph inside the graph, to which no gradient leads from
    outside; its results are the same.
    """
    parts = (part for layer in model._flatten_layers() for part in (layer, *_operations(layer)))
    with TRACING, contextlib.ExitStack() as restore:
        for part in parts:
            if part.__dict__.get("_remat_mode") is not None:
                wrap(part, "_remat_mode", lambda _: None, restore)
        yield


def _operations(layer: Any) -> Sequence[Any]:
    """What a Functional model runs: its layers, and functions such as `keras.ops.relu`."""
    functional = getattr(layer, "_functional", None) or layer
    return getattr(functional, "operations", None) or ()
