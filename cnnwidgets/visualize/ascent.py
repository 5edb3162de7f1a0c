"""The gradient-ascent loop of all galleries, class pictures and single pictures.

`Ascent` says what is climbed, of what and how; `climb` is the loop; `ascend` is its public face.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadModel, BadTarget, JobFailed, quoted
from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.arguments import MOST_STEPS, check_unit, checked_seed, now
from cnnwidgets.model.backend import tf
from cnnwidgets.model.canvas import Canvas
from cnnwidgets.model.graph import enough_room
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.visualize import optimizers, parametrizations, randomness
from cnnwidgets.visualize import transforms as transforms_
from cnnwidgets.visualize.canvas_choice import canvas_for, no_gradient
from cnnwidgets.visualize.objective_values import check_places, checked, random_note, read
from cnnwidgets.visualize.objectives import Objective, Term, numbers_of

__all__ = ["FOURIER", "MOST_STEPS", "Ascent", "ascend", "check_unit", "checked_seed", "climb"]


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
        held: for a model of several inputs, what the others get, by name; gray pictures and zeros if not given.
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
    return AscendSettings.given(locals()).check(net)


@dataclass(frozen=True, eq=False)
class AscendSettings(Settings):
    """The settings of `ascend`; a recipe has the layer and the unit instead of the objective."""

    objective: Objective = setting(recorded=False)
    size: int | tuple[int, int] | None = None
    steps: int = setting(64, STEPS)
    parametrization: parametrizations.Parametrization | None = setting(None, recorded=False)
    transforms: Sequence[transforms_.Transform] | None = setting(None, recorded=False)
    optimizer: optimizers.Optimizer | None = setting(None, recorded=False)
    start: object = setting(None, recorded=False)
    held: Mapping[str, Any] | None = setting(None, recorded=False)
    resize: bool = setting(False, recorded=False)
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any) -> Iterator[Frame]:
        """The unstarted run.

        Raises:
            BadTarget: what `ascend` raises before any computing.
        """
        net = as_network(net)
        objective, found = checked(net, self.objective), self.checked()
        ascent = _checked_ascent(self.parametrization, self.transforms, self.optimizer)
        canvas = canvas_for(net, objective, self.size, 128, self.held, self.resize)
        check_places(net, objective, canvas)
        picture = None if self.start is None else net.array(self.start, canvas.which)
        frames = climb(net, objective, canvas, found.steps, ascent, found.seed, picture)
        note = random_note(net, objective)
        return _noting(frames, note) if note else frames


def _noting(frames: Iterator[Frame], note: str) -> Iterator[Frame]:
    """The frames, the last one with a note for each picture."""
    for frame in frames:
        is_last = frame.step == frame.steps
        yield replace(frame, notes=(note,) * len(frame.values)) if is_last else frame


def _checked_ascent(parametrization: object, transforms: object, optimizer: object) -> Ascent:
    """What `ascend` was given; that of FOURIER where it is `None`."""
    parametrization = FOURIER.parametrization if parametrization is None else parametrization
    if isinstance(parametrization, type) or not isinstance(parametrization, parametrizations.Parametrization):
        raise BadTarget(
            "parametrization must come from cw.parametrizations (pixels(), fourier(), natural()), "
            f"got {quoted(parametrization)}."
        )
    transforms = FOURIER.transforms if transforms is None else transforms
    if not isinstance(transforms, (list, tuple)) or not all(map(callable, transforms)):
        raise BadTarget(f"transforms must be a list from cw.transforms, such as [jitter(8)], got {quoted(transforms)}.")
    optimizer = FOURIER.optimizer if optimizer is None else optimizer
    if isinstance(optimizer, type) or not isinstance(optimizer, optimizers.Optimizer):
        raise BadTarget(f"optimizer must come from cw.optimizers, such as adam(0.05), got {quoted(optimizer)}.")
    return Ascent(parametrization, tuple(transforms), optimizer)


def climb(
    net: Network,
    objective: Objective | Callable[[], Objective],
    canvas: Canvas,
    steps: int,
    ascent: Ascent,
    seed: int = 0,
    start: Array | None = None,
    batch: int = 0,
) -> Iterator[Frame]:
    """The loop itself: the arguments are valid, the pictures are as many as the objective is for.

    An objective given as a function is asked before each step; its layers must stay the same, its numbers may change.
    Where a batch is given, pictures are computed in batches of this size inside one graph: on a CPU whole operations
    then run side by side, and no picture depends on how many batches there are.
    """
    steered: Callable[[], Objective] = (lambda: objective) if isinstance(objective, Objective) else objective
    current = steered()
    parts = current.pictures // batch if batch else 1
    seeds = randomness.picture_seeds(seed, current.units)
    if start is None:
        variables = ascent.parametrization.begin(canvas.shape, seeds)
    else:
        picture = tf.constant(start, tf.float32)
        picture = picture if canvas.is_open else tf.image.resize(picture, canvas.shape[:2])
        variables = ascent.parametrization.fit(tf.repeat(picture, current.pictures, 0))
    variables = tf.split(variables, parts)
    state = [ascent.optimizer.begin(part) for part in variables]
    shared = tf.constant([seed & 0x7FFFFFFF, 0x5EED], tf.int32)
    step, render = _traced(net, current, canvas, ascent, parts)
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
    return now("step size", ascent.optimizer.rate)


def _read_back(render: Any, variables: Any) -> Array:
    return np.asarray(render(variables))


def _traced(net: Network, objective: Objective, canvas: Canvas, ascent: Ascent, parts: int) -> tuple[Any, Any]:
    """The step and the rendering as graphs, made once for each layer structure, size and way of climbing."""
    terms = tuple(term.structure for term in objective.terms)
    shares = (objective.pictures // parts,) * parts
    return net.traces.get(  # type: ignore[no-any-return]
        functools.partial(_graphs, net, terms, canvas.structure, ascent, shares)
    )


def _graphs(
    net: Network, terms: tuple[Term, ...], canvas: Canvas, ascent: Ascent, shares: tuple[int, ...]
) -> tuple[Any, Any]:
    """The body of `_traced`; `shares` are the lengths of the batches."""

    def render(variables: Any) -> Any:
        return tf.concat([ascent.finish(ascent.parametrization.render(v, canvas.shape)) for v in variables], 0)

    step = compiled(_step(net, terms, canvas, ascent))  # traced once for all batches
    return compiled(_side_by_side(step, len(shares))), compiled(render)


def _side_by_side(step: Callable[..., Any], parts: int) -> Callable[..., Any]:
    """A step of several batches, which share nothing but the rate and what is random for all."""

    def steps(
        variables: Any, state: Any, count: Any, numbers: Any, seeds: Any, shared: Any, rate: Any, held: Any
    ) -> Any:
        units = [tf.split(term.units, parts) for term in numbers]
        each = [
            step(
                variables[i], state[i], count,
                tuple(term._replace(units=own[i]) for term, own in zip(numbers, units, strict=True)),
                tf.split(seeds, parts)[i], shared, rate, held,
            )
            for i in range(parts)
        ]  # fmt: skip
        variables, state, values, finite = map(list, zip(*each, strict=True))
        return variables, state, tf.concat(values, 0), tf.reduce_all(finite)

    return steps


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
