"""The examples of one layer, read from an atlas: strongest patches and a histogram for each unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.atlas.examples.responses import LEAST, histogram
from cnnwidgets.atlas.store import damaged


class LayerExamples:
    """Reads units whose indices ascend, all at once: a page of an atlas shows many.

    Args:
        where: the address of the atlas.
        path: of the layer.
        group: its checked arrays, from `examples_group`.
    """

    def __init__(self, where: str, path: str, group: Any) -> None:
        self._where, self._path, self._group = where, path, group

    @property
    def skipped(self) -> list[str]:
        """The pictures that could not be read, each with the reason."""
        return list(map(str, self._group.attrs.get("skipped", ())))

    def values(self, units: Sequence[int]) -> NDArray[np.float32]:
        """[units, STRONGEST], the strongest first; NaN where there is none."""
        return self._read("values", units)

    def patches(self, units: Sequence[int]) -> list[NDArray[np.uint8]]:
        """For each unit [n, h, w, 3], the strongest first."""
        counts = np.isfinite(self.values(units)).sum(1)
        return [own[:count] for own, count in zip(self._read("patches", units), counts, strict=True)]

    def histograms(self, units: Sequence[int]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """For each unit (counts [n], edges [n + 1])."""
        exponents = np.clip(self._read("exponents", units), LEAST, -LEAST * 3).tolist()
        return list(map(histogram, self._read("counts", units), exponents))

    def _read(self, name: str, units: Sequence[int]) -> NDArray[Any]:
        array = self._group[name]
        if not units:
            return np.zeros((0, *array.shape[1:]), array.dtype)
        try:
            return np.asarray(array[units[0] : units[-1] + 1])[[unit - units[0] for unit in units]]
        except Exception as error:  # Zarr can raise anything for a file that others wrote
            raise damaged(self._where, self._path, type(error).__name__) from error
