"""The one gradient-ascent loop. Galleries, class pictures and single pictures are this loop with other arguments.

`Ascent` says what is climbed, of what and how; `climb` is the loop; `ascend` is its public face.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnwidgets.compute import layers as layers_
from cnnwidgets.compute import optimizers, parametrizations, randomness
from cnnwidgets.compute import transforms as transforms_
from cnnwidgets.compute.backend import compiled, keras, tf
from cnnwidgets.compute.frame import Array, Frame
from cnnwidgets.compute.network import Network, as_network, enough_room
from cnnwidgets.compute.objectives import VALUES, Numbers, Objective, Term, numbers_of
from cnnwidgets.compute.outputs import behind
from cnnwidgets.compute.outputs import find as find_output
from cnnwidgets.compute.windows import Windows
from cnnwidgets.errors import BadModel, BadTarget, JobFailed, quoted

MOST_STEPS, LARGEST_SIDE, SMALLEST_SIDE = 2048, 1024, 8


@dataclass(frozen=True)
class Ascent:
    """How pictures are climbed: of what (parametrization), robust to what (transforms), and by which steps.

    Attributes:
        parametrization: the picture as free variables.
        transforms: what the picture must survive.
        optimizer: how a gradient becomes a step.
        finish: turns rendered pictures [N, H, W, C] into those that are shown, 0..1.
    """

    parametrization: parametrizations.Parametrization = parametrizations.Fourier()
    transforms: tuple[transforms_.Transform, ...] = (transforms_.Jitter(8),)
    optimizer: optimizers.Optimizer = optimizers.Adam()
    finish: Callable[[Any], Any] = lambda pictures: tf.clip_by_value(pictures, 0.0, 1.0)


FOURIER = Ascent()


def ascend(
    net: Network | Any,
    objective: Objective,
    size: int | tuple[int, int] | None = None,
    steps: int = 64,
    *,
    parametrization: parametrizations.Parametrization | None = None,
    transforms: Sequence[transforms_.Transform] | None = None,
    optimizer: optimizers.Optimizer | None = None,
    start: object = None,
    held: Mapping[str, Any] | None = None,
    resize: bool = False,
    seed: int = 0,
) -> Iterator[Frame]:
    """Climb an objective by gradient ascent on the picture, and yield every step.

    Args:
        net: a Network or a bare Keras model.
        objective: what to climb, from `cw.objectives`; it may be for several pictures at once.
        size: the picture's side in pixels, or (height, width); 128, or a fixed network's own size, if not given.
        steps: 1 to 2048.
        parametrization: from `cw.parametrizations`; Fourier if not given.
        transforms: from `cw.transforms`; a jitter of 8 pixels if not given.
        optimizer: from `cw.optimizers`; Adam with .05 if not given.
        start: a picture to begin from, instead of noise.
        held: for a model of several inputs, what the others get, by name; grey pictures and zeros if not given.
        resize: paint at `size` although the network takes one other size only; the picture is resized on its way in.
        seed: the same seed, machine, versions and settings give the same bytes.

    Yields:
        Frame: one for each step.

    Raises:
        BadTarget: for an unknown layer or unit, or a size or number of steps that cannot be; before any computing.
        JobFailed: when the run diverges; the last frame before that was finite.

    Example:
        >>> for frame in ascend(net, objectives.channel("fire5_concat", 12), size=128, steps=64): ...
    """
    net = as_network(net)
    objective = checked(net, objective)
    canvas = canvas_for(net, objective, size, 128, held, resize)
    ascent = Ascent(
        FOURIER.parametrization if parametrization is None else parametrization,
        FOURIER.transforms if transforms is None else tuple(transforms),
        FOURIER.optimizer if optimizer is None else optimizer,
    )
    picture = None if start is None else net.array(start, canvas.which)
    return climb(net, objective, canvas, checked_steps(steps), ascent, checked_seed(seed), picture)


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where a run paints.

    Attributes:
        shape: of the pictures, (height, width, channels); height and width are `None` where the picture to start from
            decides them, so that one graph serves all sizes (pixels only).
        which: the index of the input that they go to.
        held: tensors [1, ...] for other inputs; what is not held is mid-grey, or zero for a table.
        fed: (height, width) to which pictures are resized on their way into the network, if it takes another size.
        windows: how a picture is read part by part, if it is too large to be read at once.
    """

    shape: tuple[Any, Any, int]
    which: int = 0
    held: Mapping[int, Any] = field(default_factory=dict)
    fed: tuple[int, int] | None = None
    windows: Windows | None = None

    @property
    def is_open(self) -> bool:
        """Whether the picture to start from decides the size."""
        return None in self.shape

    def feed(self, net: Network, pictures: Any, held: Any) -> list[Any]:
        """What `net.call` takes for a batch of pictures."""
        if self.fed is not None:
            pictures = tf.image.resize(pictures, self.fed)
        return net.feed(pictures, self.which, held)


