"""A faithfulness curve as SVG, for a page without scripts."""

from __future__ import annotations

import numpy as np

from cnnwidgets.explain.faithfulness import Curve
from cnnwidgets.frame import Array

WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 340, 150, 40, 22, 10  # pixels; the margins hold the numbers


def curve_drawing(curve: Curve, title: str) -> str:
    """The curve of a map, and dashed that of random orders."""
    shown = np.concatenate([curve.values, curve.random_values])
    low, high = (0.0, 1.0) if shown.min() >= 0 and shown.max() <= 1 else (float(shown.min()), float(shown.max()))
    right, bottom = WIDTH - 8, HEIGHT - BELOW

    def line(values: Array) -> str:
        across = LEFT + (right - LEFT) * curve.fractions
        up = bottom - (bottom - ABOVE) * (values - low) / ((high - low) or 1.0)
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))

    verb = "inserted" if curve.metric == "insertion" else "removed"
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}' role='img'><title>{title}</title>"
        f"<path class='axis' fill='none' d='M{LEFT} {ABOVE}V{bottom}H{right}'/>"
        f"<polyline class='chance' points='{line(curve.random_values)}'/>"
        f"<polyline class='map' points='{line(curve.values)}'/>"
        f"<text x='{LEFT - 4}' y='{ABOVE + 6}' text-anchor='end'>{high:.3g}</text>"
        f"<text x='{LEFT - 4}' y='{bottom}' text-anchor='end'>{low:.3g}</text>"
        f"<text x='{LEFT}' y='{HEIGHT - 6}'>pixels {verb}: 0</text>"
        f"<text x='{right}' y='{HEIGHT - 6}' text-anchor='end'>all</text></svg>"
    )
