"""Nonnegative factorization of activations into a few directions, and the coefficients of others along them."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget
from cnnwidgets.frame import Array

MOST_ROUNDS = 1000


def factorized(activations: Array, count: int, seed: int) -> tuple[Array, bool]:
    """Directions [count, k] of length 1 (Lee & Seung, Nature 1999, by scikit-learn), and whether they settled.

    A direction without any part in the activations is zero.

    Args:
        activations: [n, k], 0 or more.
        count: how many directions.
        seed: of the starting values.
    """
    decomposition = _installed("sklearn.decomposition")
    factors = decomposition.NMF(count, init="nndsvda", max_iter=MOST_ROUNDS, random_state=seed & 0x7FFFFFFF)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        factors.fit(np.asarray(activations, np.float64))
    directions = factors.components_
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.divide(directions, lengths, out=np.zeros_like(directions), where=lengths > 0), not caught


def check_installed() -> None:
    """Refuse to begin without scikit-learn.

    Raises:
        ImportError: with the command that installs it.
    """
    _installed("sklearn.decomposition")


def _installed(module: str) -> Any:
    """A module of scikit-learn, or of SciPy, which comes with it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            'Concepts need scikit-learn, which is not installed. Install it with: pip install "cnnwidgets[concepts]"'
        ) from error


def coefficients(activations: Array, directions: Array) -> Array:  # [n, k], [count, k] -> [n, count]
    """The nonnegative coefficients whose sum of directions comes nearest to each activation, exactly.

    Lawson & Hanson (1974), by SciPy, after a change of axes that makes k as small as the number of directions.
    """
    solve = _installed("scipy.optimize").nnls
    axes, along = np.linalg.qr(directions.T)
    found = np.zeros((len(activations), len(directions)))
    for row, towards in enumerate(activations @ axes):
        found[row] = solve(along, towards)[0]
    return found


def explained(activations: Array, directions: Array, mean: Array) -> float:
    """1 - |A - U W|^2 / |A - mean|^2, from 0 to 1: what the directions hold of how activations differ."""
    residual = activations - coefficients(activations, directions) @ directions
    total = float(np.square(activations - mean).sum())
    return float(np.clip(1 - np.square(residual).sum() / total, 0, 1)) if total > 0 else 0.0


def check_nonzero(activations: Array, path: str) -> None:
    """Refuse activations that are zero everywhere."""
    if not activations.any():
        raise BadTarget(
            f"The layer {path!r} is zero for every crop of these pictures, so there are no concepts in it. "
            "Choose another layer or other pictures."
        )