def climb(
    net: Network,
    objective: Objective | Callable[[], Objective],
    canvas: Canvas,
    steps: int,
    ascent: Ascent,
    seed: int = 0,
    start: Array | None = None,
) -> Iterator[Frame]:
    """The loop itself: the arguments are valid, the batch is the objective's number of pictures.

    An objective given as a function is asked before each step; its layers must stay the same, its numbers may change.
    """
    steered: Callable[[], Objective] = (lambda: objective) if isinstance(objective, Objective) else objective
    current = steered()
    seeds = randomness.picture_seeds(seed, current.units)
    if start is None:
        variables = ascent.parametrization.begin(canvas.shape, seeds)
    else:
        picture = tf.constant(start, tf.float32)
        picture = picture if canvas.is_open else tf.image.resize(picture, canvas.shape[:2])
        variables = ascent.parametrization.fit(tf.repeat(picture, current.pictures, 0))
    state = ascent.optimizer.begin(variables)
    shared = tf.constant([seed & 0x7FFFFFFF, 0x5EED], tf.int32)
    step, render = _traced(net, current, canvas, ascent)
    if canvas.is_open:
        fixed = tf.constant(1), numbers_of(current), seeds, shared, tf.constant(0.0), dict(canvas.held)
        step.get_concrete_function(*_of_any_size((variables, state), canvas.shape), *fixed)
    for count in range(1, steps + 1):
        numbers, rate = numbers_of(steered()), tf.constant(_rate(ascent), tf.float32)
        variables, state, values, finite = step(
            variables, state, tf.constant(count), numbers, seeds, shared, rate, dict(canvas.held)
        )
        if not finite:
            if count == 1:
                raise BadModel(net.why_not_finite())
            raise JobFailed(
                f"The run diverged at step {count} of {steps}: the picture is no longer finite. "
                "The last good picture is kept; lower the step size, or check the network's weights and preprocessing."
            )
        yield Frame(functools.partial(_read_back, render, variables), count, steps, values)


def _of_any_size(pictures: Any, shape: tuple[int | None, ...]) -> Any:
    """What a graph takes instead of these pictures [N, H, W, C], where rows or columns are left open."""
    return tf.nest.map_structure(lambda t: tf.TensorSpec([t.shape[0], *shape], t.dtype), pictures)


def _rate(ascent: Ascent) -> float:
    rate = ascent.optimizer.rate
    return float(rate() if callable(rate) else rate)


def _read_back(render: Any, variables: Any) -> Array:
    return np.asarray(render(variables))


def _traced(net: Network, objective: Objective, canvas: Canvas, ascent: Ascent) -> tuple[Any, Any]:
    """The step and the rendering as graphs, made once for each layer structure, size and way of climbing."""
    structure = tuple((t.kind, t.layer, t.call, t.before_activation) for t in objective.terms)
    place = canvas.shape, canvas.which, canvas.fed, canvas.windows, tuple(canvas.held)
    key = ("climb", structure, objective.pictures, place, ascent)

    def build() -> tuple[Any, Any]:
        def render(variables: Any) -> Any:
            return ascent.finish(ascent.parametrization.render(variables, canvas.shape))

        return compiled(_step(net, objective.terms, canvas, ascent)), compiled(render)

    return net.traces.get(key, build)  # type: ignore[no-any-return]


