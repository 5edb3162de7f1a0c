"""Gradient ascent on pictures: the verb `ascend`, and `maximize`, the loop behind every picture from noise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.arguments import now
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import GraphFailed
from cnnwidgets.visualize import optimizers, parametrizations
from cnnwidgets.visualize import transforms as transforms_
from cnnwidgets.visualize.canvas_choice import canvas_for
from cnnwidgets.visualize.gradient_step import Ascent, StepInputs, not_finite, step_and_render, trace_any_size
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.terms import custom
from cnnwidgets.visualize.terms.objective_values import both, check_positions, checked, random_note, values_of

NO_GRADIENT = "not optimized: no gradient at the start, such as where a whole layer is off; use another seed"


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
    """Maximize an objective by gradient ascent on the picture, and yield every step.

    Args:
        net: a Network or a bare Keras model.
        objective: what to maximize, from `cw.objectives`; it may be for several pictures at once.
        size: the picture's side in pixels, or (height, width); 128, or a fixed network's own size, if not given.
        steps: 1 to 2048.
        parametrization: from `cw.parametrizations`; Fourier if not given.
        transforms: from `cw.transforms`; a jitter of 8 pixels if not given.
        optimizer: from `cw.optimizers`; Adam with .05 if not given.
        start: a picture to start from, instead of noise.
        held: for a model with several inputs, the values of the others, by name; gray pictures and zeros if not given.
        resize: optimize at `size` although the network takes one other size only; the picture is resized on its way in.
        seed: the same seed, machine, versions and settings give the same bytes.

    Yields:
        Frame: one for each step; its values are the objective before that step.

    Raises:
        BadTarget: for an unknown layer or unit, or an invalid size or number of steps; before any computing.
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
        check_positions(net, objective, canvas)
        picture = None if self.start is None else net.array(self.start, canvas.which)
        frames = maximize(net, objective, canvas, found.steps, ascent, found.seed, picture)
        return with_notes(frames, random_note(net, objective))


def with_notes(frames: Iterator[Frame], random: str) -> Iterator[Frame]:
    """The frames; the last one has a note for each picture that needs one, with that of a random network."""
    first: Array | None = None
    has_moved = np.array(False)
    for frame in frames:
        values = np.atleast_1d(np.asarray(frame.values))
        first = values if first is None else first
        has_moved = has_moved | (values != first)  # [N]
        if frame.step == frame.steps:
            stuck = [NO_GRADIENT if frame.step > 1 and not moved else "" for moved in has_moved]
            notes = tuple([both(note, random) for note in stuck])
            frame = replace(frame, notes=notes if any(notes) else ())
        yield frame


def maximize(
    net: Network,
    objective: Objective | Callable[[], Objective],
    canvas: Canvas,
    steps: int,
    ascent: Ascent,
    seed: int = 0,
    start: Array | None = None,
    batch: int = 0,
) -> Iterator[Frame]:
    """The gradient-ascent loop: make a step, yield a frame. The arguments are valid; there is a picture for each unit.

    Args:
        net: the network.
        objective: what to maximize; a function is called before each step: its layers must stay the same, its weights
            may change.
        canvas: the input that is optimized.
        steps: how many.
        ascent: parametrization, transforms and optimizer.
        seed: of all random numbers.
        start: pictures [N, H, W, C] to start from, instead of noise.
        batch: pictures are computed in batches of this size inside one graph; all together for 0. On a CPU whole
            operations then run in parallel, and no picture depends on how many batches there are.

    Yields:
        Frame: one for each step.
    """
    first, rate = objective() if callable(objective) else objective, ascent.optimizer.rate
    units, maximized = first.units, values_of(net, first)
    batches = len(units) // batch if batch else 1
    inputs = StepInputs.before(first.numbers(), units, seed, canvas)
    variables = tf.split(_starting_variables(ascent, canvas, inputs.seeds, start), batches)
    state = [ascent.optimizer.begin(part) for part in variables]
    # One graph for each structure of layers, size and way of optimizing; units, weights and rate are tensors in it.
    lengths = (len(units) // batches,) * batches
    step, render = net.traces.get(functools.partial(step_and_render, maximized, canvas.structure, ascent, lengths))
    if canvas.is_open:
        trace_any_size(step, variables, state, inputs, canvas)

    for count in range(1, steps + 1):
        inputs = inputs._replace(count=tf.constant(count))
        if callable(objective) and count > 1:
            inputs = inputs._replace(numbers=objective().numbers())
        if callable(rate) or count == 1:
            inputs = inputs._replace(rate=tf.constant(now("step size", rate), tf.float32))
        try:
            moved, state, values, is_finite = step(variables, state, inputs)
        except GraphFailed as error:
            custom.refuse_failed(maximized.terms, error)  # a function of the user's, named in the message
            raise
        if not is_finite:
            raise not_finite(maximized, canvas, inputs, render(variables), steps)
        variables = moved
        # Rendered when somebody reads the pictures: a frame that nobody shows costs nothing.
        yield Frame(functools.partial(_pictures, render, variables), count, steps, values)


def _starting_variables(ascent: Ascent, canvas: Canvas, seeds: Any, start: Array | None) -> Any:
    """The variables of all pictures before the first step: from noise, or from one picture."""
    if start is None:
        return ascent.parametrization.begin(canvas.shape, seeds)
    picture = tf.constant(start, tf.float32)
    picture = picture if canvas.is_open else tf.image.resize(picture, canvas.shape[:2])
    return ascent.parametrization.fit(tf.repeat(picture, len(seeds), 0))


def _pictures(render: Any, variables: Any) -> Array:
    return np.asarray(render(variables))
