"""The parts of a UnitPanel that are HTML: a histogram, the classes, and the units that it is connected to."""

from __future__ import annotations

from collections.abc import Sequence

from cnnwidgets.activations.unit_links import Link
from cnnwidgets.activations.unit_responses import Responses
from cnnwidgets.panels.base.markup import escape, progress_text, title

WIDE, HIGH = 260, 64


def histogram(responses: Responses) -> str:
    """Responses as bars; a bar's height is the square root of its count, so that rare strong ones are seen."""
    most = max(int(responses.counts.max()), 1)
    step = WIDE / len(responses.counts)
    highs = [HIGH * (count / most) ** 0.5 for count in responses.counts.tolist()]
    bars = "".join(
        f'<rect x="{i * step:.1f}" y="{HIGH - high:.1f}" width="{step - 1:.1f}" height="{high:.1f}"/>'
        for i, high in enumerate(highs)
    )
    low, high = responses.edges[0], responses.edges[-1]
    words = (
        f"Responses from {low:.3g} to {high:.3g} at all positions of {responses.pictures} photographs; "
        f"above 0 at {responses.active:.1%} of them."
    )
    return (
        f'{title("Responses")}<svg viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" role="img" '
        f'aria-label="{escape(words)}" style="fill:var(--jp-brand-color1,#1976d2);max-width:100%"><title>'
        f"{escape(words)}</title>{bars}</svg>{progress_text(words)}"
    )


def signed(rows: Sequence[tuple[str, float]], heading: str, words: str) -> str:
    """Names with signed numbers as bars, to the right for positive ones, to the left for negative ones."""
    if not rows:
        return f"{title(heading)}{progress_text(words)}"
    most = max(abs(value) for _, value in rows)
    lines = []
    for name, value in rows:
        share = 50 * abs(value) / most if most else 0
        left = 50 - share if value < 0 else 50
        color = "var(--jp-error-color1,#c62828)" if value < 0 else "var(--jp-brand-color1,#1976d2)"
        lines.append(
            f'<div role="listitem"><span title="{escape(name)}">{escape(name)}</span>'
            f'<div class="cnnw-track" aria-hidden="true"><div style="margin-left:{left:.1f}%;width:{share:.1f}%;'
            f'background:{color}"></div></div><span>{value:+.2g}</span></div>'
        )
    inside = f'<div class="cnnw-bars" role="list" aria-label="{escape(heading)}">{"".join(lines)}</div>'
    return f"{title(heading)}{inside}{progress_text(words)}"


def links(found: Sequence[Link], heading: str, none: str) -> str:
    """The units at the other end of weights."""
    rows = [(f"{link.unit} · {link.path}", link.weight) for link in found]
    return signed(
        rows, heading, "Unit and layer, with the sum of the absolute weights in between, signed." if rows else none
    )
