"""Responses of units to many pictures, one after the other: the strongest ones and a histogram, in bounded memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRONGEST = 9  # pictures that are kept for each unit
BINS = 64  # of a histogram: half of them below 0
LEAST = -60  # exponent of the narrowest bins, 2^LEAST wide
NOBODY = -1  # a picture that is none


@dataclass(eq=False)
class Responses:
    """The responses of a layer's units, each picture's strongest one.

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

    def add(
        self, picture: int, highest: NDArray[np.float32], cells: NDArray[np.int32], is_flat: NDArray[np.bool_]
    ) -> None:
        """Add a picture.

        Args:
            picture: its index.
            highest: [units], the strongest response of each unit.
            cells: [units, 2], where that is.
            is_flat: [units], whether a unit responds alike everywhere, so that no part of the picture stands out.
        """
        self._count(highest)
        last = self.values[:, -1]
        units = np.flatnonzero(~is_flat & (np.isnan(last) | (highest > last)))
        values = np.concatenate([self.values[units], highest[units, None]], 1)
        order = np.argsort(-np.nan_to_num(values, nan=-np.inf), 1, kind="stable")[:, :STRONGEST]
        rows = np.arange(len(units))[:, None]
        self.values[units] = values[rows, order]
        own = np.full((len(units), 1), picture, np.int32)
        self.pictures[units] = np.concatenate([self.pictures[units], own], 1)[rows, order]
        self.cells[units] = np.concatenate([self.cells[units], cells[units, None]], 1)[rows, order]

    def _count(self, highest: NDArray[np.float32]) -> None:
        _, exponents = np.frexp(highest.astype(np.float64))  # |x| < 2^exponent
        needed = np.where(highest == 0, LEAST, np.maximum(LEAST, exponents - 5)).astype(np.int32)  # 2^5 = BINS / 2
        for unit in np.flatnonzero(needed > self.exponents):
            shift = int(needed[unit] - self.exponents[unit])
            merged = np.zeros(BINS, np.int64)
            np.add.at(merged, ((np.arange(BINS) - BINS // 2) >> min(shift, 32)) + BINS // 2, self.counts[unit])
            self.counts[unit], self.exponents[unit] = merged, needed[unit]
        bins = np.floor(np.ldexp(highest.astype(np.float64), -self.exponents)).astype(int) + BINS // 2
        self.counts[np.arange(len(highest)), np.clip(bins, 0, BINS - 1)] += 1

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
