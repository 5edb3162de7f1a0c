"""Objectives evaluated for a network: checked against its layers and outputs, and computed inside a graph."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model import fast_means
from cnnwidgets.model.arguments import whole_number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.graph import enough_room
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import from_shapes
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.terms.custom import Custom
from cnnwidgets.visualize.terms.of_layers import CENTER, Neuron
from cnnwidgets.visualize.terms.of_photographs import Comparison
from cnnwidgets.visualize.terms.term import Activation, LayerTerm, Numbers, Term


def checked(net: Network, objective: Objective) -> Objective:
    """The objective with full layer paths."""
    if not isinstance(objective, Objective):
        raise BadTarget(f"Expected an objective from cw.objectives, got {quoted(objective)}.")
    lengths = {len(t.units) for t in objective.terms} - {1}
    if len(lengths) > 1:
        raise BadTarget(f"The terms are for {sorted(lengths)} pictures. Give each as many units, or one.")
    return Objective(tuple(term.checked(net) for term in objective.terms))


def random_note(net: Network, objective: Objective) -> str:
    """The note for a network that draws random numbers on the way to the objective; "" where it does not."""
    return next(filter(None, (term.random_note(net) for term in objective.terms)), "")


def both(note: str, random: str) -> str:
    """A note and that of a random network, either of which may be empty."""
    return "; ".join(filter(None, (note, random)))


def check_positions(net: Network, objective: Objective, canvas: Canvas) -> None:
    """Refuse a neuron at a row or column that its map does not have."""
    for term in objective.terms:
        if isinstance(term, Neuron) and term.position != (CENTER, CENTER):
            held = {i: tuple(tensor.shape) for i, tensor in canvas.held.items()}
            build = functools.partial(_cells, net, term.structure, canvas.structure, held)
            rows, columns = net.traces.get(build)
            whole_number("row", max(term.position[0], 0), 0, rows - 1)
            whole_number("column", max(term.position[1], 0), 0, columns - 1)


def _cells(net: Network, term: Neuron, canvas: Canvas, held: Mapping[int, tuple[int, ...]]) -> tuple[int, int]:
    """Rows and columns of the map that a term reads, found by shapes alone; `held` are those of the other inputs."""

    def run() -> tuple[int, int]:
        with net.record([term.layer]) as recording, enough_room(*canvas.shape[:2], BadTarget):
            others = {i: tf.zeros(shape) for i, shape in held.items()}
            net.call(canvas.feed(net, tf.zeros([1, *canvas.shape]), others))
        rows, columns = recording.made(term.layer, term.call).shape[1:3]
        return rows, columns

    return from_shapes(run)


@dataclass(frozen=True)
class Values:
    """The objective of each picture, as a function for graphs; part of what these are kept under.

    Attributes:
        net: the network.
        terms: the structure of each term of the objective.
        is_fast: whether means may be computed without their maps.
    """

    net: Network
    terms: tuple[Term, ...]
    is_fast: bool

    def __call__(self, feed: Sequence[Any], numbers: Sequence[Numbers], photograph: Sequence[Any] | None = None) -> Any:
        """Run the network once, and sum up what each term makes of it.

        Args:
            feed: what `net.call` takes.
            numbers: what `objective.numbers` gives.
            photograph: as `feed`, with the photograph that terms compare with in place of each picture.

        Returns:
            float32 [N].
        """
        seen = self._activations(self.terms, feed)
        if photograph is not None:
            compared = [term for term in self.terms if isinstance(term, Comparison)]
            beside = dict(zip(compared, self._activations(compared, photograph), strict=True))
            of_terms = zip(self.terms, seen, strict=True)
            seen = [replace(own, beside=beside[term].map) if term in beside else own for term, own in of_terms]
        each = zip(self.terms, seen, numbers, strict=True)
        return tf.add_n([own.weight * term.value(activation, own) for term, activation, own in each])

    def _activations(self, terms: Sequence[Term], feed: Sequence[Any]) -> list[Activation]:
        """What each term reads of one run of the network, which ends where nothing more is read."""
        of_layers = [term for term in terms if isinstance(term, LayerTerm)]
        of_outputs = len(of_layers) < len(terms)
        watch = {term.layer for term in of_layers}
        before = of_outputs or any(term.before_activation for term in of_layers)
        until = () if of_outputs else {(term.layer, term.call) for term in of_layers}
        outputs: list[Any] = []
        with self.net.record(watch, before, until=until) as recording:
            outputs = self.net.call(feed)
        return [term.activation(self.net, recording, outputs, self.is_fast) for term in terms]

    def without_functions(self) -> Values:
        """The same with the mean square of the layer in place of each function of the user's."""
        return replace(self, terms=tuple(t.mean_square() if isinstance(t, Custom) else t for t in self.terms))


def values_of(net: Network, objective: Objective) -> Values:
    """How graphs read a checked objective of a network."""
    return Values(net, tuple(term.structure for term in objective.terms), fast_means.is_on())
