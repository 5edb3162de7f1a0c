"""The parts of a UnitPanel that are HTML: a histogram, the classes, and the units that it is connected to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnwidgets.activations.path_similarity import PathSimilarity
from cnnwidgets.activations.unit_links import Link
from cnnwidgets.activations.unit_responses import Responses
from cnnwidgets.panels.base.markup import escape, missing, progress_text, signed_bar, still, table, tail, title
from cnnwidgets.panels.unit.unit_pictures import WAITING, Pictures, UnitPicture
from cnnwidgets.pictures import to_jpeg
from cnnwidgets.quantities import plural

WIDE, HIGH = 260, 64
ROOM = 24  # letters of a layer's name beside a small picture


def histogram(responses: Responses) -> str:
    """Responses at all positions of some photographs."""
    low, high = responses.edges[0], responses.edges[-1]
    return _bars(
        responses.counts,
        f"Responses from {low:.3g} to {high:.3g} at all positions of {responses.pictures} "
        f"{plural('photograph', responses.pictures)}; "
        f"above 0 at {responses.active:.1%} of them.",
    )


def strongest_responses(counts: np.ndarray, edges: np.ndarray) -> str:
    """The strongest response in each of an atlas's pictures."""
    found = np.flatnonzero(counts)
    low, high = (edges[found[0]], edges[found[-1] + 1]) if len(found) else (0.0, 0.0)
    shown = counts[found[0] : found[-1] + 1] if len(found) else counts
    return _bars(
        shown, f"The strongest response in each of the {counts.sum()} pictures of the atlas: {low:.3g} to {high:.3g}."
    )


def _bars(counts: np.ndarray, words: str) -> str:
    """Counts as bars; a bar's height is the square root of its count, so that rare strong responses are seen."""
    most = max(int(counts.max()), 1)
    step = WIDE / len(counts)
    highs = [HIGH * (count / most) ** 0.5 for count in counts.tolist()]
    bars = "".join(
        f'<rect x="{i * step:.1f}" y="{HIGH - high:.1f}" width="{max(step - 1, 0.5):.1f}" height="{high:.1f}"/>'
        for i, high in enumerate(highs)
    )
    return (
        f'{title("Responses")}<svg viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" role="img" '
        f'aria-label="{escape(words)}" style="fill:var(--jp-brand-color1,#1976d2);max-width:100%"><title>'
        f"{escape(words)}</title>{bars}</svg>{progress_text(words)}"
    )


PATH_EXPLAINED = (
    "Do this picture and the photographs that activate the unit most excite the same units on the way to it? "
    "In each convolution before the unit, its units are ordered by how strongly they respond. 1 means the same order, "
    "0 an unrelated one. The second number is how well the photographs agree among each other. A picture far below it "
    "activates the unit in another way than photographs do, and says less about them (Geirhos et al. 2023)."
)


def same_path(found: PathSimilarity) -> str:
    """How much alike the ways of a picture and of photographs to a unit are, with an explanation that opens."""
    rows = [
        (path.rsplit("/", 1)[-1], f"{own:.2f}", f"{others:.2f}")
        for path, own, others in zip(found.layers, found.picture, found.photographs, strict=True)
    ]
    layers = table(("layer", "picture", "photographs"), rows, "Rank correlation in each layer")
    return (
        f'<details class="cnnw-status"><summary title="{escape(PATH_EXPLAINED)}">Same path as photographs: '
        f"<b>{found.similarity:.2f}</b> (they among each other: {found.reference:.2f})</summary>"
        f"<p>{escape(PATH_EXPLAINED)}</p>{layers}</details>"
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
        kind = "cnnw-against" if value < 0 else "cnnw-for"
        lines.append(
            f'<div role="listitem"><span title="{escape(name)}">{escape(name)}</span>'
            f'<div class="cnnw-track" aria-hidden="true"><div class="{kind}" style="margin-left:{left:.1f}%;'
            f'width:{share:.1f}%"></div></div><span>{value:+.2g}</span></div>'
        )
    inside = f'<div class="cnnw-bars" role="list" aria-label="{escape(heading)}">{"".join(lines)}</div>'
    return f"{title(heading)}{inside}{progress_text(words)}"


def linked(found: Sequence[Link], drawn: Pictures, heading: str) -> str:
    """The units at the other end of weights, all rows equally high: picture, name and weight."""
    if not found:
        return ""
    largest = max(abs(link.weight) for link in found)
    rows = []
    for link in found:
        name = f"{link.unit} · {link.path}"
        bar = signed_bar(link.weight, largest, f"{name}: {link.weight:+.2g}")
        shown = _small(drawn.get((link.path, link.unit)), name)
        rows.append(
            f'<div class="cnnw-link" role="listitem">{shown}<div><span title="{escape(name)}">'
            f"{escape(f'{link.unit} · {tail(link.path, ROOM)}')}</span>{bar}</div></div>"
        )
    return f'<div class="cnnw-links" role="list" aria-label="{escape(heading)}">{"".join(rows)}</div>'


def _small(drawn: UnitPicture | None, name: str) -> str:
    if drawn is None or drawn.pixels is None:
        return missing(drawn.note if drawn is not None and drawn.note else WAITING)
    return still(to_jpeg(drawn.pixels), "jpeg", f"what {name} responds to{f': {drawn.note}' if drawn.note else ''}")
