"""Layers by path, a LayerInfo for each, and those that verbs take and panels offer if none is named."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cnnwidgets.errors import BadTarget, nearest, quoted
from cnnwidgets.model.backend import keras
from cnnwidgets.model.keras_internals import layer_tree
from cnnwidgets.model.recording import Recording

if TYPE_CHECKING:
    from cnnwidgets.model.prepared_model import PreparedModel

_L = keras.layers
_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("model", (keras.Model,)),
    ("input", (_L.InputLayer,)),
    ("conv", (_L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose,
              _L.DepthwiseConv1D, _L.DepthwiseConv2D, _L.SeparableConv1D, _L.SeparableConv2D)),
    ("dense", (_L.Dense, _L.EinsumDense)),
    ("activation", (_L.Activation, _L.ReLU, _L.LeakyReLU, _L.PReLU, _L.ELU, _L.Softmax)),
    ("pooling", (_L.MaxPooling1D, _L.MaxPooling2D, _L.MaxPooling3D, _L.AveragePooling1D, _L.AveragePooling2D,
                 _L.AveragePooling3D, _L.GlobalAveragePooling1D, _L.GlobalAveragePooling2D, _L.GlobalAveragePooling3D,
                 _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D, _L.GlobalMaxPooling3D)),
    ("normalization", (_L.BatchNormalization, _L.LayerNormalization, _L.GroupNormalization, _L.UnitNormalization,
                       _L.SpectralNormalization, _L.RMSNormalization)),
    ("merge", (_L.Concatenate, _L.Add, _L.Subtract, _L.Multiply, _L.Average, _L.Maximum, _L.Minimum, _L.Dot)),
)  # fmt: skip
_ATTENTION = (_L.MultiHeadAttention, _L.GroupQueryAttention, _L.Attention, _L.AdditiveAttention)


@dataclass(frozen=True)
class LayerInfo:
    """One layer, as `net.layers` lists it.

    Attributes:
        path: its name, nested ones as "backbone/conv5".
        kind: "conv" "activation" "pooling" "normalization" "dense" "merge" "input" "model" or "other".
        output_shape: of its first call, without the batch; `None` where it follows the picture.
        units: the length of its channel axis (channels of a convolution, units of a dense layer), 0 if it has none.
        parameters: how many weights it holds.
        calls: how often one run of the whole model calls it.
    """

    path: str
    kind: str
    output_shape: tuple[int | None, ...]
    units: int
    parameters: int
    calls: int
    channel_axis: int = field(default=-1, repr=False)
    in_attention: bool = field(default=False, repr=False)

    @property
    def is_spatial(self) -> bool:
        """Whether its output has rows and columns; the axes inside an attention layer are tokens and heads."""
        return len(self.output_shape) == 3 and not self.in_attention

    @property
    def is_of_tokens(self) -> bool:
        """Whether its output may be tokens, [tokens, channels], such as a vision transformer's."""
        return len(self.output_shape) == 2 and self.output_shape[0] != 1 and not self.in_attention


def kind_of(layer: Any) -> str:
    """The kind of a Keras layer, one of LayerInfo's words."""
    return next((kind for kind, types in _KINDS if isinstance(layer, types)), "other")


def by_path(model: Any) -> dict[str, Any]:
    """Every layer of a model by its path, outer before inner, layers inside custom layers too."""
    prefixes, found = {id(model): ""}, dict[str, Any]()
    for parent, layer in layer_tree(model):
        path = _free_name(prefixes[id(parent)] + layer.name, found)
        prefixes[id(layer)] = path + "/"
        found[path] = layer
    return found


def _free_name(path: str, taken: Container[str]) -> str:
    """The path itself; `path#2` and so on where a subclassed model gives two layers one name."""
    candidates = itertools.chain([path], (f"{path}#{i}" for i in itertools.count(2)))
    return next(c for c in candidates if c not in taken)


def find(path: object, paths: Iterable[str]) -> str:
    """The full path that is meant: the path itself, or an unambiguous last part of it.

    Raises:
        BadTarget: with the nearest paths, or with the candidates where the last part is ambiguous.
    """
    every = list(paths)
    if isinstance(path, str):
        if path in every:
            return path
        ends = [p for p in every if p.endswith("/" + path)]
        if len(ends) == 1:
            return ends[0]
        if ends:
            raise BadTarget(f"There are {len(ends)} layers {quoted(path)}. Name one of: {', '.join(ends[:10])}.")
    if (given := getattr(path, "path", None)) in every:  # a LayerInfo, or a layer of Keras
        raise BadTarget(f"A layer is named by its path, got {quoted(path)}. Give {quoted(given)}.")
    raise BadTarget(f"There is no layer {quoted(path)}. Choose one of this network's layers ({nearest(path, every)}).")


def describe(layers: dict[str, Any], recording: Recording) -> tuple[LayerInfo, ...]:
    """List the layers, with shapes and calls taken from one recorded run."""
    usual = "channels_first" if any(map(_is_channels_first, layers.values())) else "channels_last"
    attention = tuple(path + "/" for path, layer in layers.items() if isinstance(layer, _ATTENTION))
    return tuple(
        replace(_info(path, layer, recording.calls.get(path, []), usual), in_attention=path.startswith(attention))
        for path, layer in layers.items()
    )


def _is_channels_first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _info(path: str, layer: Any, outputs: list[Any], usual: str) -> LayerInfo:
    shape = tuple(getattr(outputs[0], "shape", ()))[1:] if outputs else ()
    if isinstance(layer, _L.InputLayer):  # Keras does not call these
        shape = tuple(layer.batch_shape)[1:]
    # An activation or a sum has no data format: it keeps that of the convolutions around it.
    first = getattr(layer, "data_format", usual) == "channels_first" and len(shape) == 3
    axis = 1 if first else -1
    units = (shape[0] if first else shape[-1]) if shape else 0
    return LayerInfo(
        path=path,
        kind=kind_of(layer),
        output_shape=shape,
        units=int(units or 0),
        parameters=int(layer.count_params()) if layer.built else 0,
        calls=len(outputs),
        channel_axis=axis,
    )


def layers_with_units(net: PreparedModel) -> list[LayerInfo]:
    """All layers with units that a run calls; inputs are not called."""
    return [info for info in net.layers if info.units and info.calls]


def spatial_layers(net: PreparedModel) -> list[str]:
    """Paths of the layers with units whose output has rows and columns."""
    return [info.path for info in layers_with_units(net) if info.is_spatial]


def map_layers(net: PreparedModel) -> list[str]:
    """The same, and layers of tokens: the patches of a vision transformer have rows and columns too."""
    return [info.path for info in layers_with_units(net) if info.is_spatial or info.is_of_tokens]


def convolutions(net: PreparedModel, call: int = 0) -> list[str]:
    """Paths of the convolutions with rows and columns that have this call."""
    return [info.path for info in net.layers if info.kind == "conv" and info.is_spatial and info.calls > call]


def convolutions_of_any_axes(net: PreparedModel) -> list[LayerInfo]:
    """All convolutions, also those over one axis or three."""
    return [info for info in layers_with_units(net) if info.kind == "conv"]


def last_convolution(net: PreparedModel) -> str:
    """The path of the last convolution; without one, of the last layer with units."""
    found = convolutions(net) or [info.path for info in layers_with_units(net)]
    if not found:
        raise BadTarget(f"{net!r} has no layer with units. Give a convolutional network.")
    return found[-1]