def _step(net: Network, terms: tuple[Term, ...], canvas: Canvas, ascent: Ascent) -> Callable[..., Any]:
    """One step as a pure function: variables and state in, variables and state out."""
    by_windows = canvas.windows.read if canvas.windows else lambda value, pictures: value(pictures)

    def step(
        variables: Any, state: Any, count: Any, numbers: Any, seeds: Any, shared: Any, rate: Any, held: Any
    ) -> Any:
        fresh = randomness.at_step(seeds, count)
        moved = tf.random.experimental.stateless_fold_in(shared, count)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            pictures = ascent.parametrization.render(variables, canvas.shape)  # [N, H, W, C]
            pictures = transforms_.compose(pictures, ascent.transforms, fresh, moved)
            with enough_room(*canvas.shape[:2], BadTarget):
                values = by_windows(
                    lambda seen: read(net, terms, canvas.feed(net, seen, held), numbers), pictures
                )  # [N]
            total = tf.reduce_sum(values)  # a sum, so that pictures stay independent
        gradient = tape.gradient(total, variables)
        if gradient is None:
            raise BadTarget(no_gradient(net, terms))
        variables, state = ascent.optimizer.step(variables, state, gradient, count, rate)
        finite = tf.reduce_all(tf.math.is_finite(variables)) & tf.reduce_all(tf.math.is_finite(values))
        return variables, state, values, finite

    return step


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
    with layers_.record(net.layers_by_path, watch, activations=before) as recording:
        outputs = net.call(feed)
        values = []
        for term, own in zip(terms, numbers, strict=True):
            seen = tf.cast(_seen(net, term, recording, outputs), tf.float32)
            values.append(own.weight * VALUES[term.kind](seen, own))
    return tf.add_n(values)


def _seen(net: Network, term: Term, recording: layers_.Recording, outputs: list[Any]) -> Any:
    """The tensor [N, ..., C] that a term reads."""
    if not term.layer:
        return behind(outputs[term.call], recording)[0] if term.before_activation else outputs[term.call]
    seen = keras.tree.flatten(recording.calls[term.layer][term.call])[0]
    seen = recording.before_activation(seen) if term.before_activation else seen
    first = net.layer(term.layer).channel_axis == 1 and seen.shape.rank == 4
    return tf.transpose(seen, [0, 2, 3, 1]) if first else seen


def no_gradient(net: Network, terms: tuple[Term, ...]) -> str:
    """What to say where no gradient reaches the picture: what cuts it."""
    where = ", ".join(sorted({quoted(t.layer) if t.layer else "the output" for t in terms}))
    cut = net.first_cut()
    what = f"the layer {quoted(cut)} cuts it" if cut else "it does not depend on the picture"
    return (
        f"No gradient reaches the picture from {where}: {what} (stop_gradient, argmax, rounding or an integer cast). "
        "Choose a layer before that one, or take the cut out of the model."
    )


def checked(net: Network, objective: Objective) -> Objective:
    """The objective with full layer paths.

    Raises:
        BadTarget: for an unknown layer, unit, call, or lists of units of different lengths.
    """
    if not isinstance(objective, Objective):
        raise BadTarget(f"This is no objective but {quoted(objective)}. Make one with cw.objectives.")
    lengths = {len(t.units) for t in objective.terms} - {1}
    if len(lengths) > 1:
        raise BadTarget(f"The terms are for {sorted(lengths)} pictures. Give each as many units, or one.")
    return Objective(tuple(_checked_term(net, t) for t in objective.terms))


def _checked_term(net: Network, term: Term) -> Term:
    if not term.layer:
        if not net.outputs[find_output(term.call, net.outputs)].has_gradient:
            raise BadTarget(
                f"The output {quoted(net.outputs[term.call].name)} gives whole numbers, as argmax does, so no "
                "gradient reaches the picture. Climb a layer before it, or give a model that ends in scores."
            )
        for one in term.units:
            net.class_index(one, term.call)
        return replace(term, kind="decision") if net.outputs[term.call].is_decision else term
    info = net.layer(term.layer)
    if not info.units or not info.calls:
        raise BadTarget(f"The layer {quoted(info.path)} has no units that can be climbed. Choose another layer.")
    if term.kind == "direction" and len(term.vector) != info.units:
        raise BadTarget(
            f"The direction has {len(term.vector)} numbers, and the layer {quoted(info.path)} {info.units} channels. "
            "Give one for each channel."
        )
    if term.kind in ("channel", "neuron", "diversity") and not info.is_spatial:
        raise BadTarget(
            f"The layer {quoted(info.path)} has no rows and columns, so it has no channels. "
            "Climb it with objectives.unit."
        )
    for one in term.units:
        check_unit(info, one)
    if not 0 <= term.call < info.calls:
        raise BadTarget(f"The layer {quoted(info.path)} has no call {term.call}. Its calls are 0 to {info.calls - 1}.")
    return replace(term, layer=info.path)


def check_unit(info: layers_.LayerInfo, one: object) -> int:
    """The unit as an int.

    Raises:
        BadTarget: for what is no unit of this layer.
    """
    if isinstance(one, (int, np.integer)) and not isinstance(one, bool) and 0 <= one < info.units:
        return int(one)
    raise BadTarget(f"The layer {quoted(info.path)} has no unit {quoted(one)}. Its units are 0 to {info.units - 1}.")


