"""Texts for inputs that take them: each gets a number, so that they are fed as tables are, and graphs look it up."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf

_numbers: dict[bytes, int] = {b"": 0}  # no text, for an input that is left out
_growing = threading.Lock()


@functools.lru_cache(maxsize=1)
def _texts() -> Any:
    """All texts in the order of their numbers: a variable, since graphs must see those that come later."""
    with tf.init_scope():
        return tf.Variable([""], shape=[None], trainable=False)


def numbers_of(value: object) -> Array | None:
    """The number of each text, float32 in the shape of the array; `None` for what is not text."""
    given = np.asarray(value, object)
    texts = [one.encode() if isinstance(one, str) else one for one in given.ravel()]
    if not all(isinstance(one, bytes) for one in texts):
        return None
    with _growing:
        known = len(_numbers)
        found = [_numbers.setdefault(one, len(_numbers)) for one in texts]
        if len(_numbers) > known:
            _texts().assign(list(_numbers))
    return np.array(found, np.float32).reshape(given.shape)


def texts_of(numbers: Any) -> Any:
    """The texts of such numbers, a tensor of the same shape."""
    return tf.gather(_texts(), tf.cast(numbers, tf.int32))


def content_of(numbers: Array) -> bytes:
    """The texts of such numbers, which mean nothing to another process."""
    every = list(_numbers)
    return repr([every[int(one)] for one in numbers.ravel()]).encode()
