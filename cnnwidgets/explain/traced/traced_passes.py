"""Passes through a network for heatmaps, as functions to be traced.

Each takes the inputs of `net.call` and returns tensors. A pass from a layer on replaces the output of the layer's call
by given activations; TensorFlow then drops the earlier part of the graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from cnnwidgets.errors import BadModel, BadTarget, quoted
from cnnwidgets.explain.targets import Reading, Target
from cnnwidgets.explain.traced import guided_relu as guided_relu_
from cnnwidgets.explain.traced.target_reading import read_runner_up, read_target
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.layers import spatial_layers
from cnnwidgets.model.network import Network
from cnnwidgets.model.recording import Instead, Recording

Pass = Callable[..., Any]
OTHER_METHODS = "Choose a method without gradients: score_cam, ablation_cam, eigen_cam, or occlusion, rise."


def activations(net: Network, path: str) -> Pass:
    """`f(feed)`: the output of each call of a layer, float32 [N, h, w, C], or [N, tokens, C]."""

    def run(feed: Any) -> Any:
        with net.record([path]) as recording:
            net.call(feed)
        return _maps(net, path, recording)

    return run


def _maps(net: Network, path: str, recording: Recording) -> list[Any]:
    """What `activations` returns, of a recorded run."""
    found = [recording.activation(path, call) for call in range(len(recording.calls[path]))]
    for one in found:
        if one.shape.rank not in (3, 4):
            raise BadTarget(why_no_map(net, path, tuple(one.shape)[1:]))
    return found


def unit_activations(net: Network, path: str) -> Pass:
    """`f(feed)`: the output of each call of a layer, with any axes, float32 [N, positions, 1, units]."""

    def run(feed: Any) -> Any:
        with net.record([path]) as recording:
            net.call(feed)
        return [_in_positions(recording.activation(path, call)) for call in range(len(recording.calls[path]))]

    return run


def class_scores(net: Network, output: int) -> Pass:
    """`f(feed)`: the logits of an output, [N, ..., K]."""
    return lambda feed: net.logits(feed, output)


def values(net: Network, target: Target) -> Pass:
    """`f(feed, chosen)`: the target's Reading."""

    def run(feed: Any, chosen: Any) -> Reading:
        with net.record(activations=True) as recording:
            return read_target(net, target, net.call(feed), recording, chosen)

    return run


