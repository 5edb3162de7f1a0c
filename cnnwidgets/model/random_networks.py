"""Networks that draw random numbers at inference: which layers do, what depends on it, and whether two calls differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from cnnwidgets.errors import quoted
from cnnwidgets.model.backend import tf
from cnnwidgets.model.outputs.output_info import tensors_of
from cnnwidgets.model.recording import Recording
from cnnwidgets.model.tracing.operations import CALLS, ancestors, called_functions, descendants

_DRAWS = re.compile(
    r"(Stateless|Stateful)?(Random|Uniform|StandardNormal|TruncatedNormal|ParameterizedTruncated|Multinomial|Shuffle)"
)
_READS = {"ReadVariableOp", "RngReadAndSkip"}  # a generator's state; without one, the same numbers are drawn each time


class Randomness(NamedTuple):
    """What depends on random numbers.

    Attributes:
        layers: the paths of layers whose output does.
        outputs: the indices of outputs that do.
        note: which layers draw, and whether two calls differ; "" where none does.
    """

    layers: frozenset[str] = frozenset()
    outputs: frozenset[int] = frozenset()
    note: str = ""


def randomness_of(recording: Recording, outputs: Any, layers: Mapping[str, Any]) -> Randomness:
    """The randomness of one recorded run, inside its graph."""
    draws = _draws_in(tf.compat.v1.get_default_graph())
    if not draws.names:
        return Randomness()
    reached = frozenset(path for path, tensor in recording.order if tensor.op in draws.reached)
    random_outputs = frozenset(index for index, tensor in enumerate(tensors_of(outputs)) if tensor.op in draws.reached)
    return Randomness(reached, random_outputs, _note(_drawing(draws.names, layers), draws.are_repeated))


def _drawing(names: Iterable[str], layers: Mapping[str, Any]) -> list[str]:
    """The layers that draw, by the scopes in the names of operations: the innermost of each."""
    known = {layer.name for layer in layers.values()}
    found = (next((part for part in reversed(name.split("/")) if _plain(part, known)), "") for name in names)
    return [quoted(_plain(part, known)) for part in dict.fromkeys(found) if part]


def _plain(scope: str, known: set[str]) -> str:
    """The layer that a scope is of: TensorFlow numbers scopes that come again."""
    stem, _, number = scope.rpartition("_")
    return scope if scope in known else stem if number.isdigit() and stem in known else ""


def _note(layers: list[str], is_repeated: bool) -> str:
    who = f"the layer {layers[0]} draws" if len(layers) == 1 else f"the layers {', '.join(layers)} draw"
    who = who if layers else "the model draws"
    if is_repeated:
        return f"random: {who} random numbers at inference; the generator is put back, so each call draws the same"
    return f"random: {who} other random numbers at each call, so two calls differ"


class _Draws(NamedTuple):
    """Where a network draws random numbers at inference.

    Attributes:
        reached: the operations that depend on what is drawn.
        names: of the operations that draw, in which Keras writes their layers.
        are_repeated: whether all of it comes from generators that are put back, so that each call draws the same.
    """

    reached: frozenset[Any]
    names: tuple[str, ...]
    are_repeated: bool


def _draws_in(graph: Any) -> _Draws:
    """Look for random numbers in the graph of a call; those of a fixed seed are the same at each call."""
    drawing = [op for op in graph.get_operations() if _draws(graph, op)]
    kinds = {kind for op in drawing for kind in _kinds(graph, op.node_def) if _DRAWS.match(kind)}
    repeated = all(kind.startswith(("Stateless", "Stateful")) for kind in kinds)
    return _Draws(frozenset(descendants(drawing)), tuple(op.name for op in drawing), repeated)


def _draws(graph: Any, operation: Any) -> bool:
    if not (_DRAWS.match(operation.type) or CALLS.match(operation.type)):
        return False
    kinds = [kind for kind in _kinds(graph, operation.node_def) if _DRAWS.match(kind)]
    if not kinds:
        return False
    if not all(kind.startswith("Stateless") for kind in kinds) or kinds[0] != operation.type:
        return True
    return any(before.type in _READS for before in ancestors(operation))


def _kinds(graph: Any, node: Any) -> Iterator[str]:
    """The type of an operation, and those inside the functions that it calls."""
    yield node.op
    for definition in called_functions(graph, node):
        for inner in definition.node_def:
            yield from _kinds(graph, inner)
