"""The one place that makes HTML. Every string from outside goes through `escape`: a layer's name may be an attack."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ipywidgets as widgets

STYLE = """<style>
.cnnw { color: var(--jp-ui-font-color1, #222); font-family: var(--jp-ui-font-family, sans-serif); max-width: 100%; }
.cnnw .widget-html-content, .cnnw .widget-html > .widget-html-content { line-height: 1.35; }
.cnnw .cnnw-status { font-size: 12px; color: var(--jp-ui-font-color2, #555); min-height: 17px;
  overflow-wrap: anywhere; }
.cnnw .cnnw-error { color: var(--jp-error-color1, #b00020); }
.cnnw .cnnw-stage { position: relative; line-height: 0; overflow: visible; }
.cnnw .cnnw-stage > * { margin: 0; }
.cnnw .cnnw-stage img { width: 100%; height: 100%; display: block; margin: 0; cursor: pointer; }
.cnnw .cnnw-over { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; pointer-events: none; }
.cnnw .cnnw-over > .widget-html-content { height: 100%; }
.cnnw .cnnw-grid { display: grid; width: 100%; height: 100%; }
.cnnw .cnnw-tile { position: relative; box-sizing: border-box; overflow: hidden;
  border: 3px solid var(--jp-layout-color0, #fff); border-bottom: 0; }
.cnnw .cnnw-caption { position: absolute; left: 0; right: 0; bottom: 0; display: flex; align-items: center;
  background: var(--jp-layout-color0, #fff); color: var(--jp-ui-font-color1, #222); font-size: 11px; line-height: 1.1;
  overflow: hidden; white-space: nowrap; text-overflow: ellipsis; font-variant-numeric: tabular-nums; }
.cnnw .cnnw-caption b { font-weight: 600; margin-right: 4px; }
.cnnw .cnnw-chosen { outline: 3px solid var(--jp-brand-color1, #1976d2); outline-offset: -3px; z-index: 1; }
.cnnw .cnnw-chosen .cnnw-caption { color: var(--jp-brand-color1, #1976d2); padding-left: 4px; }
.cnnw .cnnw-note { white-space: normal; font-size: 10px; color: var(--jp-ui-font-color2, #555); }
.cnnw .cnnw-empty { position: absolute; inset: 0; display: flex; align-items: center; justify-content: center;
  text-align: center; padding: 12%; line-height: 1.5; font-size: 13px; box-sizing: border-box;
  color: var(--jp-ui-font-color1, #222); background: var(--jp-layout-color2, #eee); border-radius: 3px; }
.cnnw .cnnw-curve { color: var(--jp-brand-color1, #1976d2); display: block; width: 100%; }
.cnnw .cnnw-code { user-select: all; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; padding: 8px;
  font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 12px); line-height: 1.4;
  color: var(--jp-content-font-color1, #222); background: var(--jp-cell-editor-background, #f5f5f5);
  border: 1px solid var(--jp-border-color2, #ddd); border-radius: 3px; }
.cnnw .cnnw-mono select { font-family: var(--jp-code-font-family, monospace); font-size: 12px; }
.cnnw .cnnw-title { font-weight: 600; font-size: 13px; }
.cnnw button:focus-visible, .cnnw select:focus-visible, .cnnw input:focus-visible {
  outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
</style>"""


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


def title(text: str) -> str:
    """The heading of a part of a panel."""
    return f'<div class="cnnw-title">{escape(text)}</div>'


def code(text: str) -> str:
    """Code that one click selects whole."""
    return f'<pre class="cnnw-code" tabindex="0" aria-label="Code">{escape(text)}</pre>'


def empty(text: str) -> str:
    """What stands in the place of a picture that is not there yet."""
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


def curve(values: Sequence[float], steps: int, label: str) -> str:
    """The objective over the steps as a line; `steps` is the whole width."""
    finite = [(i, v) for i, v in enumerate(values) if v == v]
    if len(finite) < 2:
        return ""
    low, high = min(v for _, v in finite), max(v for _, v in finite)
    span = (high - low) or 1.0
    points = " ".join(f"{300 * i / max(1, steps - 1):.1f},{58 - 54 * (v - low) / span:.1f}" for i, v in finite)
    words = f"{label}: from {finite[0][1]:.3g} to {finite[-1][1]:.3g}"
    return (
        f'<svg class="cnnw-curve" viewBox="0 0 300 62" preserveAspectRatio="none" height="62" role="img" '
        f'aria-label="{escape(words)}"><title>{escape(words)}</title><polyline points="{points}" fill="none" '
        f'stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke"/></svg>'
        f'<div class="cnnw-status">{escape(words)}</div>'
    )
