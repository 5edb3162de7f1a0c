"""One step of gradient ascent as a graph, and the graph that renders its pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from cnnwidgets.errors import BadModel, BadTarget, JobFailed
from cnnwidgets.model.backend import tf
from cnnwidgets.model.graph import enough_room
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.visualize import optimizers, parametrizations, randomness
from cnnwidgets.visualize import transforms as transforms_
from cnnwidgets.visualize.canvas_choice import no_gradient
from cnnwidgets.visualize.terms import custom
from cnnwidgets.visualize.terms.objective_values import Values


@dataclass(frozen=True)
class Ascent:
    """How pictures are optimized: their variables, what they must be robust to, and the optimizer.

    Attributes:
        parametrization: the picture as free variables.
        transforms: random changes before each step, under which the picture must keep its value.
        optimizer: how a gradient becomes a step.
        finish: turns rendered pictures [N, H, W, C] into those that are shown, 0..1.
    """

    parametrization: parametrizations.Parametrization = parametrizations.USUAL
    transforms: tuple[transforms_.Transform, ...] = transforms_.USUAL
    optimizer: optimizers.Optimizer = optimizers.USUAL
    finish: Callable[[Any], Any] = lambda pictures: tf.clip_by_value(pictures, 0.0, 1.0)


class StepInputs(NamedTuple):
    """The inputs of a step besides variables and state, as tensors, so that a new value needs no new graph.

    Attributes:
        count: the number of the step, from 1.
        numbers: units, weights and positions of each of the objective's terms.
        rate: the learning rate.
        seeds: [N, 2], the seed of each picture's own randomness.
        shared: [2], the seed of what is random for all pictures alike.
        held: the values of the other inputs, by their index.
        photograph: [1, H, W, C], the one that the objective compares pictures with, if it does.
    """

    count: Any
    numbers: Any
    rate: Any
    seeds: Any
    shared: Any
    held: Any
    photograph: Any = None

    @classmethod
    def before(cls, numbers: Any, units: Sequence[int], seed: int, canvas: Canvas) -> Self:
        """The inputs before the first step."""
        seeds = randomness.picture_seeds(seed, units)
        shared = tf.constant([seed & 0x7FFFFFFF, 0x5EED], tf.int32)
        held, photograph = dict(canvas.held), canvas.photograph
        return cls(tf.constant(0), numbers, tf.constant(0.0), seeds, shared, held, photograph)

    def split(self, parts: int) -> list[Self]:
        """The same inputs for each of several batches of equally many pictures."""
        units = [tf.split(term.units, parts) for term in self.numbers]
        seeds = tf.split(self.seeds, parts)
        return [
            self._replace(
                numbers=tuple(term._replace(units=own[i]) for term, own in zip(self.numbers, units, strict=True)),
                seeds=seeds[i],
            )
            for i in range(parts)
        ]


def step_and_render(values: Values, canvas: Canvas, ascent: Ascent, shares: tuple[int, ...]) -> tuple[Any, Any]:
    """Two graphs: a step of all batches, and their pictures; `shares` are the lengths of the batches."""

    def render(variables: Any) -> Any:
        return tf.concat([ascent.finish(ascent.parametrization.render(v, canvas.shape)) for v in variables], 0)

    step = compiled(_gradient_step(values, canvas, ascent))  # traced once for all batches
    return compiled(_side_by_side(step, len(shares))), compiled(render)


def _gradient_step(values: Values, canvas: Canvas, ascent: Ascent) -> Callable[..., Any]:
    """A step of one batch as a pure function: variables and state in, variables and state out."""
    by_windows = canvas.windows.read if canvas.windows else lambda value, pictures: value(pictures)

    def value(pictures: Any, inputs: StepInputs) -> Any:  # [N, H, W, C] -> [N]
        fresh = randomness.at_step(inputs.seeds, inputs.count)  # [N, 2]
        alike = tf.random.experimental.stateless_fold_in(inputs.shared, inputs.count)  # [2]

        def transformed(pictures: Any) -> Any:
            return transforms_.compose(pictures, ascent.transforms, fresh, alike)

        def fed(seen: Any) -> list[Any]:
            return canvas.feed(values.net, seen, inputs.held)

        photograph = None
        if inputs.photograph is not None:  # under the same transforms, so that positions correspond
            photograph = fed(transformed(tf.repeat(inputs.photograph, tf.shape(pictures)[0], 0)))
        with enough_room(*canvas.shape[:2], BadTarget):
            return by_windows(lambda seen: values(fed(seen), inputs.numbers, photograph), transformed(pictures))

    def step(variables: Any, state: Any, inputs: StepInputs) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            pictures = ascent.parametrization.render(variables, canvas.shape)  # [N, H, W, C]
            reached = value(pictures, inputs)  # [N]
            total = tf.reduce_sum(reached)  # a sum, so that pictures stay independent
        gradient = tape.gradient(total, variables)
        if gradient is None:
            raise BadTarget(no_gradient(values.net, values.terms))
        variables, state = ascent.optimizer.step(variables, state, gradient, inputs.count, inputs.rate)
        is_finite = tf.reduce_all(tf.math.is_finite(variables)) & tf.reduce_all(tf.math.is_finite(reached))
        return variables, state, reached, is_finite

    return step


def _side_by_side(step: Callable[..., Any], parts: int) -> Callable[..., Any]:
    """A step of several batches, which share nothing but the rate and what is random for all."""

    def steps(variables: Any, state: Any, inputs: StepInputs) -> Any:
        each = [step(*one) for one in zip(variables, state, inputs.split(parts), strict=True)]
        variables, state, values, is_finite = map(list, zip(*each, strict=True))
        return variables, state, tf.concat(values, 0), tf.reduce_all(is_finite)

    return steps


def trace_any_size(step: Any, variables: Any, state: Any, inputs: StepInputs, canvas: Canvas) -> None:
    """Trace a step for pictures of every size, where rows and columns are left open."""

    def opened(tensor: Any) -> Any:  # [N, H, W, C]
        return tf.TensorSpec([tensor.shape[0], *canvas.shape], tensor.dtype)

    step.get_concrete_function(*tf.nest.map_structure(opened, (variables, state)), inputs)


def not_finite(values: Values, canvas: Canvas, inputs: StepInputs, pictures: Any, steps: int) -> Exception:
    """The error for a step from these pictures that led to NaN or infinity."""
    count, functions = int(inputs.count), custom.functions_in(values.terms)
    if count > 1:
        return JobFailed(
            f"The run diverged at step {count} of {steps}: the picture is no longer finite. The last good picture is "
            f"kept; lower the step size, or check {functions and 'your function, '}the network's weights and "
            "preprocessing."
        )
    feed = canvas.feed(values.net, pictures, inputs.held)
    photograph = None if inputs.photograph is None else feed
    if functions and np.isfinite(values.without_functions()(feed, inputs.numbers, photograph)).all():
        return BadTarget(
            f"{functions} returned NaN or infinity, or its gradient is not finite, although the activation is. "
            "Avoid divisions by zero, and roots and logarithms of zero."
        )
    return BadModel(values.net.why_not_finite())
