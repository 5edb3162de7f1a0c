"""`record()`, which captures layer outputs during a call, and the Recording that holds them.

`record` wraps `layer.call` on the instance for the length of a `with` and restores it. It works eagerly and inside
`tf.function`, gives one activation for each call of a shared layer and needs no model surgery, so Functional,
Sequential, nested, shared, multi-input and subclassed models are all the same to it.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.before_activation import watch_activation
from cnnwidgets.model.keras_internals import TRACING, wrap

Call = tuple[str, int]  # (path, number of the call)
Instead = Mapping[Call, Callable[[Any], Any]]

_active: contextvars.ContextVar[Recording | None] = contextvars.ContextVar("recording", default=None)


class _Enough(BaseException):
    """Stops the run once every awaited call is recorded; Keras and AutoGraph would wrap an ordinary exception."""


class Recording:
    """The outputs of a model's layers during one run.

    Of a layer that returns several tensors the first is kept.

    Attributes:
        calls: for each path the output of each call, in the layer's own type and order of axes.
        order: (path, output) of every recorded call, in the order Keras ran them.
    """

    def __init__(
        self,
        instead: Instead | None = None,
        until: Iterable[Call] = (),
        is_channels_first: Callable[[str], bool] = lambda _path: False,
    ) -> None:
        """Start empty; the arguments are those of `record`."""
        self._instead, self._awaited, self._is_channels_first = instead or {}, set(until), is_channels_first
        self.calls: dict[str, list[Any]] = {}
        self.order: list[tuple[str, Any]] = []
        self._given: dict[str, list[Any]] = {}
        # id(after) -> (after, before, function): keeps `after` alive, and with it its id
        self._before: dict[int, tuple[Any, Any, str]] = {}
        self._makers: dict[int, tuple[Any, Any, Any]] = {}  # id(made) -> (made, layer, inputs), likewise

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
        if found.shape.rank == 4 and self._is_channels_first(path):
            found = tf.transpose(found, [0, 2, 3, 1])
        return found

    def given(self, path: str, call: int = 0) -> Any:
        """The first tensor that one call of a layer took in: float32, in the layer's own order of axes."""
        return tf.cast(self._given[path][call], tf.float32)

    def add(self, path: str, output: Any, inputs: Any = None) -> Any:
        """Store one call's output and inputs, and return the value that the model continues with."""
        call = path, len(self.calls.get(path, ()))
        self._given.setdefault(path, []).append(next(iter(keras.tree.flatten(inputs)), None))
        change = self._instead.get(call)
        output = change(output) if change else output
        first = next(iter(keras.tree.flatten(output)), None)
        self.calls.setdefault(path, []).append(first)
        if first is not None:
            self.order.append((path, first))
        if call in self._awaited:
            self._awaited.remove(call)
            if not self._awaited:
                raise _Enough
        return output

    @property
    def is_open_here(self) -> bool:
        """Whether the running call belongs to this recording: another thread that runs the model is not recorded."""
        return _active.get() is self

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
    instead: Instead | None = None,
    until: Iterable[Call] = (),
    is_channels_first: Callable[[str], bool] = lambda _path: False,
) -> Iterator[Recording]:
    """Record the outputs of the watched layers while the body runs the model.

    Open it only while one step is traced or called, never across a `yield`. With `until`, the body is left as soon as
    these calls are recorded: what lies behind them need not be traced.

    Args:
        layers: every layer of the model by path, from `walk`.
        watch: the paths to record.
        activations: also note what stands before each activation function, through concatenation and pooling.
        instead: for a (watched path, call) a function of that call's output; the model goes on with what it returns.
        until: (watched path, call) of each call that is waited for; all of them if there is none.
        is_channels_first: whether a path's output has its channels before rows and columns.
    """
    recording = Recording(instead, until, is_channels_first)
    with TRACING, contextlib.ExitStack() as restore:
        if activations:
            for layer in layers.values():
                watch_activation(layer, recording, restore)
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


def _noting(path: str, recording: Recording, call: Any) -> Any:
    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        return recording.add(path, output, (args, kwargs)) if recording.is_open_here else output

    return wrapped