def backward(net: Network, target: Target, guided: bool) -> tuple[Pass, list[bool]]:
    """`f(feed, chosen, scale)`: the Reading, its gradient by each picture, and the Guidance.

    Returns:
        The pass, and a list which holds after tracing whether any gradient comes through to each picture.
    """
    comes_through: list[bool] = []

    def run(feed: Any, chosen: Any, scale: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        with guided_relu_.guided_relus(graph) if guided else contextlib.nullcontext():
            reading = values(net, target)(feed, chosen)
        pictures = [feed[i] for i in net.picture_inputs]
        guidance = guided_relu_.survey(graph, pictures, reading.value) if guided else guided_relu_.Guidance()
        return reading, _gradients(reading.value, pictures, scale, comes_through), tf.constant(guidance, tf.int32)

    return run, comes_through


def backward_to(
    net: Network, path: str, call: int, target: Target, tokens: Sequence[int] = (), is_compared: bool = False
) -> tuple[Pass, list[bool]]:
    """`f(feed, activation, chosen, scale)`: as `backward`, with respect to the output of one call of a layer.

    Args:
        net: the network.
        path: the layer's full path.
        call: which of its calls.
        target: what is read.
        tokens: for a layer of tokens, the token of each cell of the activation; others stay as they are.
        is_compared: whether the class that comes next to the target's, [1], and its gradient are returned too.
    """
    comes_through: list[bool] = []

    def run(feed: Any, activation: Any, chosen: Any, scale: Any) -> Any:
        with net.record([path], True, _instead(net, path, call, activation, tokens)) as recording:
            read = _read(net, target, net.call(feed), recording, chosen, is_compared)
        return _by_layer(*read, activation, scale, comes_through)

    return run, comes_through


def forward_and_backward(
    net: Network, path: str, call: int, target: Target, is_compared: bool = False
) -> tuple[Pass, list[bool]]:
    """`f(feed, chosen, scale)`: what `activations` returns, and what `backward_to` returns for one of the calls.

    The gradient of tokens is that of every token, [1, tokens, C].
    """
    comes_through: list[bool] = []

    def run(feed: Any, chosen: Any, scale: Any) -> Any:
        sources: list[Any] = []

        def watched(output: Any) -> Any:
            leaves = keras.tree.flatten(output)
            is_first = leaves[0].shape.rank == 4 and net.layer(path).channel_axis == 1
            cells = tf.cast(leaves[0], tf.float32)
            sources.append(tf.transpose(cells, [0, 2, 3, 1]) if is_first else cells)
            cells = tf.cast(sources[0], leaves[0].dtype)
            leaves[0] = tf.transpose(cells, [0, 3, 1, 2]) if is_first else cells
            return keras.tree.pack_sequence_as(output, leaves)

        with net.record([path], True, {(path, call): watched}) as recording:
            read = _read(net, target, net.call(feed), recording, chosen, is_compared)
        return _maps(net, path, recording), _by_layer(*read, sources[0], scale, comes_through)

    return run, comes_through


def without(net: Network, path: str, call: int, target: Target, tokens: Sequence[int] = ()) -> Pass:
    """`f(feed, activation, channels, chosen)`: the Reading without each channel [N] of the activation [1, ...]."""

    def run(feed: Any, activation: Any, channels: Any, chosen: Any) -> Reading:
        keep = 1.0 - tf.one_hot(channels, tf.shape(activation)[-1])  # [N, C]
        copies = [tf.repeat(tensor, tf.shape(channels)[0], 0) for tensor in feed]
        return _from(net, path, call, target, copies, activation * keep[:, None, None, :], chosen, tokens)

    return run


def values_at(net: Network, path: str, call: int, target: Target, tokens: Sequence[int] = ()) -> Pass:
    """`f(feed, activations, chosen)`: the Reading for each activation [N, h, w, C] of one call of a layer."""

    def run(feed: Any, activations: Any, chosen: Any) -> Reading:
        copies = [tf.repeat(tensor, tf.shape(activations)[0], 0) for tensor in feed]
        return _from(net, path, call, target, copies, activations, chosen, tokens)

    return run


def _from(
    net: Network, path: str, call: int, target: Target, feed: Any, activation: Any, chosen: Any, tokens: Sequence[int]
) -> Reading:
    """The target with this activation as the output of a layer's call."""
    with net.record([path], True, _instead(net, path, call, activation, tokens)) as recording:
        return read_target(net, target, net.call(feed), recording, chosen)


def _instead(net: Network, path: str, call: int, activation: Any, tokens: Sequence[int]) -> Instead:
    """Put an activation in the place of the output of a layer's call."""

    def changed(output: Any) -> Any:
        leaves = keras.tree.flatten(output)
        cells = tf.cast(activation, leaves[0].dtype)
        has = _as_layer_has_it
        put = _in_tokens(leaves[0], cells, tokens) if tokens else has(net, path, cells, leaves[0])
        put.set_shape(leaves[0].shape)  # layers behind may have to know it
        leaves[0] = put
        return keras.tree.pack_sequence_as(output, leaves)

    return {(path, call): changed}


def _read(
    net: Network, target: Target, outputs: Sequence[Any], recording: Recording, chosen: Any, is_compared: bool
) -> tuple[Reading, tuple[Any, ...]]:
    """The target, and where it is compared the class that comes next and its number."""
    reading = read_target(net, target, outputs, recording, chosen)
    return reading, read_runner_up(net, target, outputs, recording, reading) if is_compared else ()


def _by_layer(
    reading: Reading, runner_up: tuple[Any, ...], activation: Any, scale: Any, comes_through: list[bool]
) -> tuple[Any, ...]:
    """What `backward_to` returns."""
    guidance = tf.constant(guided_relu_.Guidance(), tf.int32)
    found = reading, _gradients(reading.value, [activation], scale, comes_through), guidance
    if not runner_up:
        return found
    unit, value = runner_up
    return *found, unit, *_gradients(value, [activation], scale, [])


def _gradients(read: Any, sources: Sequence[Any], scale: Any, comes_through: list[bool]) -> list[Any]:
    """float32 gradients of the values' sum; zeros, and False in the flags, for a source that none reaches."""
    try:
        found = tf.gradients(tf.reduce_sum(read) * scale, list(sources))
    except LookupError as error:  # TensorFlow: "No gradient defined for operation ..."
        raise BadModel(f"A part of the model has no gradient ({error}). {OTHER_METHODS}") from error
    comes_through[:] = [gradient is not None for gradient in found]
    return [
        tf.zeros_like(source) if gradient is None else tf.cast(tf.convert_to_tensor(gradient), tf.float32) / scale
        for source, gradient in zip(sources, found, strict=True)
    ]


def _in_positions(x: Any) -> Any:  # [N, ..., C] -> [N, positions, 1, C]
    positions = tf.reduce_prod(tf.shape(x)[1:-1])  # 1 for [N, C]
    return tf.reshape(x, [tf.shape(x)[0], positions, 1, x.shape[-1]])


def _as_layer_has_it(net: Network, path: str, x: Any, like: Any) -> Any:  # [N, h, w, C] -> as the layer has it
    is_first = net.layer(path).channel_axis == 1
    if x.shape[2] == 1:  # positions that are not in rows and columns: see `unit_activations`
        shape = tf.gather(tf.shape(like), [0, 2, 3, 1]) if is_first else tf.shape(like)
        x = tf.reshape(x, tf.concat([tf.shape(x)[:1], shape[1:]], 0))
    return tf.transpose(x, [0, 3, 1, 2]) if is_first else x


def _in_tokens(output: Any, cells: Any, tokens: Sequence[int]) -> Any:  # [N, T, C], [N, h, w, C] -> [N, T, C]
    rows = tf.reshape(cells, [tf.shape(cells)[0], len(tokens), output.shape[-1]])
    places = tf.constant(tokens)[:, None]
    return tf.transpose(
        tf.tensor_scatter_nd_update(tf.transpose(output, [1, 0, 2]), places, tf.transpose(rows, [1, 0, 2])), [1, 0, 2]
    )


def why_no_map(net: Network, path: str, shape: tuple[int | None, ...]) -> str:
    """Why there is no map of a layer, and which layers have one."""
    having = [other for other in spatial_layers(net) if other != path]
    whose = " of the picture" if len(shape) == 3 else ""  # those of its parts, as under TimeDistributed
    exist = "This network has none; use attribution."
    if having:
        exist = f"Choose one that has: {', '.join(having[-5:])}; or use attribution."
    return f"The layer {quoted(path)} has no rows and columns{whose}: its output has the shape {shape}. {exist}"
