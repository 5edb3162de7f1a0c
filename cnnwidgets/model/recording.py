"""`record()`, which captures layer outputs during a call, and the Recording that holds them.

`record` wraps `layer.call` on the instance for the length of a `with` and restores it. It works eagerly and inside
`tf.function`, gives one activation for each call of a shared layer and needs no model surgery, so Functional,
Sequential, nested, shared, multi-input and subclassed models are all the same to it.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.keras_internals import TRACING, Shadow, shadowed

_L = keras.layers
_ELEMENTWISE = (_L.ReLU, _L.LeakyReLU, _L.PReLU, _L.ELU, _L.Softmax)
# Layers that only move or gather values: what stands before an activation can be followed through them.
_MOVERS = (_L.Concatenate, _L.MaxPooling2D, _L.AveragePooling2D, _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D,
           _L.Flatten, _L.Reshape, _L.Permute, _L.Dropout, _L.SpatialDropout2D, _L.Identity, _L.ZeroPadding2D,
           _L.Cropping2D, _L.UpSampling2D)  # fmt: skip
# These exactly: a subclass may do anything.
_LINEAR = (_L.Conv2D, _L.DepthwiseConv2D, _L.Dense, _L.BatchNormalization, _L.Add, _L.Rescaling)

Call = tuple[str, int]  # (path, number of the call)
Instead = Mapping[Call, Callable[[Any], Any]]

_active: contextvars.ContextVar[Recording | None] = contextvars.ContextVar("recording", default=None)


class _AllRecorded(BaseException):
    """Stops the run once every awaited call is recorded; Keras and AutoGraph would wrap an ordinary exception."""


class Recording:
    """The outputs of a model's layers during one run.

    Of a layer that returns several tensors the first is kept.

    Attributes:
        calls: for each path the output of each call, in the layer's own type and order of axes.
        order: (path, output) of every recorded call, in the order Keras ran them.
        inputs: what the model itself was called on, in its own order.
    """

    def __init__(
        self,
        instead: Instead | None = None,
        until: Iterable[Call] = (),
        channels_first: Container[str] = (),
    ) -> None:
        """Start empty; the arguments are those of `record`."""
        self._instead, self._awaited, self._channels_first = instead or {}, set(until), channels_first
        self.calls: dict[str, list[Any]] = {}
        self.order: list[tuple[str, Any]] = []
        self.inputs: list[Any] = []
        self._given: dict[str, list[Any]] = {}
        # id(after) -> (after, before, function): keeps `after` alive, and with it its id
        self._before: dict[int, tuple[Any, Any, str]] = {}
        self._makers: dict[int, tuple[Any, Any, Any]] = {}  # id(made) -> (made, layer, inputs), likewise
        self._movers: dict[int, tuple[Any, Any, Any]] = {}  # id(after) -> (after, layer, inputs), likewise

    def activation(self, path: str, call: int = 0, before: bool = False) -> Any:
        """The output of one call of a layer: float32 [N, h, w, C], channels last, or [N, ..., C].

        Args:
            path: a recorded layer.
            call: which of its calls.
            before: before its last activation function; needs `record(activations=True)`.
        """
        return tf.cast(self.made(path, call, before), tf.float32)

    def made(self, path: str, call: int = 0, before: bool = False) -> Any:
        """The same as the layer computed it, in its own precision."""
        found = self.calls[path][call]
        found = self.before_activation(found) if before else found
        if found.shape.rank == 4 and path in self._channels_first:
            found = tf.transpose(found, [0, 2, 3, 1])
        return found

    def given(self, path: str, call: int = 0) -> Any:
        """The first tensor that one call of a layer took in: float32, in the layer's own order of axes."""
        return tf.cast(self._given[path][call], tf.float32)

    def before_activation(self, tensor: Any) -> Any:
        """The tensor before its last activation function; the tensor itself where there was none."""
        return self._before.get(id(tensor), (None, tensor))[1]

    def activation_of(self, tensor: Any) -> str:
        """The name of the activation function that made this tensor; "" where there was none."""
        return self._before.get(id(tensor), (None, None, ""))[2]

    def maker_of(self, tensor: Any) -> tuple[Any, Any]:
        """The linear or moving layer that made a tensor, and its inputs; `(None, None)` for any other layer."""
        return self._makers.get(id(tensor), (None, None, None))[1:]

    def mover_of(self, tensor: Any) -> tuple[Any, Any]:
        """The moving layer that made a tensor of parts behind an activation function, and these; as `maker_of`."""
        return self._movers.get(id(tensor), (None, None, None))[1:]

    def _set_before(self, after: Any, before: Any, function: str) -> None:
        self._before[id(after)] = (after, before, function)

    def _set_maker(self, made: Any, layer: Any, inputs: Any) -> None:
        if made is not inputs:  # a dropout at inference returns its input
            self._makers[id(made)] = (made, layer, inputs)

    # What is noted of each call; a note returns the value that the model continues with.

    def shadows(self, layers: Iterable[Any], watched: Mapping[str, Any]) -> list[Shadow]:
        """The methods of layers, each with the notes of this recording.

        Args:
            layers: those whose activation functions are noted.
            watched: those whose outputs are recorded, by path.
        """
        found: dict[tuple[int, str], Shadow] = {}

        def note(layer: Any, name: str, what: Callable[..., Any], *given: Any) -> None:
            """Add a note; one method may have two, of which the later one gets what the earlier one returns."""
            function = found.get((id(layer), name), (layer, name, getattr(layer, name)))[2]
            found[id(layer), name] = layer, name, self._noted(function, functools.partial(what, *given))

        for layer in layers:
            if type(layer) in _LINEAR:
                note(layer, "call", self._note_maker, layer)
            if isinstance(layer, _MOVERS):
                note(layer, "call", self._note_moved, layer, layer.call)
            elif isinstance(layer, _ELEMENTWISE):
                note(layer, "call", self._note_activation, type(layer).__name__.lower())  # "softmax", "relu"
            elif _has_activation(layer):
                note(layer, "activation", self._note_activation, getattr(layer.activation, "__name__", "activation"))
        for path, layer in watched.items():
            # Keras runs another method of a quantized layer.
            name = "quantized_call" if getattr(layer, "quantization_mode", None) else "call"
            note(layer, name, self._note_output, path)
        return list(found.values())

    def _noted(self, function: Any, note: Callable[..., Any]) -> Any:
        """The function, and a note of each of its calls; another thread that runs the model meanwhile is not noted."""

        @functools.wraps(function)
        def noted(*args: Any, **kwargs: Any) -> Any:
            output = function(*args, **kwargs)
            return note(output, *args, **kwargs) if _active.get() is self else output

        return noted

    def _note_output(self, path: str, output: Any, *args: Any, **kwargs: Any) -> Any:
        call = path, len(self.calls.get(path, ()))
        self._given.setdefault(path, []).append(next(iter(keras.tree.flatten((args, kwargs))), None))
        change = self._instead.get(call)
        output = change(output) if change else output
        first = next(iter(keras.tree.flatten(output)), None)
        self.calls.setdefault(path, []).append(first)
        if first is not None:
            self.order.append((path, first))
        if call in self._awaited:
            self._awaited.remove(call)
            if not self._awaited:
                raise _AllRecorded
        return output

    def _note_activation(self, name: str, output: Any, inputs: Any, *_args: Any, **_kwargs: Any) -> Any:
        if output is not inputs:
            self._set_before(output, inputs, name)
        return output

    def _note_maker(self, layer: Any, output: Any, inputs: Any, *_args: Any, **_kwargs: Any) -> Any:
        self._set_maker(self.before_activation(output), layer, inputs)
        return output

    def _note_moved(self, layer: Any, call: Any, output: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        functions = [self.activation_of(part) for part in keras.tree.flatten(inputs)]
        if any(functions):
            moved = keras.tree.map_structure(self.before_activation, inputs)
            before = call(moved, *args, **kwargs)
            self._set_before(output, before, max(functions))
            if output is not inputs:
                self._movers[id(output)] = (output, layer, inputs)
            self._set_maker(before, layer, moved)
        else:
            self._set_maker(output, layer, inputs)
        return output


def note_inputs(tensors: Iterable[Any]) -> None:
    """Record what the model itself is called on, while a recording is open."""
    if (recording := _active.get()) is not None:
        recording.inputs = list(tensors)


def _has_activation(layer: Any) -> bool:
    function = getattr(layer, "activation", None)
    return callable(function) and function is not keras.activations.linear and not isinstance(layer, keras.Model)


@contextlib.contextmanager
def record(
    layers: dict[str, Any],
    watch: Iterable[str],
    activations: bool = False,
    instead: Instead | None = None,
    until: Iterable[Call] = (),
    channels_first: Container[str] = (),
) -> Iterator[Recording]:
    """Record the outputs of the watched layers while the body runs the model.

    Open it only while one step is traced or called, never across a `yield`. With `until`, the body is left as soon as
    these calls are recorded: what follows them need not be traced.

    Args:
        layers: every layer of the model by path.
        watch: the paths to record.
        activations: also note what stands before each activation function, through concatenation and pooling.
        instead: for a (watched path, call) a function of that call's output; the model continues with what it returns.
        until: (watched path, call) of each awaited call; all calls are recorded if there is none.
        channels_first: paths whose output has its channels before rows and columns.
    """
    recording = Recording(instead, until, channels_first)
    noted = layers.values() if activations else ()
    # Under the lock before methods are looked up: those that another thread's recording shadows would be kept.
    with TRACING, shadowed(recording.shadows(noted, {path: layers[path] for path in watch})):
        token = _active.set(recording)
        try:
            with contextlib.suppress(_AllRecorded):
                yield recording
        finally:
            _active.reset(token)
