"""Responses of units to many pictures, some at a time: the strongest ones and a histogram, in bounded memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRONGEST = 9  # pictures that are kept for each unit
BINS = 64  # of a histogram: half of them below 0
LEAST = -60  # exponent of the narrowest bins, 2^LEAST wide
NOBODY = -1  # a picture that is none


@dataclass(eq=False)
class Responses:
    """The responses of units, each picture's strongest one.

    Attributes:
        values: [units, STRONGEST] float32, the strongest first; NaN where there is none.
        pictures: [units, STRONGEST] int32, the index of the picture; NOBODY where there is none.
        cells: [units, STRONGEST, 2] int32, row and column on the layer's map.
        counts: [units, BINS] int64, how many pictures: bin j holds those from (j - BINS / 2) * 2^e up to the next one.
        exponents: [units] int32, e: bins are merged in pairs when a response is outside.
    """

    values: NDArray[np.float32]
    pictures: NDArray[np.int32]
    cells: NDArray[np.int32]
    counts: NDArray[np.int64]
    exponents: NDArray[np.int32]

    @classmethod
    def none(cls, units: int) -> Responses:
        """Those to no picture at all."""
        return cls(
            np.full((units, STRONGEST), np.nan, np.float32),
            np.full((units, STRONGEST), NOBODY, np.int32),
            np.zeros((units, STRONGEST, 2), np.int32),
            np.zeros((units, BINS), np.int64),
            np.full(units, LEAST, np.int32),
        )

    def worst(self) -> NDArray[np.float32]:
        """[units], what a response must exceed to be among the strongest; -infinity where there are fewer so far."""
        return np.where(np.isnan(self.values[:, -1]), np.float32(-np.inf), self.values[:, -1])

    def add(
        self,
        pictures: NDArray[np.int32],
        highest: NDArray[np.float32],
        rows: NDArray[Any],
        units: NDArray[Any],
        cells: NDArray[np.int32],
    ) -> None:
        """Add some pictures; of responses that are equal, the earlier picture's counts as stronger.

        Args:
            pictures: [n], their indices, ascending.
            highest: [n, units], the strongest response of each unit.
            rows: [m], the rows of `highest` with a response that may be among the strongest.
            units: [m], its unit. A unit that responds alike everywhere, so that no part of the picture stands out, is
                left out.
            cells: [m, 2], where on the map that response is.
        """
        self._count(highest)
        own, at = np.unique(units, return_inverse=True)
        shape = len(own), STRONGEST + len(pictures)
        values, places = np.full(shape, np.nan, np.float32), np.zeros((*shape, 2), np.int32)
        numbers = np.full(shape, NOBODY, np.int32)
        known, new = np.s_[:, :STRONGEST], (at, STRONGEST + rows)
        values[known], numbers[known], places[known] = self.values[own], self.pictures[own], self.cells[own]
        values[new], numbers[new], places[new] = highest[rows, units], pictures[rows], cells
        order = np.argsort(-values, 1, kind="stable")[:, :STRONGEST]  # NaN comes last
        chosen = np.arange(len(own))[:, None], order
        self.values[own], self.pictures[own], self.cells[own] = values[chosen], numbers[chosen], places[chosen]

    def _count(self, highest: NDArray[np.float32]) -> None:
        largest = np.abs(highest).max(0, initial=0).astype(np.float64)  # [units]
        for unit in np.flatnonzero(largest >= np.ldexp(BINS / 2, self.exponents)):
            needed = int(np.frexp(largest[unit])[1]) - 5  # 2^5 = BINS / 2
            shift = min(needed - int(self.exponents[unit]), 32)
            merged = np.zeros(BINS, np.int64)
            np.add.at(merged, ((np.arange(BINS) - BINS // 2) >> shift) + BINS // 2, self.counts[unit])
            self.counts[unit], self.exponents[unit] = merged, needed
        bins = np.floor(highest * np.ldexp(1.0, -self.exponents)).astype(np.intp) + BINS // 2  # in float64
        bins += np.arange(len(self.counts)) * BINS
        self.counts += np.bincount(bins.ravel(), minlength=self.counts.size).reshape(self.counts.shape)

    def part(self, start: int, count: int) -> Responses:
        """Those of so many units from this one on; not a copy."""
        return Responses(*(array[start : start + count] for array in vars(self).values()))

    def to_bytes(self) -> bytes:
        """All arrays, one after the other."""
        return b"".join(np.ascontiguousarray(array).tobytes() for array in vars(self).values())


def from_bytes(data: bytes, units: int) -> tuple[Responses, bytes]:
    """What `to_bytes` wrote for so many units, and the bytes behind it; ValueError if there are too few."""
    found = Responses.none(units)
    for name, like in vars(found).items():
        if len(data) < like.nbytes:
            raise ValueError("too short")
        setattr(found, name, np.frombuffer(data[: like.nbytes], like.dtype).reshape(like.shape).copy())
        data = data[like.nbytes :]
    return found, data


def histogram(counts: NDArray[np.int64], exponent: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The counts and edges of a unit's histogram, without empty bins at its ends; ([], []) where there is nothing."""
    there = np.flatnonzero(counts)
    if not len(there):
        return np.zeros(0, np.int64), np.zeros(0)
    first, last = int(there[0]), int(there[-1])
    edges = np.ldexp((np.arange(first, last + 2) - BINS // 2).astype(np.float64), exponent)
    return counts[first : last + 1].copy(), edges


def digest_of(parts: bytes) -> bytes:
    """32 bytes that tell contents apart."""
    return hashlib.sha256(parts).digest()
