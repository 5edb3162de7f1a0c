"""How much each concept matters for a target: by gradients, or by switching concepts off in many combinations."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np

from cnnwidgets.explain import targets
from cnnwidgets.explain.concept_search.factorization import coefficients
from cnnwidgets.explain.pass_cost import copies_of_pictures
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.targets import Target
from cnnwidgets.frame import Array

DRAWS = 5  # of the Sobol design: 2^5 pairs of masks


def split(activation: Array, directions: Array) -> Array:  # [..., k] -> [..., k or 2 k]
    """Positive and negative parts of an activation, where the directions are of both."""
    if activation.shape[-1] == directions.shape[-1]:
        return np.maximum(activation, 0)
    return np.concatenate([np.maximum(activation, 0), np.maximum(-activation, 0)], -1)


def signed(directions: Array, units: int) -> Array:  # [count, k or 2 k] -> [count, k]
    """Directions among the layer's own channels, with signs."""
    return directions if directions.shape[-1] == units else directions[:, :units] - directions[:, units:]


def by_gradient(probe: Probe, target: Target, path: str, call: int, directions: Array) -> Array | None:
    """[count]: each concept's part of the activation times the target's gradient, summed over positions.

    `None` where no gradient of the target reaches the layer.
    """
    (gradient,) = probe.backward_to_units(path, call, target).gradients
    if gradient is None:
        return None
    activation = np.asarray(probe.unit_activations(path)[call][0], np.float64)
    units = activation.shape[-1]
    there = coefficients(split(activation, directions).reshape(-1, directions.shape[1]), directions)  # [h * w, count]
    gradients = gradient[0].reshape(-1, units) @ signed(directions, units).T  # [h * w, count]
    return np.asarray((there * gradients).sum(0))


def by_sobol(probe: Probe, target: Target, path: str, call: int, directions: Array) -> Array:
    """[count]: total Sobol indices of masks on the concepts (CRAFT, arXiv:2211.10154; Jansen's estimator), from 0.

    What the concepts do not hold of the activation stays as it is.
    """
    activation = np.asarray(probe.unit_activations(path)[call][0], np.float64)  # [h, w, k]
    there = coefficients(split(activation, directions).reshape(-1, directions.shape[1]), directions)
    there = there.reshape(*activation.shape[:2], -1)  # [h, w, count]
    along = signed(directions, activation.shape[-1])
    fixed = targets.settled(target, probe.values(target))

    def values(masks: Array) -> Array:  # [n, count] -> [n]
        parts = np.array_split(masks, -(-len(masks) // copies_of_pictures(probe)))
        mixed = (activation + ((part - 1)[:, None, None] * there) @ along for part in parts)
        return np.concatenate([probe.values_at(path, call, fixed, one) for one in mixed]).astype(np.float64)

    return total_indices(values, len(directions))


def total_indices(values: Callable[[Array], Array], count: int) -> Array:
    """The total Sobol index of each of `count` numbers from 0 to 1, for a function of them, [n, count] -> [n]."""
    design = importlib.import_module("scipy.stats.qmc").Sobol(2 * count, scramble=False).random_base2(DRAWS)
    first, second = design[:, :count], design[:, count:]
    base = values(first)
    spread = 2 * base.var()
    found = np.zeros(count)
    for one in range(count if spread > 0 else 0):
        changed = first.copy()
        changed[:, one] = second[:, one]
        found[one] = np.square(base - values(changed)).mean() / spread
    return found


METHODS = {"gradient_x_activation": by_gradient, "sobol": by_sobol}
