"""Small pieces of HTML for all panels. Every string from outside goes through `escape`: a name may be an attack."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from urllib.parse import quote

import ipywidgets as widgets

from cnnwidgets.jobs.failure import Failure

LONGEST_STATUS = 300

STYLE = f"<style>\n{resources.files(__package__).joinpath('panels.css').read_text('utf-8')}</style>"


def escape(text: object) -> str:
    """Text that is safe inside HTML, in attributes too."""
    return html.escape(str(text), quote=True)


def markup(content: str = "", *classes: str, **layout: str) -> widgets.HTML:
    """An HTML widget; `content` is made by the functions of this module."""
    widget = widgets.HTML(content, layout=widgets.Layout(margin="0", **layout))
    for name in classes:
        widget.add_class(name)
    return widget


def status(text: str, is_error: bool = False) -> str:
    """One line that a screen reader speaks when it changes."""
    kind = "cnnw-status cnnw-error" if is_error else "cnnw-status"
    return f'<div class="{kind}" role="status" aria-live="polite">{escape(text)}</div>'


def progress(share: float, text: str) -> str:
    """A thin bar, 0 to 1, and a line under it; not spoken each time that it changes."""
    percent = round(100 * share)
    return (
        f'<div class="cnnw-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-valuetext="{escape(text)}"><div style="width:{percent}%"></div></div>'
        f"{progress_text(text)}"
    )


def progress_text(text: str) -> str:
    """A line that changes all the time, and so is not spoken."""
    return f'<div class="cnnw-status">{escape(text)}</div>'


def one_line(text: str) -> str:
    """Text as a status line: at most 300 characters, no control sequences."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    if len(line) <= LONGEST_STATUS:
        return line
    whole, space, _ = line[: LONGEST_STATUS - 1].rpartition(" ")
    return f"{whole}…" if space else line[:LONGEST_STATUS]


def complaint(failure: Failure) -> str:
    """The status line for an error; the package's own errors are shown as they are."""
    if "CnnWidgetsError" in failure.types:
        return failure.line
    hint = "The details are in panel.traceback."
    return f"{failure.kind}: {failure.line[: LONGEST_STATUS - len(hint) - len(failure.kind) - 4].rstrip('.')}. {hint}"


def title(text: str) -> str:
    """The heading of a part of a panel."""
    return f'<div class="cnnw-title">{escape(text)}</div>'


def tail(text: str, room: int) -> str:
    """The last letters of a name that is longer than its room: neighbors differ at the end (fire4_expand1x1)."""
    return text if len(text) <= room else "…" + text[-max(1, room - 1) :]


def code(text: str) -> str:
    """Code that one click selects whole."""
    return f'<pre class="cnnw-code" tabindex="0" aria-label="Code">{escape(text)}</pre>'


def empty(text: str) -> str:
    """A text instead of a picture that is not there yet."""
    return f'<div class="cnnw-empty"><div>{escape(text)}</div></div>'


def tiles(columns: int, rows: int, band: float, captions: Sequence[tuple[str, str, str]], chosen: int | None) -> str:
    """The captions of a mosaic, laid over it.

    Args:
        columns: tiles in a row.
        rows: rows of tiles.
        band: the share of a tile's height that its caption covers.
        captions: for each tile its name, its value and a note.
        chosen: the selected tile.
    """
    cells = []
    for index, (name, value, note) in enumerate(captions):
        kind = "cnnw-tile cnnw-chosen" if index == chosen else "cnnw-tile"
        rest = f'<span class="cnnw-note">{escape(note)}</span>' if note else f"<span>{escape(value)}</span>"
        full = f"{name} {note or value}"
        cells.append(
            f'<div class="{kind}" title="{escape(full)}">'
            f'<div class="cnnw-caption" style="height:calc({band:.1%} + 2px)">'
            f"<b>{escape(name)}</b>{rest}</div></div>"
        )
    blank = '<div style="background:var(--jp-layout-color0,#fff)"></div>'
    cells += [blank] * (columns * rows - len(captions))
    shape = f"grid-template-columns:repeat({columns},1fr);grid-template-rows:repeat({rows},1fr)"
    return f'<div class="cnnw-grid" style="{shape}">{"".join(cells)}</div>'


