"""Layers by path, and the one mechanism that sees what they put out.

`record` wraps `layer.call` on the instance for the length of a `with` and restores it. It works eagerly and inside
`tf.function`, gives one activation for each call of a shared layer and needs no model surgery, so Functional,
Sequential, nested, shared, multi-input and subclassed models are all the same to it.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cnnwidgets.errors import BadTarget, nearest, quoted
from cnnwidgets.model.backend import keras

TRACING = threading.RLock()  # one at a time: a cell's verb may run while a panel climbs
_active: contextvars.ContextVar[Recording | None] = contextvars.ContextVar("recording", default=None)

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
_ELEMENTWISE = (_L.ReLU, _L.LeakyReLU, _L.PReLU, _L.ELU, _L.Softmax)
_ATTENTION = (_L.MultiHeadAttention, _L.GroupQueryAttention, _L.Attention, _L.AdditiveAttention)
# Layers that only move or gather values: what stands before an activation can be followed through them.
_MOVERS = (_L.Concatenate, _L.MaxPooling2D, _L.AveragePooling2D, _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D,
           _L.Flatten, _L.Reshape, _L.Permute, _L.Dropout, _L.SpatialDropout2D, _L.Identity, _L.ZeroPadding2D,
           _L.Cropping2D, _L.UpSampling2D)  # fmt: skip
_LINEAR = (_L.Conv2D, _L.DepthwiseConv2D, _L.BatchNormalization, _L.Add)  # these exactly: a subclass may do anything


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


def walk(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer of a model with its path, outer before inner, layers inside custom layers too."""
    seen: dict[int, None] = {}
    names: set[str] = set()

    def inner(parent: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        children = parent.layers if isinstance(parent, keras.Model) else parent._layers
        for layer in children:
            if id(layer) in seen or not isinstance(layer, keras.Layer):
                continue
            seen[id(layer)] = None
            path = _free_name(prefix + layer.name, names)
            yield path, layer
            yield from inner(layer, path + "/")

    yield from inner(model, prefix)


def _free_name(path: str, taken: set[str]) -> str:
    """The path itself; `path#2` and so on where a subclassed model gives two layers one name."""
    candidates = itertools.chain([path], (f"{path}#{i}" for i in itertools.count(2)))
    free = next(c for c in candidates if c not in taken)
    taken.add(free)
    return free


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
    raise BadTarget(f"There is no layer {quoted(path)}. Choose one of this network's layers ({nearest(path, every)}).")


class _Enough(BaseException):
    """All that was waited for is recorded. No Exception, since Keras and AutoGraph put words around those."""


class Recording:
    """What the layers of one run put out.

    Attributes:
        calls: for each path the outputs in the order of the calls.
        order: (path, output) of every recorded call, in the order Keras ran them.
    """

    def __init__(
        self,
        instead: Mapping[tuple[str, int], Callable[[Any], Any]] | None = None,
        until: Iterable[tuple[str, int]] = (),
    ) -> None:
        """Start empty; `instead` and `until` are those of `record`."""
        self._instead, self._awaited = instead or {}, set(until)
        self.calls: dict[str, list[Any]] = {}
        self.order: list[tuple[str, Any]] = []
        # id(after) -> (after, before, function): keeps `after` alive, and with it its id
        self._before: dict[int, tuple[Any, Any, str]] = {}
        self._makers: dict[int, tuple[Any, Any, Any]] = {}  # id(made) -> (made, layer, inputs), likewise

    def add(self, path: str, output: Any) -> Any:
        """Note what one call put out, and say what the model goes on with."""
        call = path, len(self.calls.get(path, ()))
        change = self._instead.get(call)
        output = change(output) if change else output
        self.calls.setdefault(path, []).append(output)
        self.order.append((path, output))
        if call in self._awaited:
            self._awaited.remove(call)
            if not self._awaited:
                raise _Enough
        return output

    def set_before(self, after: Any, before: Any, function: str) -> None:
        """Note what stood before the activation function that made `after`."""
        self._before[id(after)] = (after, before, function)

    def before_activation(self, tensor: Any) -> Any:
        """The tensor before its last activation function; the tensor itself where there was none."""
        return self._before.get(id(tensor), (None, tensor))[1]

    def activation_of(self, tensor: Any) -> str:
        """The name of the activation function that made this tensor; "" where there was none."""
        return self._before.get(id(tensor), (None, None, ""))[2]

    def set_maker(self, made: Any, layer: Any, inputs: Any) -> None:
        """Note the layer that made a tensor, before any activation function, and from what."""
        if made is not inputs:  # a dropout at rest hands on what it got
            self._makers[id(made)] = (made, layer, inputs)

    def maker_of(self, tensor: Any) -> tuple[Any, Any]:
        """The linear or moving layer that made a tensor, and from what; `(None, None)` where it was another one."""
        return self._makers.get(id(tensor), (None, None, None))[1:]


@contextlib.contextmanager
def record(
    layers: dict[str, Any],
    watch: Iterable[str],
    activations: bool = False,
    instead: Mapping[tuple[str, int], Callable[[Any], Any]] | None = None,
    until: Iterable[tuple[str, int]] = (),
) -> Iterator[Recording]:
    """Record what the watched layers put out while the body runs the model.

    Open it only while one step is traced or called, never across a `yield`. With `until`, the body is left as soon as
    these calls are recorded: what lies behind them need not be traced.

    Args:
        layers: every layer of the model by path, from `walk`.
        watch: the paths to record.
        activations: also note what stands before each activation function, through concatenation and pooling.
        instead: for a (watched path, call) a function of that call's output; the model goes on with what it returns.
        until: (watched path, call) of each call that is waited for; all of them if there is none.
    """
    recording = Recording(instead, until)
    with TRACING, contextlib.ExitStack() as restore:
        if activations:
            for layer in layers.values():
                _watch_activation(layer, recording, restore)
        for path in watch:
            wrap(layers[path], _entry(layers[path]), functools.partial(_noting, path, recording), restore)
        token = _active.set(recording)
        try:
            with contextlib.suppress(_Enough):
                yield recording
        finally:
            _active.reset(token)


def _entry(layer: Any) -> str:
    """The method that Keras runs: a quantized layer has one of its own."""
    return "quantized_call" if getattr(layer, "quantization_mode", None) else "call"


def wrap(owner: Any, name: str, wrapper: Callable[[Any], Any], restore: contextlib.ExitStack) -> None:
    """Shadow an attribute on the instance, behind Keras' own bookkeeping, and put back exactly what was there."""
    had, old = name in owner.__dict__, owner.__dict__.get(name)
    owner.__dict__[name] = wrapper(getattr(owner, name))

    def put_back() -> None:
        if had:
            owner.__dict__[name] = old
        else:
            del owner.__dict__[name]

    restore.callback(put_back)


def _noting(path: str, recording: Recording, call: Any) -> Any:
    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        if _active.get() is recording:  # another thread that runs the same model is not recorded
            return recording.add(path, output)
        return output

    return wrapped


def _watch_activation(layer: Any, recording: Recording, restore: contextlib.ExitStack) -> None:
    """Let a layer tell the recording what stood before its activation function."""

    def noting_before(function: Any, name: str = "") -> Any:
        @functools.wraps(function)
        def wrapped(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            output = function(inputs, *args, **kwargs)
            if _active.get() is recording and output is not inputs:
                recording.set_before(output, inputs, name or getattr(function, "__name__", "activation"))
            return output

        return wrapped

    def moving_before(call: Any) -> Any:
        @functools.wraps(call)
        def wrapped(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(inputs, *args, **kwargs)
            if _active.get() is not recording:
                return output
            functions = [recording.activation_of(part) for part in keras.tree.flatten(inputs)]
            if any(functions):
                moved = keras.tree.map_structure(recording.before_activation, inputs)
                before = call(moved, *args, **kwargs)
                recording.set_before(output, before, max(functions))
                recording.set_maker(before, layer, moved)
            else:
                recording.set_maker(output, layer, inputs)
            return output

        return wrapped

    def noting_maker(call: Any) -> Any:
        @functools.wraps(call)
        def wrapped(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(inputs, *args, **kwargs)
            if _active.get() is recording:
                recording.set_maker(recording.before_activation(output), layer, inputs)
            return output

        return wrapped

    if type(layer) in _LINEAR:
        wrap(layer, "call", noting_maker, restore)
    if isinstance(layer, _MOVERS):
        wrap(layer, "call", moving_before, restore)
    elif isinstance(layer, _ELEMENTWISE):
        name = type(layer).__name__.lower()  # "softmax", "relu"
        wrap(layer, "call", functools.partial(noting_before, name=name), restore)
    elif _has_activation(layer):
        wrap(layer, "activation", noting_before, restore)


def _has_activation(layer: Any) -> bool:
    function = getattr(layer, "activation", None)
    return callable(function) and function is not keras.activations.linear and not isinstance(layer, keras.Model)


def describe(layers: dict[str, Any], recording: Recording) -> tuple[LayerInfo, ...]:
    """List the layers, with shapes and calls taken from one recorded run.

    Args:
        layers: every layer by path, from `walk`.
        recording: of all of them.
    """
    usual = "channels_first" if any(map(_is_channels_first, layers.values())) else "channels_last"
    attention = tuple(path + "/" for path, layer in layers.items() if isinstance(layer, _ATTENTION))
    return tuple(
        replace(_info(path, layer, recording.calls.get(path, []), usual), in_attention=path.startswith(attention))
        for path, layer in layers.items()
    )


def _is_channels_first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _info(path: str, layer: Any, outputs: list[Any], usual: str) -> LayerInfo:
    flat = keras.tree.flatten(outputs[0]) if outputs else []
    shape = tuple(flat[0].shape)[1:] if flat and hasattr(flat[0], "shape") else ()
    if isinstance(layer, _L.InputLayer):  # Keras does not call these
        shape = tuple(layer.batch_shape)[1:]
    # An activation or a sum has no data format of its own: it keeps that of the convolutions around it.
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
