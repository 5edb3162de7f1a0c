"""Whether a picture gets the same numbers alone and in a batch.

It does not where a network, or its preprocessing, mixes the pictures of a batch (`x / reduce_max(x)`, a normalization
over the batch) or takes one picture only (`tf.reshape(x, [1, -1])`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.graph import SMALL
from cnnwidgets.model.preprocessing.modes import is_affine
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.tracing.operations import descendants

if TYPE_CHECKING:
    from cnnwidgets.model.prepared_model import PreparedModel

TOLERANCE = 1e-3  # of the largest number: another batch shape rounds differently


def may_mix(inputs: Sequence[Any]) -> bool:
    """Whether anything in a run loses the axis of the batch, which is `None` in the placeholders that it was given."""
    return any(map(_loses_the_batch, descendants(one.op for one in inputs)))


def _loses_the_batch(operation: Any) -> bool:
    found = (one.shape for one in operation.outputs if one.dtype.is_floating)
    return any(shape.rank == 0 or (shape.rank and shape[0] is not None) for shape in found)


def takes_batches(net: PreparedModel, may_mix: bool) -> bool:
    """Whether each picture of a batch gets the numbers that it gets alone.

    Args:
        net: the network.
        may_mix: whether its model gives reason to try; a preprocessing of the user's own always does.
    """
    if not (may_mix or not is_affine(net.preprocess)) or net.random_note():
        return True
    numbers = np.random.default_rng(0)
    feed = [_two(info, numbers) for info in net.inputs]
    run = compiled(net.call, for_zeros=True)
    try:
        together, alone = (run([one[:count] for one in feed]) for count in (2, 1))
    except ValueError:  # a shape that fits one picture; what else is wrong is said elsewhere
        return False
    return all(map(_is_same, _floats(together), _floats(alone)))


def _two(info: Any, numbers: np.random.Generator) -> Any:
    """Two pictures that differ in brightness, or two zeros for a table."""
    shape = [2, *(n or SMALL for n in info.fed_shape)] if info.is_picture else [2, *(n or 1 for n in info.shape)]
    pictures = numbers.random(shape, np.float32) * np.reshape([0.5, 1.0], [2] + [1] * (len(shape) - 1))
    return tf.constant(pictures * info.is_picture, tf.float32)


def _floats(outputs: Any) -> Iterable[Any]:
    return (np.asarray(one) for one in keras.tree.flatten(outputs) if one.dtype.is_floating)


def _is_same(together: Any, alone: Any) -> bool:
    if len(together) != 2 or not np.isfinite(alone).all():
        return False
    return bool(np.abs(together[:1] - alone).max(initial=0) <= TOLERANCE * np.abs(alone).max(initial=1e-6))
