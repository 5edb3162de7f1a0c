"""The gradient-ascent loop of all galleries, class pictures and single pictures.

`Ascent` says how pictures are climbed, `ascend` is the public face, `climb` is the loop and `_uphill` one step of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadModel, BadTarget, JobFailed
from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.arguments import now
from cnnwidgets.model.backend import tf
from cnnwidgets.model.canvas import Canvas
from cnnwidgets.model.graph import enough_room
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.visualize import optimizers, parametrizations
from cnnwidgets.visualize import transforms as transforms_
from cnnwidgets.visualize.canvas_choice import canvas_for, no_gradient
from cnnwidgets.visualize.moment import Moment, of_any_size, side_by_side
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.terms import custom
from cnnwidgets.visualize.terms.objective_values import Values, check_places, checked, random_note, values_of


@dataclass(frozen=True)
class Ascent:
    """How pictures are climbed: of what (parametrization), robust to what (transforms), and by which steps.

    Attributes:
        parametrization: the picture as free variables.
        transforms: what the picture must survive.
        optimizer: how a gradient becomes a step.
        finish: turns rendered pictures [N, H, W, C] into those that are shown, 0..1.
    """

    parametrization: parametrizations.Parametrization = parametrizations.USUAL
    transforms: tuple[transforms_.Transform, ...] = transforms_.USUAL
    optimizer: optimizers.Optimizer = optimizers.USUAL
    finish: Callable[[Any], Any] = lambda pictures: tf.clip_by_value(pictures, 0.0, 1.0)


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
        ascent = Ascent(
            parametrizations.checked(self.parametrization),
            transforms_.checked(self.transforms),
            optimizers.checked(self.optimizer),
        )
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
    first = steered()
    parts = first.pictures // batch if batch else 1
    moment = Moment.before(first, seed, canvas)
    variables = tf.split(_beginning(ascent, canvas, moment.seeds, start), parts)
    state = [ascent.optimizer.begin(part) for part in variables]
    values_in = values_of(net, first)
    build = functools.partial(_graphs, values_in, canvas.structure, ascent, (first.pictures // parts,) * parts)
    step, render = net.traces.get(build)  # traced once for each layer structure, size and way of climbing
    if canvas.is_open:
        step.get_concrete_function(*of_any_size((variables, state), canvas.shape), moment)
    for count in range(1, steps + 1):
        moment = moment.at(count, steered(), now("step size", ascent.optimizer.rate))
        with custom.reported(values_in.terms):
            moved, state, values, is_finite = step(variables, state, moment)
        if not is_finite:
            raise _not_finite(values_in, canvas, moment, render(variables), steps)
        variables = moved
        yield Frame(functools.partial(_read_back, render, variables), count, steps, values)


def _uphill(values_in: Values, canvas: Canvas, ascent: Ascent) -> Callable[..., Any]:
    """One step as a pure function: variables and state in, variables and state out."""
    by_windows = canvas.windows.read if canvas.windows else lambda value, pictures: value(pictures)

    def value(pictures: Any, moment: Moment) -> Any:  # [N, H, W, C] -> [N]
        with enough_room(*canvas.shape[:2], BadTarget):
            return by_windows(
                lambda seen: values_in(canvas.feed(values_in.net, seen, moment.held), moment.numbers), pictures
            )

    def step(variables: Any, state: Any, moment: Moment) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            pictures = ascent.parametrization.render(variables, canvas.shape)  # [N, H, W, C]
            pictures = transforms_.compose(pictures, ascent.transforms, *moment.randomness())
            values = value(pictures, moment)
            total = tf.reduce_sum(values)  # a sum, so that pictures stay independent
        gradient = tape.gradient(total, variables)
        if gradient is None:
            raise BadTarget(no_gradient(values_in.net, values_in.terms))
        variables, state = ascent.optimizer.step(variables, state, gradient, moment.count, moment.rate)
        is_finite = tf.reduce_all(tf.math.is_finite(variables)) & tf.reduce_all(tf.math.is_finite(values))
        return variables, state, values, is_finite

    return step


def _graphs(values_in: Values, canvas: Canvas, ascent: Ascent, shares: tuple[int, ...]) -> tuple[Any, Any]:
    """A step of all batches, and their pictures, as graphs; `shares` are the lengths of the batches."""

    def render(variables: Any) -> Any:
        return tf.concat([ascent.finish(ascent.parametrization.render(v, canvas.shape)) for v in variables], 0)

    step = compiled(_uphill(values_in, canvas, ascent))  # traced once for all batches
    return compiled(side_by_side(step, len(shares))), compiled(render)


def _beginning(ascent: Ascent, canvas: Canvas, seeds: Any, start: Array | None) -> Any:
    """The variables of all pictures before the first step: from noise, or from one picture."""
    if start is None:
        return ascent.parametrization.begin(canvas.shape, seeds)
    picture = tf.constant(start, tf.float32)
    picture = picture if canvas.is_open else tf.image.resize(picture, canvas.shape[:2])
    return ascent.parametrization.fit(tf.repeat(picture, len(seeds), 0))


def _read_back(render: Any, variables: Any) -> Array:
    return np.asarray(render(variables))


def _not_finite(values_in: Values, canvas: Canvas, moment: Moment, pictures: Any, steps: int) -> Exception:
    """What to say where a step from these pictures led to NaN or infinity."""
    count, functions = int(moment.count), custom.functions_in(values_in.terms)
    if count > 1:
        return JobFailed(
            f"The run diverged at step {count} of {steps}: the picture is no longer finite. The last good picture is "
            f"kept; lower the step size, or check {functions and 'your function, '}the network's weights and "
            "preprocessing."
        )
    feed = canvas.feed(values_in.net, pictures, moment.held)
    if functions and np.isfinite(values_in.without_functions()(feed, moment.numbers)).all():
        return BadTarget(
            f"{functions} returned NaN or infinity, or its gradient is not finite, although the activation is. "
            "Keep away from zero what it divides by, and what it takes a root or a logarithm of."
        )
    return BadModel(values_in.net.why_not_finite())