def rectangle(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A frame between two points (x, y), shares 0..1 of the picture under it."""
    (left, right), (top, bottom) = (sorted(100 * share for share in pair) for pair in zip(start, end, strict=True))
    shape = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    return f'<div class="cnnw-drag" style="{shape}"></div>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """Texts in rows and columns; the first column is the name of its row."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row" title="{escape(name)}">{escape(name)}</th>'
        + "".join(f'<td title="{escape(one)}">{escape(one)}</td>' for one in rest)
        + "</tr>"
        for name, *rest in rows
    )
    return (
        f'<table class="cnnw-numbers cnnw-texts" aria-label="{escape(label)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def bars(rows: Sequence[tuple[str, float]], wanted: int | None, label: str, most: float | None = None) -> str:
    """Names and numbers as bars, probabilities unless `most` is what fills one; the wanted row stands out."""
    lines = []
    for index, (name, share) in enumerate(rows):
        kind = "cnnw-wanted" if index == wanted else ""
        name = f"\u25b8 {name}" if index == wanted else name
        if math.isnan(share):  # the number, where there is one, is a part of the name
            whole = f'style="grid-column:1/-1;text-align:left" title="{escape(name)}"'
            lines.append(f'<div class="{kind}" role="listitem"><span {whole}>{escape(name)}</span></div>')
            continue
        width = 100 * min(max(share / (most or 1.0), 0.0), 1.0) if math.isfinite(share) else 0
        written = percent(share) if most is None else f"{share:.2f}"
        lines.append(
            f'<div class="{kind}" role="listitem"><span title="{escape(name)}">{escape(name)}</span>'
            f'<div class="cnnw-track" aria-hidden="true"><div style="width:{width:.1f}%"></div></div>'
            f"<span>{escape(written)}</span></div>"
        )
    return f'<div class="cnnw-bars" role="list" aria-label="{escape(label)}">{"".join(lines)}</div>'


def numbers(
    rows: Sequence[tuple[str, Sequence[float]]], wanted: int | None, heads: Sequence[str], are_shares: bool
) -> str:
    """A table of one or more numbers for each name.

    Args:
        rows: a name and its numbers.
        wanted: the row that stands out, in words too.
        heads: of the columns, that of the names first.
        are_shares: whether the numbers are 0..1; then each is a bar too, the last one in the accent color.
    """
    written = percent if are_shares else "{:.4g}".format
    lines = []
    for index, (name, each) in enumerate(rows):
        kind, name = (' class="cnnw-wanted"', f"\u25b8 {name}") if index == wanted else ("", name)
        tracks = "".join(f'<div><div style="width:{100 * one:.1f}%"></div></div>' for one in each)
        drawn = f'<div class="cnnw-pair" aria-hidden="true">{tracks}</div>' if are_shares else ""
        cells = "".join(f"<td>{escape(written(one))}</td>" for one in each)
        lines.append(f'<tr{kind}><th scope="row" title="{escape(name)}">{escape(name)}{drawn}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    return f'<table class="cnnw-numbers"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def signed_bar(value: float, largest: float, words: str) -> str:
    """A number as a bar: to the right where it is positive, to the left where it is negative.

    Args:
        value: the number.
        largest: the size that fills half of the bar.
        words: what it is, for the tooltip and for screen readers.
    """
    width = 50 * min(abs(value) / largest, 1.0) if largest > 0 else 0.0
    side, kind = ("left", "cnnw-for") if value >= 0 else ("right", "cnnw-against")
    return (
        f'<div class="cnnw-share" role="img" aria-label="{escape(words)}" title="{escape(words)}">'
        f'<div class="cnnw-signed"><div class="{kind}" style="{side}:50%;width:{width:.1f}%"></div></div>'
        f"<span>{escape(f'{value:+.3g}')}</span></div>"
    )


def still(data: bytes, kind: str, words: str) -> str:
    """A small picture with a text equivalent."""
    source = f"background-image:url(data:image/{kind};base64,{base64.b64encode(data).decode()})"
    said = f'role="img" aria-label="{escape(words)}" title="{escape(words)}"'
    return f'<div class="cnnw-still" {said} style="{source}"></div>'


def thumbnails(addresses: Mapping[str, str]) -> str:
    """The pictures of a RadioButtons of the class `cnnw-photographs`, by the names of its options."""
    rules = (
        f'.cnnw .cnnw-photographs label:has(input[data-value="{quote(name)}"]){{background-image:url({address})}}'
        for name, address in addresses.items()
    )
    return f"<style>{''.join(rules)}</style>"


def cross(x: float, y: float) -> str:
    """A mark at a position, shares 0..1 of the picture under it."""
    return f'<div class="cnnw-cross" style="left:{100 * x:.2f}%;top:{100 * y:.2f}%"></div>'


def missing(words: str) -> str:
    """A text instead of a small picture that is not there."""
    return f'<div class="cnnw-still cnnw-missing" title="{escape(words)}">{escape(words)}</div>'


def notes(lines: Sequence[str]) -> str:
    """Remarks, a paragraph each."""
    every = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<div class="cnnw-notes" role="note">{every}</div>' if lines else ""


def percent(share: float) -> str:
    """A probability as a person says it; any other number as it is, nothing where there is none."""
    if math.isnan(share):
        return ""
    if not 0 <= share <= 1:
        return f"{share:.3g}"
    return f"{share:.1%}" if share >= 0.001 or share == 0 else "< 0.1%"


def legend(colors: Sequence[tuple[int, int, int]], hidden: float, low: str, high: str, words: str) -> str:
    """A color scale with its ends in words.

    Args:
        colors: 0..255, from the low end to the high one.
        hidden: the share of the scale, from its low end, that is not shown.
        low: what stands at the low end.
        high: what stands at the high end.
        words: what the colors mean.
    """
    last = len(colors) - 1
    stops = [f"rgb({r},{g},{b}) {100 * i / last:.0f}%" for i, (r, g, b) in enumerate(colors) if i / last >= hidden]
    gray = [f"var(--jp-layout-color3, #ddd) 0 {100 * hidden:.0f}%"] if hidden > 0 else []
    scale = ",".join([*gray, *(stops or ["transparent 100%"])])
    return (
        f'<div class="cnnw-legend" role="img" aria-label="{escape(f"Color scale from {low} to {high}: {words}")}">'
        f'<span>{escape(low)}</span><div style="background:linear-gradient(to right,{scale})"></div>'
        f"<span>{escape(high)}</span></div>{progress_text(words)}"
    )


def octaves(sizes: Sequence[str], current: int | None, words: str) -> str:
    """The sizes of a dream in their order; the one that is shown stands out, in words too."""
    items = []
    for index, size in enumerate(sizes):
        is_current = index == current
        attribute = ' aria-current="step"' if is_current else ""
        mark = "\u25b8 " if is_current else ""
        items.append(f"<li{attribute}>{mark}{escape(size)}</li>")
    every = "".join(items)
    return f'{title("Octaves")}<ol class="cnnw-octaves" aria-label="Octaves">{every}</ol>{progress_text(words)}'
