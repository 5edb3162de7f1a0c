"""Gradients window by window, for pictures that are too large, or not of the network's fixed size.

The picture counts as a torus: a window that leaves it on one side comes back on the other. Windows overlap, and of
the gradient in each only the middle is kept, so that none of the network's own borders shows as a seam; a random roll
of the whole picture at each step moves what is left of them about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnnwidgets.model.backend import tf

MARGIN = 16  # a window looks beyond what it is kept for by a sixteenth of its side, on each side
BATCH_PIXELS = 2**16  # small windows share a device call


@dataclass(frozen=True)
class Windows:
    """How a picture is read: in windows of at most this size, or of exactly this size.

    Attributes:
        height: of a window, in pixels.
        width: of a window, in pixels.
        exact: whether the network takes this size only; a smaller picture is repeated to fill a window.
    """

    height: int
    width: int
    exact: bool = False

    def read(self, value: Callable[[Any], Any], pictures: Any) -> Any:
        """The mean of a value over the windows of one picture, with the whole picture's gradient.

        Memory is that of one device call of windows, however large the picture is.

        Args:
            value: pictures [B, h, w, C] -> [B], inside a graph.
            pictures: [1, H, W, C].

        Returns:
            [1].
        """
        size = tf.shape(pictures)
        rows, high, top = self._lines(size[1], self.height)  # [n, h], kept rows, the first of them
        columns, wide, left = self._lines(size[2], self.width)  # [m, w]
        pixels = rows[:, None, :, None] * size[2] + columns[None, :, None, :]  # [n, m, h, w]
        flat = tf.reshape(tf.stop_gradient(pictures), [-1, pictures.shape[3]])  # [H * W, C]

        def one_call(pixels: Any) -> tuple[Any, Any]:  # [B, h, w] -> [B], [B, high, wide, C]
            windows = tf.gather(flat, pixels)
            if self.exact:
                windows = tf.ensure_shape(windows, [None, self.height, self.width, flat.shape[1]])
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(windows)
                values = value(windows)
                total = tf.reduce_sum(values)
            return values, tape.gradient(total, windows)[:, top : top + high, left : left + wide]

        many = tf.size(rows[:, 0]) * tf.size(columns[:, 0])
        calls = _grouped(tf.reshape(pixels, [many, *tf.unstack(tf.shape(pixels)[2:])]), self._batch)
        kinds = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None, None, None, flat.shape[1]], tf.float32)
        values, gradients = tf.map_fn(one_call, calls, fn_output_signature=kinds, parallel_iterations=1)
        values = tf.reshape(values, [-1])[:many]
        gradients = tf.reshape(gradients, [-1, high, wide, flat.shape[1]])[:many]
        gradient = _stitched(gradients, tf.shape(rows)[0], tf.shape(columns)[0])[: size[1], : size[2]]
        stand_in = tf.reduce_sum(pictures * gradient)  # linear, so its gradient is this one
        return tf.reduce_mean(values, keepdims=True) + stand_in - tf.stop_gradient(stand_in)

    @property
    def _batch(self) -> int:
        return max(1, min(16, BATCH_PIXELS // (self.height * self.width)))

    def _lines(self, length: Any, window: int) -> tuple[Any, Any, Any]:
        """The rows (or columns) [n, reach] of each window, how many in its middle are kept, and the first of those."""
        margin = window // MARGIN
        count = tf.where(length <= window, 1, -(-length // (window - 2 * margin)))
        kept = -(-length // count)
        reach = window if self.exact else tf.where(count == 1, length, kept + 2 * margin)
        before = (reach - kept) // 2
        starts = tf.range(count)[:, None] * kept - before
        return (starts + tf.range(reach)[None]) % length, kept, before


def _grouped(pixels: Any, batch: int) -> Any:  # [T, h, w] -> [calls, B, h, w]
    """Windows of one device call together; the last call is filled up with the first windows."""
    many = tf.shape(pixels)[0]
    batch = tf.minimum(batch, many)
    calls = -(-many // batch)
    filled = tf.gather(pixels, tf.range(calls * batch) % many)
    return tf.reshape(filled, [calls, batch, *tf.unstack(tf.shape(pixels)[1:])])


def _stitched(parts: Any, down: Any, across: Any) -> Any:  # [down * across, h, w, C] -> [down * h, across * w, C]
    """Parts, row by row, as one picture."""
    _, high, wide, channels = tf.unstack(tf.shape(parts))
    grid = tf.reshape(parts, [down, across, high, wide, channels])
    return tf.reshape(tf.transpose(grid, [0, 2, 1, 3, 4]), [down * high, across * wide, channels])
