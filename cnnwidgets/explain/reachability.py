"""Reachability in a model's graph: the default layer to explain, and the reason why no gradient reaches a layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cnnwidgets.errors import BadTarget, CnnWidgetsError, quoted
from cnnwidgets.explain import targets
from cnnwidgets.explain.targets import Target
from cnnwidgets.explain.traced.target_reading import read_target
from cnnwidgets.explain.traced.traced_passes import OTHER_METHODS
from cnnwidgets.model.arguments import check_call
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.geometry.locations import GRID, SPREAD, USUAL, leads_from_tokens, locate, seen_input
from cnnwidgets.model.graph import surely_back
from cnnwidgets.model.layers import LayerInfo, layers_with_units
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.operations import ancestors, descendants

# Operations that block gradients, with their common names; the most certain causes first.
_CUTS = {
    "StopGradient": "stop_gradient", "ArgMax": "argmax", "ArgMin": "argmin", "Round": "rounding", "Rint": "rounding",
    "Floor": "rounding", "Ceil": "rounding", "Sign": "sign", "Greater": "a comparison", "GreaterEqual": "a comparison",
    "Less": "a comparison", "LessEqual": "a comparison", "Equal": "a comparison", "PyFunc": "a Python function",
    "PyFuncStateless": "a Python function", "whole numbers": "a cast to whole numbers",
}  # fmt: skip


_L = keras.layers
# Layers that only move numbers: the one before them has the same map, in its own frame.
_MOVERS = (_L.Permute, _L.Reshape, _L.Flatten, _L.ZeroPadding2D, _L.Cropping2D, _L.Identity)


# What is said of a default layer that is one branch of several.
ADDED = (
    "is added to another branch by an operation (x + y), which is not a layer, so the map leaves the other branch out; "
    "build the sum with keras.layers.Add to explain it"
)
BESIDE = (
    "is not the only way from the picture to the target, and the map leaves the others out; name layer= to see them"
)


class _Run(NamedTuple):
    """One run of the model as a graph, never executed."""

    pictures: dict[int, Any]  # by the index of their input
    seeing: dict[int, set[Any]]  # likewise, the operations that depend on each picture
    order: list[tuple[str, Any]]  # (path, first tensor) of every call
    calls: dict[str, list[Any]]
    value: Any  # the target
    last: Any  # the model's output, or the target if that is a function of it


def default_layer(net: Network, target: Target) -> str:
    """The last layer before the class scores that still has rows and columns, on the way to the target.

    In a model of several pictures it is the deepest one whose calls see one picture each, if there is any.

    Raises:
        BadTarget: if no layer has rows and columns.
    """
    return _choice(net, target)[0]


def layer_of_interest(net: Network) -> str:
    """The default layer for the top class; without rows and columns or scores, the last layer with units."""
    try:
        return default_layer(net, targets.named(net, None, None))
    except CnnWidgetsError:
        found = layers_with_units(net)
        if not found:
            raise BadTarget(f"{net!r} has no layer with units. Give a convolutional network.") from None
        return found[-1].path


def branch_note(net: Network, target: Target) -> str:
    """A note if the default layer is one of several ways from the picture to the target; else ""."""
    path, branch = _choice(net, target)
    return f"one branch: {quoted(path)} {branch}" if branch else ""


def _choice(net: Network, target: Target) -> tuple[str, str]:
    """The default layer, and what is said of it where it is one branch of several; else ""."""
    return net.traces.get(functools.partial(_chosen, net, target.structure))  # type: ignore[no-any-return]


def _chosen(net: Network, any_unit: Target) -> tuple[str, str]:
    """The same for any class, by the graph of the model."""
    candidates, branches = _look(net, any_unit, lambda run: _candidates(net, any_unit, run))
    maps = [path for path in candidates if len(net.layer(path).output_shape) == 3]
    tokens = [path for path in candidates if path not in maps]
    for kind, paths in ((GRID, candidates), (SPREAD, maps)):
        for path in paths:
            if _is_map(net, any_unit, path, kind, path in tokens):
                return path, branches.get(path, "")
    if not maps:
        raise BadTarget(_no_map(net))
    return maps[0], branches.get(maps[0], "")


def _is_map(net: Network, target: Target, path: str, kind: str, is_of_tokens: bool) -> bool:
    """Whether a layer's cells look at the picture side by side, and the target depends on them."""
    which = seen_input(net, path)
    location = locate(net, path, 0, which, net.inputs[which].full_size(*USUAL))
    if location.kind != kind or (is_of_tokens and min(location.cells) == 1):
        return False
    return not location.others or leads_from_tokens(net, target.output, path, 0, which, location)


