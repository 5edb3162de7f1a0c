"""Numbers as lines, in SVG: the objective of a run, a removal curve, and the curves of a training."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnnwidgets.panels.base.markup import escape, progress_text

MOST_POINTS = 200  # of a curve
TOPS = (0.05, 0.1, 0.2, 0.5, 1.0)  # of the axis of a curve of shares


def curve(values: Sequence[float], steps: int, label: str) -> str:
    """The objective over the steps as a line; `steps` is the whole width."""
    stride = -(-len(values) // MOST_POINTS) or 1
    finite = [(i, v) for i, v in enumerate(values) if math.isfinite(v) and (i % stride == 0 or i == len(values) - 1)]
    if len(finite) < 2:
        return ""
    low, high = min(v for _, v in finite), max(v for _, v in finite)
    span = (high - low) or 1.0
    points = " ".join(f"{300 * i / max(1, steps - 1):.1f},{58 - 54 * (v - low) / span:.1f}" for i, v in finite)
    words = f"{label}: from {finite[0][1]:.3g} to {finite[-1][1]:.3g}"
    return _wide(_line(points), words)


def removal_curve(
    fractions: Sequence[float], values: Sequence[float], random: Sequence[float], words: str, are_shares: bool = True
) -> str:
    """What is predicted while pixels are removed, as a line, and a dashed line for random orders.

    Args:
        fractions: 0..1, of the pixels.
        values: of the map's order; NaN where they are still to come.
        random: of random orders; NaN where they are still to come.
        words: what it shows, for screen readers.
        are_shares: whether the values are 0..1, shown as percent.
    """
    known = [v for v in (*values, *random) if math.isfinite(v)]
    low, high = min([0.0, *known]), max([0.0, *known])
    high = next((top for top in TOPS if top >= high), high) if are_shares else high
    span = (high - low) or 1.0

    def line(numbers: Sequence[float], look: str) -> str:
        pairs = [(f, v) for f, v in zip(fractions, numbers, strict=True) if math.isfinite(v)]
        points = " ".join(f"{34 + 260 * f:.1f},{130 - 120 * (v - low) / span:.1f}" for f, v in pairs)
        return f'<polyline points="{points}" fill="none" {look}/>' if len(pairs) > 1 else ""

    written = "{:.0%}".format if are_shares else "{:.3g}".format
    axes = (
        '<path d="M34 10V130H294" fill="none" stroke="currentColor" opacity=".5"/>'
        f'<text x="30" y="16" text-anchor="end">{escape(written(high))}</text>'
        f'<text x="30" y="130" text-anchor="end">{escape(written(low))}</text>'
        '<text x="34" y="144">0 % of the pixels</text><text x="294" y="144" text-anchor="end">100 %</text>'
    )
    chance = line(random, 'stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4" opacity=".7"')
    own = line(values, 'class="cnnw-own" stroke-width="2.5"')
    return (
        f'<svg class="cnnw-removal" viewBox="0 0 300 150" role="img" aria-label="{escape(words)}">'
        f"<title>{escape(words)}</title>{axes}{chance}{own}</svg>"
        f"{progress_text('solid: the order of this map; dashed: the mean of random orders')}"
    )


def chart(lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], at: float | None, end: float) -> str:
    """Numbers over the time of a training: one line for each name, solid the first, dashed the second.

    Args:
        lines: for each a name and its (time, value) points.
        at: the moment that is shown, marked by an upright line.
        end: the time at the right edge.
    """
    finite = [(name, [point for point in points if math.isfinite(point[1])]) for name, points in lines]
    finite = [(name, points) for name, points in finite if points]
    if not finite:
        return ""
    low = min(value for _, points in finite for _, value in points)
    span = (max(value for _, points in finite for _, value in points) - low) or 1.0
    drawn = []
    for index, (_, points) in enumerate(finite):
        places = " ".join(f"{300 * x / (end or 1):.1f},{58 - 54 * (y - low) / span:.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 3"' if index else ""
        drawn.append(_line(places, dash))
    if at is not None:
        x = f"{300 * min(1.0, at / (end or 1)):.1f}"
        drawn.append(
            f'<line x1="{x}" x2="{x}" y1="0" y2="62" stroke="var(--jp-ui-font-color2,#555)" '
            'vector-effect="non-scaling-stroke"/>'
        )
    words = ", ".join(
        f"{name}{' (dashed)' if index else ''} {_at(points, at):.3g}" for index, (name, points) in enumerate(finite)
    )
    return _wide("".join(drawn), words)


def _at(points: Sequence[tuple[float, float]], moment: float | None) -> float:
    """The value at a moment: the last one before it, or the first."""
    before = [value for time, value in points if moment is None or time <= moment]
    return before[-1] if before else points[0][1]


def _line(points: str, dash: str = "") -> str:
    return (
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="2"{dash} '
        'vector-effect="non-scaling-stroke"/>'
    )


def _wide(drawn: str, words: str) -> str:
    """A drawing of the full width, with its numbers in words under it."""
    return (
        f'<svg class="cnnw-curve" viewBox="0 0 300 62" preserveAspectRatio="none" height="62" role="img" '
        f'aria-label="{escape(words)}"><title>{escape(words)}</title>{drawn}</svg>{progress_text(words)}'
    )
