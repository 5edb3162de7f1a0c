"""Objectives evaluated for a network: checked against its layers and outputs, and computed inside a graph."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import check_call, check_unit, whole_number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.canvas import Canvas
from cnnwidgets.model.network import Network, enough_room
from cnnwidgets.model.outputs import check_gradient, logits_of
from cnnwidgets.model.outputs import find as find_output
from cnnwidgets.model.recording import Recording
from cnnwidgets.model.tracing.compiled import from_shapes
from cnnwidgets.visualize.fast_means import channel_means
from cnnwidgets.visualize.objectives import CENTER, OF_MEANS, VALUES, Numbers, Objective, Term


def checked(net: Network, objective: Objective) -> Objective:
    """The objective with full layer paths.

    Raises:
        BadTarget: for an unknown layer, unit, call, or lists of units of different lengths.
    """
    if not isinstance(objective, Objective):
        raise BadTarget(f"Expected an objective from cw.objectives, got {quoted(objective)}.")
    lengths = {len(t.units) for t in objective.terms} - {1}
    if len(lengths) > 1:
        raise BadTarget(f"The terms are for {sorted(lengths)} pictures. Give each as many units, or one.")
    return Objective(tuple(_checked_term(net, t) for t in objective.terms))


def random_note(net: Network, objective: Objective) -> str:
    """What is to be said where the network draws random numbers on the way to what is climbed; "" where it does not."""
    of_terms = (net.random_note(t.layer) if t.layer else net.random_note(output=int(t.output)) for t in objective.terms)
    return next(filter(None, of_terms), "")


def both(note: str, random: str) -> str:
    """A note and that of a random network, either of which may be empty."""
    return "; ".join(filter(None, (note, random)))


def _checked_term(net: Network, term: Term) -> Term:
    return _checked_of_layer(net, term) if term.layer else _checked_of_output(net, term)


def _checked_of_output(net: Network, term: Term) -> Term:
    index = find_output(term.output, net.outputs)
    info = net.outputs[index]
    check_gradient(info)
    for one in term.units:
        net.class_index(one, index)
    return replace(term, output=index, kind="decision" if info.is_decision else term.kind)


def _checked_of_layer(net: Network, term: Term) -> Term:
    info = net.layer(term.layer)
    check_call(info, term.call)
    if term.kind == "direction" and len(term.vector) != info.units:
        raise BadTarget(
            f"The direction has {len(term.vector)} numbers, and the layer {quoted(info.path)} {info.units} channels. "
            "Give one for each channel."
        )
    if term.kind in ("channel", "neuron", "diversity") and not info.is_spatial:
        raise BadTarget(
            f"The layer {quoted(info.path)} has no rows and columns, so it has no channels. Use objectives.unit for it."
        )
    for one in term.units:
        check_unit(info, one)
    return replace(term, layer=info.path)


def check_places(net: Network, objective: Objective, canvas: Canvas) -> None:
    """Refuse a neuron at a row or column that its map does not have."""
    for term in objective.terms:
        if term.place != (CENTER, CENTER):
            held = {i: tuple(tensor.shape) for i, tensor in canvas.held.items()}
            build = functools.partial(_cells, net, term.structure, canvas.structure, held)
            rows, columns = net.traces.get(build)
            whole_number("row", max(term.place[0], 0), 0, rows - 1)
            whole_number("column", max(term.place[1], 0), 0, columns - 1)


def _cells(net: Network, term: Term, canvas: Canvas, held: Mapping[int, tuple[int, ...]]) -> tuple[int, int]:
    """Rows and columns of the map that a term reads, found by shapes alone; `held` are those of the other inputs."""

    def run() -> tuple[int, int]:
        with net.record([term.layer]) as recording, enough_room(*canvas.shape[:2], BadTarget):
            others = {i: tf.zeros(shape) for i, shape in held.items()}
            net.call(canvas.feed(net, tf.zeros([1, *canvas.shape]), others))
        seen = _seen(net, replace(term, before_activation=False), recording, [])
        rows, columns = seen.shape[1:3]
        return rows, columns

    return from_shapes(run)


def read(net: Network, terms: tuple[Term, ...], feed: Sequence[Any], numbers: Sequence[Numbers]) -> Any:
    """The objective of each picture, inside a graph.

    Args:
        net: the network.
        terms: the objective's terms.
        feed: what `net.call` takes.
        numbers: what `numbers_of` made of them.

    Returns:
        float32 [N].
    """
    watch = {t.layer for t in terms if t.layer}
    before = any(t.before_activation for t in terms)
    until = {(t.layer, t.call) for t in terms} if all(t.layer for t in terms) else ()
    outputs: list[Any] = []
    with net.record(watch, before, until=until) as recording:
        outputs = net.call(feed)
    each = zip(terms, numbers, strict=True)
    return tf.add_n([own.weight * VALUES[t.kind](_seen(net, t, recording, outputs), own) for t, own in each])


def _seen(net: Network, term: Term, recording: Recording, outputs: list[Any]) -> Any:
    """What a term reads, float32 [N, ..., C]; where it takes the mean of channels, [N, C] will do."""
    if not term.layer:
        index = find_output(term.output, net.outputs)
        seen = logits_of(net.outputs[index], outputs[index], recording)[0]
        return channel_means(recording, seen) if term.kind in OF_MEANS else tf.cast(seen, tf.float32)
    if term.kind not in OF_MEANS:
        return recording.activation(term.layer, term.call, term.before_activation)
    seen = recording.calls[term.layer][term.call]
    seen = recording.before_activation(seen) if term.before_activation else seen
    if net.layer(term.layer).channel_axis == 1 and seen.shape.rank == 4:
        seen = tf.transpose(seen, [0, 2, 3, 1])
    return channel_means(recording, seen)