def _no_map(net: Network) -> str:
    return (
        f"No layer of {quoted(net.name)} on the way to its output has rows and columns, so there is no map. "
        "Use attribution instead."
    )


def calls_of(net: Network, path: str, call: int | None) -> range:
    """The calls of a layer that are explained: all of them, or the one that the user names.

    Raises:
        BadTarget: for a call that does not exist.
    """
    info = net.layer(path)
    first = check_call(info, 0 if call is None else call)
    return range(info.calls) if call is None else range(first, first + 1)


def leads_to(net: Network, target: Target, path: str, call: int) -> bool:
    """Whether the target depends on the output of a layer's call."""
    any_unit = target.structure
    look = lambda run: run.calls[path][call].op in ancestors(run.value.op)  # noqa: E731
    return net.traces.get(lambda: _look(net, any_unit, look))  # type: ignore[no-any-return]


def pictures_seen(net: Network, target: Target, path: str, call: int) -> tuple[int, ...]:
    """The picture inputs that a layer's call depends on; all of several if no gradient reaches any of them."""
    every, any_unit = net.picture_inputs, target.structure
    if len(net.inputs) > len(every):  # the layer may see only a table
        look = lambda run: bool(_pictures_of(run.calls[path][call], run))  # noqa: E731
        if not net.traces.get(lambda: _look(net, any_unit, look)):
            return ()
    return every if len(every) == 1 else net.sees(path, call) or every


def why_no_gradient(net: Network, target: Target, path: str = "", call: int = 0) -> str:
    """Why no gradient comes from the target back to a layer's call, or to the pictures, in a sentence or two."""
    name = quoted(net.outputs[target.output].name)
    output = f"the output {name}" if target.function is None else "your target function"
    what = f"the layer {quoted(path)}" if path else "the picture"
    scores = [quoted(info.name) for info in net.outputs if info.has_gradient]
    is_index = target.function is None and not net.outputs[target.output].has_gradient
    other = f" Or choose another output, such as output={scores[0]}." if is_index and scores else ""

    def look(run: _Run) -> str:
        sources = [run.calls[path][call]] if path else list(run.pictures.values())
        way_back = ancestors(run.value.op)
        if not any(source.op in way_back for source in sources):
            names = ", ".join(quoted(info.name) for info in net.outputs)
            return f"{what} does not lead to {output}. Choose another layer, or another output of {names}."
        reached = descendants(source.op for source in sources)
        cut = next((p for p, one in run.order if one.op in reached and not _passes(one, sources)), None)
        where = f"at or just before the layer {quoted(cut)}" if cut else "behind the last layer"
        by = _cause(reached & ancestors(run.last.op))
        return f"No gradient flows from {output} to {what}: it is blocked {where}{by}. {OTHER_METHODS}{other}"

    message = str(net.traces.get(lambda: _look(net, target.structure, look)))
    return message[0].upper() + message[1:]


def _look(net: Network, target: Target, look: Callable[[_Run], Any]) -> Any:
    """Read the target in the run of the network that is traced already, and apply `look` to the graph."""
    run = net.traced_run
    with run.graph():
        chosen = target.chosen._replace(classes=tf.maximum(target.chosen.classes, 0))
        value = read_target(net, target, run.outputs, run.recording, chosen).value
        last = run.outputs[target.output] if target.function is None else value
        pictures = {i: run.inputs[i] for i in net.picture_inputs}
        seeing = {i: descendants([picture.op]) for i, picture in pictures.items()}
        order = [(path, one) for path, one in run.recording.order if hasattr(one, "op")]  # a ragged tensor has none
        return look(_Run(pictures, seeing, order, run.recording.calls, value, last))


def _candidates(net: Network, target: Target, run: _Run) -> tuple[list[str], dict[str, str]]:
    """Layers that may have rows and columns, the best choice first; and what is said of branches."""
    on_the_way = ancestors(run.value.op)
    known: set[int] = set()
    spatial: list[tuple[str, Any]] = []
    for path, tensor in run.order:  # what a dropout or an outer model passes on belongs to the layer that made it
        if id(tensor) not in known and tensor.op in on_the_way and _has_rows(tensor):
            known.add(id(tensor))
            spatial.append((path, tensor))
    if not spatial:
        raise BadTarget(_no_map(net))
    infos = {info.path: info for info in net.layers}
    preferences: list[Callable[[str, Any], bool]] = [
        lambda path, tensor: not infos[path].in_attention,
        lambda path, tensor: not isinstance(net.layers_by_path[path], _MOVERS),
        lambda path, tensor: not _is_one_cell(infos[path], tensor),
        lambda path, tensor: not _is_scores(net, target, infos[path], tensor, run, infos),
        lambda path, tensor: all(len(_pictures_of(one, run)) == 1 for one in run.calls[path]),
    ]
    connected = _with_gradient(run.value, spatial) or spatial  # some methods need no gradient
    paths: list[str] = []
    for count in range(len(preferences) + 1):  # preferences that cannot be met are dropped, the last one first
        wanted = preferences[:count]
        paths += [path for path, tensor in connected if all(prefers(path, tensor) for prefers in wanted)]
    layers = {tensor.op for _, tensor in run.order}
    narrow = _narrow(run, on_the_way)
    beside = {path: BESIDE for path, one in connected if infos[path].calls == 1 and one.op not in narrow}
    branches = beside | {path: ADDED for path, tensor in connected if _is_added(tensor, layers, on_the_way, run)}
    return list(dict.fromkeys(reversed(paths))), branches


