"""Random numbers from (seed, picture, step) alone: the user's generators are neither read nor moved.

A picture's numbers never depend on its neighbors in a batch, so a unit's picture is the same wherever it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnwidgets.model.backend import tf

MORE_THAN_STEPS = 1_000_003  # so that no (seed, step) is another one's


def picture_seeds(seed: int, units: Sequence[int]) -> Any:
    """One stateless seed for each picture.

    Returns:
        int64 [N, 2].
    """
    return tf.constant(np.array([[seed & 0x7FFFFFFF, unit & 0x7FFFFFFF] for unit in units], np.int64))


def at_step(seeds: Any, step: Any) -> Any:  # [N, 2], [] -> [N, 2]
    """Fresh seeds for one step, all at once: the generator scrambles them itself (Philox), so a number will do."""
    return seeds * [MORE_THAN_STEPS, 1] + tf.stack([tf.cast(step, tf.int64), 0])


def normal(seeds: Any, shape: Sequence[int]) -> Any:
    """Standard normal numbers, [N, *shape], each picture from its own seed."""
    return tf.stack([tf.random.stateless_normal(shape, s) for s in tf.unstack(seeds)])


def uniform(seeds: Any, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Any:
    """Uniform numbers from [low, high), [N, *shape], each picture from its own seed."""
    return tf.stack([tf.random.stateless_uniform(shape, s, low, high) for s in tf.unstack(seeds)])
