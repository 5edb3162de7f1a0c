"""What a step of gradient ascent gets besides the pictures, and how several batches share a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

from cnnwidgets.model.backend import tf
from cnnwidgets.model.canvas import Canvas
from cnnwidgets.visualize import randomness
from cnnwidgets.visualize.objectives import Objective


class Moment(NamedTuple):
    """All that may change from step to step, as tensors: none of it makes another graph.

    Attributes:
        count: which step, from 1.
        numbers: units, weights and places of each of the objective's terms.
        rate: how far the step goes.
        seeds: [N, 2], of each picture's own randomness.
        shared: [2], of what is random for all pictures alike.
        held: what the other inputs get, by their index.
    """

    count: Any
    numbers: Any
    rate: Any
    seeds: Any
    shared: Any
    held: Any

    @classmethod
    def before(cls, objective: Objective, seed: int, canvas: Canvas) -> Self:
        """The moment before the first step."""
        seeds = randomness.picture_seeds(seed, objective.units)
        shared = tf.constant([seed & 0x7FFFFFFF, 0x5EED], tf.int32)
        return cls(tf.constant(0), objective.numbers(), tf.constant(0.0), seeds, shared, dict(canvas.held))

    def at(self, count: int, objective: Objective, rate: float) -> Self:
        """The moment of a step."""
        return self._replace(count=tf.constant(count), numbers=objective.numbers(), rate=tf.constant(rate, tf.float32))

    def randomness(self) -> tuple[Any, Any]:
        """Fresh seeds for this step: for each picture, [N, 2], and for all alike, [2]."""
        fresh = randomness.at_step(self.seeds, self.count)
        return fresh, tf.random.experimental.stateless_fold_in(self.shared, self.count)

    def split(self, parts: int) -> list[Self]:
        """The same for each of several batches of equally many pictures."""
        units = [tf.split(term.units, parts) for term in self.numbers]
        seeds = tf.split(self.seeds, parts)
        return [
            self._replace(
                numbers=tuple(term._replace(units=own[i]) for term, own in zip(self.numbers, units, strict=True)),
                seeds=seeds[i],
            )
            for i in range(parts)
        ]


def side_by_side(step: Callable[..., Any], parts: int) -> Callable[..., Any]:
    """A step of several batches, which share nothing but the rate and what is random for all."""

    def steps(variables: Any, state: Any, moment: Moment) -> Any:
        each = [step(*one) for one in zip(variables, state, moment.split(parts), strict=True)]
        variables, state, values, is_finite = map(list, zip(*each, strict=True))
        return variables, state, tf.concat(values, 0), tf.reduce_all(is_finite)

    return steps


def of_any_size(pictures: Any, shape: tuple[int | None, ...]) -> Any:
    """What a graph takes instead of these pictures [N, H, W, C], where rows or columns are left open."""
    return tf.nest.map_structure(lambda t: tf.TensorSpec([t.shape[0], *shape], t.dtype), pictures)
