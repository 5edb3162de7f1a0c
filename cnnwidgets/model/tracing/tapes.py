"""The `tf.GradientTape` that a user has open around a verb: it does not hear what the verb computes.

It would ask for gradients of gradients, which not every operation has.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import tensorflow as tf
from tensorflow.python.eager import record


def are_open() -> bool:
    """Whether a tape of the user's is open, outside of any graph."""
    return tf.executing_eagerly() and bool(record.could_possibly_record())


def stopped() -> AbstractContextManager[None]:
    """Stop them for the length of a `with`."""
    made: AbstractContextManager[None] = record.stop_recording()
    return made