def _with_gradient(value: Any, made: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Those calls to whose output a gradient comes back from a value."""
    sure = surely_back(value.op)
    unsure = [tensor for _, tensor in made if tensor.op not in sure]
    try:
        gradients = tf.gradients(value, unsure) if unsure else []
    except LookupError:  # an operation without any gradient: all layers stay, and what blocks is said of the chosen one
        return []
    cut = {id(tensor) for tensor, gradient in zip(unsure, gradients, strict=True) if gradient is None}
    return [(path, tensor) for path, tensor in made if id(tensor) not in cut]


def _narrow(run: _Run, on_the_way: set[Any]) -> set[Any]:
    """The operations that every way from a picture to the target goes through."""
    between = on_the_way.intersection(set().union(*run.seeing.values()))
    ordered = [op for op in run.value.graph.get_operations() if op in between]  # each after those that it takes from
    place = {op: index for index, op in enumerate(ordered)}
    narrow, furthest = set(), 0  # where the longest of the ways that are open so far comes next
    for index, op in enumerate(ordered):
        if index >= furthest:
            narrow.add(op)
        furthest = max(furthest, *(place.get(to, 0) for out in op.outputs for to in out.consumers()), 0)
    return narrow


def _is_added(tensor: Any, layers: set[Any], on_the_way: set[Any], run: _Run) -> bool:
    """Whether a tensor is added to another one of the picture by an operation that is not the last of a layer."""
    for op in tensor.consumers():
        if op.type in ("Add", "AddV2") and op in on_the_way and op not in layers:
            others = [one for one in op.inputs if one is not tensor]
            if any(one.shape.rank == tensor.shape.rank and _pictures_of(one, run) for one in others):
                return True
    return False


def _has_rows(tensor: Any) -> bool:
    """Whether it can have rows and columns: as rows, columns and channels, or as tokens and channels."""
    return bool(tensor.shape.rank in (3, 4) and tensor.dtype.is_floating)


def _is_one_cell(info: LayerInfo, tensor: Any) -> bool:
    """Whether its map is one position by construction, as behind a global pooling that keeps its axes."""
    if tensor.shape.rank == 3:
        return bool(tensor.shape[1] == 1)
    return tuple(tensor.shape[2:] if info.channel_axis == 1 else tensor.shape[1:3]) == (1, 1)


def _is_scores(
    net: Network, target: Target, info: LayerInfo, tensor: Any, run: _Run, infos: dict[str, LayerInfo]
) -> bool:
    """Whether its channels are the class scores themselves: as many, and no weights mix them any more."""
    scores = (net.outputs[target.output].shape[-1:] or (1,))[0]
    if info.units != scores:
        return False
    later = descendants([tensor.op])
    mixing = (
        p for p, one in run.order
        if one.op in later and one is not tensor
        and infos[p].parameters and infos[p].kind not in ("normalization", "activation")
        and not any(other.startswith(p + "/") for other in infos)  # a model's parameters are those of its layers
    )  # fmt: skip
    return next(mixing, None) is None


def _pictures_of(tensor: Any, run: _Run) -> list[int]:
    return [i for i, operations in run.seeing.items() if tensor.op in operations]


def _passes(value: Any, sources: Sequence[Any]) -> bool:
    """Whether a gradient comes back from a value to any of the sources."""
    return value.dtype.is_floating and any(g is not None for g in _gradients(value, sources))


def _gradients(value: Any, sources: Sequence[Any]) -> list[Any]:
    """`None` for all where an operation between them has no gradient at all, such as non-maximum suppression."""
    try:
        return list(tf.gradients(value, list(sources)))
    except LookupError:
        return [None] * len(sources)


def _cause(operations: set[Any]) -> str:
    """The operation that blocks the gradient, if it has a name."""
    types = {op.type for op in operations}
    if any(op.type == "Cast" and not op.outputs[0].dtype.is_floating for op in operations):
        types.add("whole numbers")
    return next((f", by {name}" for kind, name in _CUTS.items() if kind in types), "")