def checked_steps(steps: object) -> int:
    """The number of steps.

    Raises:
        BadTarget: for what is no whole number from 1 to 2048.
    """
    if isinstance(steps, (int, np.integer)) and not isinstance(steps, bool) and 1 <= steps <= MOST_STEPS:
        return int(steps)
    raise BadTarget(f"steps={quoted(steps)} cannot be. Give a whole number from 1 to {MOST_STEPS}.")


def checked_seed(seed: object) -> int:
    """The seed.

    Raises:
        BadTarget: for what is no whole number.
    """
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return int(seed)
    raise BadTarget(f"seed={quoted(seed)} cannot be. Give a whole number.")


def canvas_for(
    net: Network,
    objective: Objective,
    size: object,
    default: int,
    held: Mapping[str, Any] | None = None,
    resize: bool = False,
) -> Canvas:
    """The canvas for a checked objective: the picture input that its first term sees.

    Args:
        net: the network.
        objective: what is climbed.
        size: what the user asked for.
        default: the side where neither user nor network says one.
        held: what other inputs get, by name.
        resize: whether a picture of another size may be resized on its way into a network of a fixed size.

    Raises:
        BadTarget: for a size that cannot be, or that a fixed network does not take.
        BadModel: for a held input that does not exist.
    """
    first = objective.terms[0]
    seen = net.sees(first.layer, first.call) if first.layer else net.picture_inputs
    if not seen:
        raise BadTarget(no_gradient(net, objective.terms[:1]))
    names = [info.name for info in net.inputs]
    still = {}
    for name, value in (held or {}).items():
        if name not in names:
            raise BadModel(f"There is no input {quoted(name)}. Name this model's inputs: {', '.join(names)}.")
        still[names.index(name)] = tf.constant(net.array(value, names.index(name)))
    which = next((i for i in seen if i not in still), seen[0])
    still.pop(which, None)
    shape = picture_shape(net, size, default, which, resize)
    rows, columns = net.inputs[which].full_size(*shape[:2])
    return Canvas(shape, which, still, None if (rows, columns) == shape[:2] else (rows, columns))


def canvas_around(net: Network, objective: Objective, opened: Mapping[int, Array]) -> Canvas:
    """The canvas for pictures that are there, at the first picture input that every term sees.

    It is open where the network takes any size.

    Args:
        net: the network.
        objective: what is climbed, checked.
        opened: what the inputs get, from `net.opened`; all but the one that is painted on hold still.

    Raises:
        BadTarget: where there is no such input.
    """
    each = [net.sees(t.layer, t.call) if t.layer else net.picture_inputs for t in objective.terms]
    for term, seen in zip(objective.terms, each, strict=True):
        if not seen:
            raise BadTarget(no_gradient(net, (term,)))
    common = [i for i in each[0] if all(i in seen for seen in each)]
    if not common:
        paths = ", ".join(t.layer or "the output" for t in objective.terms)
        raise BadTarget(f"These see different pictures: {paths}. Climb layers that see the same one.")
    which = common[0]
    held = {i: tf.constant(array) for i, array in enumerate(net.fitted(opened)) if i != which}
    info = net.inputs[which]
    return Canvas((*info.size, info.channels), which, held)


def picture_shape(
    net: Network, size: object, default: int, which: int = 0, resize: bool = False
) -> tuple[int, int, int]:
    """(height, width, channels) of the pictures to climb.

    Raises:
        BadTarget: for a size that cannot be, or that a fixed network does not take.
    """
    info = net.inputs[which]
    rows, columns = info.size
    if size is None:
        return rows or columns or default, columns or rows or default, info.channels
    sides: tuple[Any, ...] = tuple(size) if isinstance(size, (tuple, list)) and len(size) == 2 else (size, size)
    height, width = sides
    for side in sides:
        whole = isinstance(side, (int, np.integer)) and not isinstance(side, bool)
        if not whole or not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise BadTarget(
                f"size={quoted(size)} cannot be. Give pixels from {SMALLEST_SIDE} to {LARGEST_SIDE}, "
                "or (height, width)."
            )
    if not resize and (rows not in (None, height) or columns not in (None, width)):
        raise BadTarget(
            f"The network {quoted(net.name)} takes {rows} x {columns}, not {height} x {width}. Leave size out, or "
            "pass resize=True; rebuilt with Input((None, None, 3)) and without its Dense head it takes any size."
        )
    return int(height), int(width), info.channels
