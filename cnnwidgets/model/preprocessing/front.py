"""The front of a model: all that happens to a picture before the first weights that mix its numbers.

It is traced once and stops there, so that it costs little in a network of any depth. What arrives at the first kernel
is then computed for pictures of one color. Pruning leaves out everything else, assignments too: the model is unchanged.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model import keras_internals
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.keras_internals import changed, shadowed

SIDE = 128  # pixels of the pictures that are tried where any size is taken
_MIXING = {  # operations that mix numbers by a kernel
    "Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "MatMul", "BatchMatMulV2", "Einsum",
    "PartitionedCall", "StatefulPartitionedCall",
}  # fmt: skip


class _Reached(BaseException):
    """Stops the forward pass at the first weights. A BaseException because Keras wraps ordinary exceptions."""


@dataclass(frozen=True)
class Call:
    """One call of a layer in the front.

    Attributes:
        path: of the layer.
        layer: the layer itself.
        tensor: its first input.
        begin: how many operations the graph had before the call.
        end: and after it.
    """

    path: str
    layer: Any
    tensor: Any
    begin: int
    end: int


class Front:
    """What arrives at the first weights of a model, for each of its picture inputs.

    Args:
        model: a built Keras model.
        layers: its layers by path.
        inputs: what it takes.
        nest: gives flat inputs the structure in which the model takes them.
        as_floats: give floats where the model takes whole numbers.
        side: of the pictures, where any size is taken but a layer must know it beforehand.
    """

    def __init__(
        self,
        model: Any,
        layers: Mapping[str, Any],
        inputs: Sequence[InputInfo],
        nest: Callable[[Sequence[Any]], Any],
        as_floats: bool = True,
        side: int | None = None,
    ) -> None:
        """Trace the model up to its first weights; nothing is computed."""
        self._inputs, self._nest, self._layers = inputs, nest, layers
        self._dtypes = ["float32" if as_floats and i.is_picture and i.is_whole_numbers else i.dtype for i in inputs]
        self.calls: list[Call] = []
        self._parts: dict[tuple[int, int], Any] = {}
        pictures = [i for i, info in enumerate(inputs) if info.is_picture]
        floats_stay = keras_internals.floats_stay(model) if as_floats else contextlib.nullcontext()
        with keras_internals.losses_stay(model), keras_internals.sizes_stay_open(model), floats_stay:
            self._graph = tf.compat.v1.wrap_function(
                functools.partial(self._run, model, pictures), self._signature(side)
            )
        self._analysis.read()
        self.kernels = {i: self._analysis.kernels[i] for i in pictures if i in self._analysis.kernels}

    def _signature(self, side: int | None) -> list[Any]:
        shapes = [[None, *(n or (side if info.is_picture else 1) for n in info.model_shape)] for info in self._inputs]
        return [tf.TensorSpec(shape, dtype) for shape, dtype in zip(shapes, self._dtypes, strict=True)]

    def _run(self, model: Any, pictures: list[int], *flat: Any) -> Any:
        self._analysis = _Analysis(flat, pictures, model.weights)
        with self._watching(), contextlib.suppress(_Reached):
            model(self._nest(flat), training=False)
        return tf.constant(0.0)

    def _watching(self) -> contextlib.AbstractContextManager[None]:
        """Note the calls of all layers, and stop as soon as every picture has reached weights."""

        def noting(path: str, layer: Any, call: Any) -> Any:
            weighted = bool(layer.weights)

            @functools.wraps(call)
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                tensors = [t for t in keras.tree.flatten([args, kwargs]) if tf.is_tensor(t)]
                begin = self._analysis.size()
                output = call(*args, **kwargs)
                if tensors:
                    self.calls.append(Call(path, layer, tensors[0], begin, self._analysis.size()))
                if weighted and self._analysis.read():
                    raise _Reached
                return output

            return wrapped

        layers = self._layers.items()
        return shadowed(changed(layer, "call", functools.partial(noting, path, layer)) for path, layer in layers)

    def entry(self, which: int) -> str:
        """The path of the innermost layer that holds the first weights which an input reaches; "" for the model."""
        index = self._analysis.position(self.kernels[which].op)
        around = [call for call in self.calls if call.begin <= index < call.end]
        return min(around, key=lambda call: call.end - call.begin).path if around else ""

    def on_the_way(self, which: int) -> list[Call]:
        """The calls that an input passes before the first weights, in their order."""
        first = self._analysis.position(self.kernels[which].op)
        calls = [call for call in self.calls if call.begin < first and which in self._analysis.seen_by(call.tensor)]
        return sorted(calls, key=lambda call: call.begin)

    def passes(self, layer: Any) -> bool:
        return any(call.layer is layer for call in self.calls)

    def arriving(self, which: int, colors: Array, at: Any = None) -> Array:
        """What colors become at the first weights, in the middle of the picture: [colors, channels there].

        Args:
            which: the index of the input.
            colors: numbers as the model itself takes them, [colors, channels].
            at: another tensor of the front.
        """
        info = self._inputs[which]
        pictures = np.broadcast_to(colors[:, None, None], (len(colors), *self._spatial(info), info.channels))
        return _middle(self.run(which, pictures, at), at is None and self.kernels[which].channels_first)

    def _spatial(self, info: InputInfo) -> tuple[int, int]:
        rows, columns = info.size
        return rows or SIDE, columns or SIDE

    def random_picture(self, which: int) -> Array:
        """A picture of many colors, the same each time, [1, H, W, C] in 0..255."""
        info = self._inputs[which]
        return np.random.default_rng(0).uniform(0, 255, (1, *self._spatial(info), info.channels)).astype(np.float32)

    def run(self, which: int, pictures: Array, at: Any = None) -> Array:
        """What arrives for pictures [N, H, W, C], as the model itself takes them; the other inputs are zero."""
        tensor = self.kernels[which].data if at is None else at
        key = which, id(tensor)
        feeds = self._graph.inputs[: len(self._inputs)]
        if key not in self._parts:
            self._parts[key] = self._graph.prune(feeds, tensor)
        fed = [tf.zeros([len(pictures), *(n or SIDE for n in feed.shape[1:])], feed.dtype) for feed in feeds]
        info = self._inputs[which]
        ordered = pictures.transpose(0, 3, 1, 2) if info.channels_first else info.without_channels(pictures)
        fed[which] = tf.cast(tf.constant(ordered), feeds[which].dtype)
        numbers = np.asarray(tf.cast(self._parts[key](*fed), tf.float32), np.float64)
        # a dense layer on pixels gets them as rows of one matrix
        return numbers if len(numbers) == len(pictures) else numbers.reshape(len(pictures), -1, numbers.shape[-1])


def _middle(numbers: Array, channels_first: bool) -> Array:
    """The channels in the middle of what arrives, so that padding around a picture does not count: [N, channels]."""
    kept = 0, (1 if channels_first else numbers.ndim - 1)
    return numbers[tuple(slice(None) if i in kept else n // 2 for i, n in enumerate(numbers.shape))]


@dataclass(frozen=True)
class Kernel:
    """The first operation that mixes the numbers of a picture by weights.

    Attributes:
        op: the operation.
        data: the tensor that it takes besides its weights.
    """

    op: Any
    data: Any

    @property
    def channels_first(self) -> bool:
        """Whether the channels of what arrives are its second axis."""
        with contextlib.suppress(ValueError):
            return self.op.get_attr("data_format") in (b"NCHW", b"NCDHW")
        return False


class _Analysis:
    """Which operations of a graph see which inputs, and where each of these meets its first kernel."""

    def __init__(self, flat: Sequence[Any], pictures: Sequence[int], weights: Sequence[Any]) -> None:
        self._graph, self._pictures = flat[0].graph, pictures
        self._matrices = {id(weight.value.handle) for weight in weights if len(weight.shape) >= 2}
        self._sees: dict[Any, frozenset[int]] = {tensor.op: frozenset([i]) for i, tensor in enumerate(flat)}
        self._holds: dict[Any, bool] = {}  # whether an operation reads a variable
        self._positions: dict[Any, int] = {}
        self.kernels: dict[int, Kernel] = {}

    def size(self) -> int:
        """How many operations there are by now."""
        return len(self._graph.get_operations())

    def position(self, op: Any) -> int:
        """The index of an operation in the order of the graph."""
        return self._positions[op]

    def seen_by(self, tensor: Any) -> frozenset[int]:
        """The inputs that a tensor depends on."""
        return self._sees.get(getattr(tensor, "op", None), frozenset())

    def read(self) -> bool:
        """Go through the operations that are new; whether every picture has met a kernel."""
        operations = self._graph.get_operations()
        for op in operations[len(self._positions) :]:
            self._positions[op] = len(self._positions)
            before = [tensor.op for tensor in op.inputs]
            seen = frozenset().union(*(self._sees.get(one, frozenset()) for one in before))
            self._sees.setdefault(op, seen)
            self._holds[op] = op.type in ("ReadVariableOp", "ResourceGather") or any(self._holds[b] for b in before)
            if op.type in _MIXING:
                self._meet(op)
        return all(i in self.kernels for i in self._pictures)

    def _meet(self, op: Any) -> None:
        if not any(self._is_kernel(tensor) for tensor in op.inputs):
            return
        for tensor in op.inputs:
            for which in self.seen_by(tensor):
                self.kernels.setdefault(which, Kernel(op, tensor))

    def _is_kernel(self, tensor: Any) -> bool:
        """Whether these are weights of several axes, or the variable that holds them, for a function that reads it."""
        if tensor.dtype == tf.resource:
            return any(inner is tensor and id(outer) in self._matrices for outer, inner in self._graph.captures)
        return not self.seen_by(tensor) and self._holds[tensor.op] and (tensor.shape.rank or 0) >= 2
