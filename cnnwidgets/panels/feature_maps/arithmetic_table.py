"""The arithmetic of one value as HTML: small grids, and numbers that add up."""

from __future__ import annotations

import base64

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.activations.convolution import Convolution, Pooling
from cnnwidgets.panels.base.markup import escape, progress_text
from cnnwidgets.pictures.number_grids import rounded_terms, signed_grid

SHOWN = 4  # input channels with grids of their own; the others are one sum
CELL, LARGEST = 12, 72  # CSS pixels of a cell, and of a grid at most


def table(found: Convolution | Pooling) -> str:
    """One value: where it comes from, what it is made of, and what the activation function makes of it."""
    return _convolution(found) if isinstance(found, Convolution) else _pooling(found)


def _convolution(c: Convolution) -> str:
    sums = c.products.sum((0, 1), dtype=np.float64)
    order = np.argsort(-np.abs(sums), kind="stable")
    shown, rest = order[:SHOWN], order[SHOWN:]
    terms = [*(float(sums[i]) for i in shown), *([float(sums[rest].sum())] if len(rest) else []), c.bias]
    rounded, decimals = rounded_terms(terms)
    before = sum(round(term * 10**decimals) for term in rounded) / 10**decimals
    largest = [float(np.abs(part).max()) for part in (c.patch, c.kernel, c.products)]
    rows = [
        _row(f"channel {c.channels[i]}", _grids(c, int(i), largest), f"{rounded[k]:+,.{decimals}f}")
        for k, i in enumerate(shown)
    ]
    if len(rest):
        rows.append(_row(f"{len(rest)} other channels", [], f"{rounded[len(shown)]:+,.{decimals}f}"))
    rows.append(_row("bias", [], f"{rounded[-1]:+,.{decimals}f}"))
    rows.append(_row("before the activation" if c.activation else "output", [], f"= {before:,.{decimals}f}", "total"))
    if c.activation:
        rows.append(_row(f"after {c.activation}", [], f"{c.after:,.{decimals}f}", "total"))
    return _table([_row("", ["input × weights → products"], "sum"), *rows], _padding(c))


def _grids(c: Convolution, i: int, largest: list[float]) -> list[str]:
    """Input, weights and products of one channel; colors are shared among the channels."""
    patch = _grid(c.patch[..., i], largest[0], "input", c.outside)
    kernel = _grid(c.kernel[..., i], largest[1], "weights")
    return [patch, "×", kernel, "→", _grid(c.products[..., i], largest[2], "products", c.outside)]


def _pooling(p: Pooling) -> str:
    largest = float(np.abs(p.patch).max())
    where = ""
    if p.winner is not None:
        row, column = p.rows[p.winner[0]], p.columns[p.winner[1]]
        where = f"The largest value wins: row {row}, column {column} of the input."
    kind = "largest value" if p.winner is not None else f"mean of {int((p.shares > 0).sum())} values"
    grids = [_grid(p.patch, largest, "input", p.outside), "→", _grid(p.shares, 1.0, "share of each value", p.outside)]
    rows = [
        _row("", ["input → share"], ""),
        _row(f"channel {p.unit}", grids, ""),
        _row(kind, [], f"= {p.after:.4g}", "total"),
    ]
    return _table(rows, f"{where} {_padding(p)}".strip())


def _padding(found: Convolution | Pooling) -> str:
    count = int(found.outside.sum())
    if count == found.outside.size:
        return "It looks at none of its input: its kernel is smaller than its stride."
    where = "between two inputs or in the padding" if _is_transposed(found) else "in the padding"
    lies = f" {count} of its {found.outside.size} positions lie {where} (gray), which counts as 0." if count else ""
    top, left, bottom, right = found.box
    turned = " Its kernel is turned by 180 degrees, as it meets the input." if _is_transposed(found) else ""
    return f"It looks at rows {top} to {bottom - 1} and columns {left} to {right - 1} of its input.{lies}{turned}"


def _is_transposed(found: Convolution | Pooling) -> bool:
    return isinstance(found, Convolution) and found.is_transposed


def _table(rows: list[str], words: str) -> str:
    return f'<table class="cnnw-sum" aria-label="Arithmetic">{"".join(rows)}</table>{progress_text(words)}'


def _row(name: str, grids: list[str], number: str, kind: str = "") -> str:
    cells = f"<td>{''.join(grids)}</td>" if grids else "<td></td>"
    return f'<tr class="{kind}"><th scope="row">{escape(name)}</th>{cells}<td>{escape(number)}</td></tr>'


def _grid(values: np.ndarray, largest: float, name: str, outside: np.ndarray | None = None) -> str:
    """A grid as a picture of one pixel for each number, enlarged by the page."""
    high, wide = values.shape
    cell = min(CELL, LARGEST / max(high, wide))
    address = base64.b64encode(pictures.to_png(signed_grid(values, largest, outside))).decode()
    words = f"{name}: {high} x {wide} numbers from {values.min():.3g} to {values.max():.3g}"
    return (
        f'<img src="data:image/png;base64,{address}" alt="{escape(words)}" title="{escape(words)}" '
        f'style="width:{wide * cell:g}px;height:{high * cell:g}px">'
    )


def outline(box: tuple[float, float, float, float], size: tuple[float, float]) -> str:
    """A frame over a picture: (top, left, bottom, right) of its (height, width)."""
    top, left, bottom, right = (100 * edge / size[i % 2] for i, edge in enumerate(box))
    return (
        f'<div class="cnnw-outline" style="top:{top:.2f}%;left:{left:.2f}%;width:{right - left:.2f}%;'
        f'height:{bottom - top:.2f}%"></div>'
    )
