"""An explanation as one HTML page that needs nothing else: no script, no other file, no network. Names are escaped."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnwidgets import __version__, pictures
from cnnwidgets.explain.faithfulness import Curve
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.frame import Array
from cnnwidgets.html_page import document, source
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.pictures import cells
from cnnwidgets.report.curve_drawing import curve_drawing
from cnnwidgets.report.explanation import Explanation, MethodMaps, StrongUnit

GENERATOR = "cnnwidgets explanation"  # by which a page is known to be ours
PARTS = Path(__file__).parent / "page"
LARGE, PHOTO, SMALL = 1120, 360, 320  # pixels of the longer side: heatmaps, photographs, units
QUALITY = 88

Files = Mapping[int, str]  # the names of the files by the id of their drawing


def page_of(explanation: Explanation, files: Files) -> str:
    """The HTML of an explanation."""
    style = (PARTS / "report.css").read_text(encoding="utf-8")
    return document(
        PARTS / "report.html",
        f"default-src 'none'; img-src data:; style-src {source(style)}; base-uri 'none'; form-action 'none'",
        text(f"Explanation of {explanation.about}, network {explanation.network}"),
        style,
        f'<meta name="generator" content="{GENERATOR}">\n',
        about=_about(explanation),
        sections="\n".join(_body(explanation, files)),
        footer=text(f"Made by cnnwidgets {__version__}. The numbers of this page are in manifest.json."),
    )


def text(value: object) -> str:
    """Any text as HTML, without control characters."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return html.escape(shown)


def _about(explanation: Explanation) -> str:
    named = "" if len(explanation.outputs) == 1 else f" of the output {explanation.output!r}"
    if math.isnan(explanation.probability):
        return text(f"This page explains {explanation.about}{named}: {explanation.value:.4g}.")
    return text(f"This page explains {explanation.about}{named}, predicted with {explanation.probability:.1%}.")


def _body(explanation: Explanation, files: Files) -> Iterator[str]:
    yield "<section><h2>Picture and predictions</h2><div class='row'>"
    several = len(explanation.photographs) > 1
    for name, drawing in explanation.photographs.items():
        alt = f"The picture given for {name}" if several else "The picture"
        yield _figure(drawing.pixels, PHOTO, alt, f"Input {name}." if several else "")
    yield "<div class='predictions'>"
    for output, lines in explanation.outputs.items():
        yield _predictions(explanation, output, lines)
    yield "</div></div>"
    yield from _notes(explanation.notes)
    yield "</section><section><h2>Heatmaps</h2>"
    yield (
        "<p>The brighter, the more a region counts for the explained number. Each map is tested: pixels vanish from "
        "the picture, the most important first (deletion), or appear on a blurred one (insertion), and the prediction "
        "is recorded. A good map has a smaller deletion area and a larger insertion area than random orders (dashed)."
        "</p>"
    )
    yield _areas(explanation)
    for method in explanation.heatmaps:
        yield from _method(method, files)
    yield "</section><section><h2>Strongest units</h2>"
    yield from _units(explanation, files)
    yield "</section><section><h2>How it was made</h2>"
    yield from _recipe(explanation.recipe)
    yield "</section>"


def _predictions(explanation: Explanation, output: str, lines: Sequence[Prediction]) -> str:
    is_explained, are_shares = output == explanation.output, output in explanation.class_outputs
    several = len(explanation.outputs) > 1
    caption = f"Output {output}" if several else "The most probable classes" if are_shares else "The output"
    rows = []
    for index, name, value in lines:
        mark = is_explained and not callable(explanation.target) and index == explanation.target
        share = "< 0.1%" if 0 < value < 0.001 else f"{value:.1%}"
        number = share if are_shares else f"{value:.4g}"
        meter = f"<meter value='{value:.4f}' aria-hidden='true'></meter>" if are_shares else ""
        rows.append(
            f"<tr{' class=explained' if mark else ''}><th scope='row'>{text(name)}"
            f"{' (explained)' if mark else ''}</th><td>{meter}</td><td class='number'>{text(number)}</td></tr>"
        )
    return f"<table><caption>{text(caption)}</caption><tbody>{''.join(rows)}</tbody></table>"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield "<ul class='notes'>" + "".join(f"<li>{text(note)}</li>" for note in notes) + "</ul>"


def _areas(explanation: Explanation) -> str:
    """A table of all maps with their areas."""
    rows = []
    for method in explanation.heatmaps:
        for heat, curves in zip(method.maps, method.curves, strict=True):
            cells_ = "".join(_area(curves.get(metric)) for metric in ("deletion", "insertion"))
            rows.append(f"<tr><th scope='row'>{text(_named(method, heat))}</th>{cells_}</tr>")
        if not method.maps:
            rows.append(f"<tr><th scope='row'>{text(method.label)}</th><td colspan='4'>no heatmap, see below</td></tr>")
    heads = (
        "<th scope='col'>Heatmap</th><th scope='col' class='number'>Deletion area</th><th scope='col' class='number'>"
        "random</th><th scope='col' class='number'>Insertion area</th><th scope='col' class='number'>random</th>"
    )
    caption = "Faithfulness. Deletion: lower is better. Insertion: higher is better."
    return (
        f"<div class='scroll'><table><caption>{caption}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _area(curve: Curve | None) -> str:
    if curve is None:
        return "<td class='number'>none</td><td class='number'></td>"
    return f"<td class='number'>{curve.area:.3f}</td><td class='number'>{curve.random_area:.3f}</td>"


def _named(method: MethodMaps, heat: Heatmap) -> str:
    """A map's name: the method, and where it has several the input or the call of each."""
    if len(method.maps) == 1:
        return method.label
    of_several = len({one.input for one in method.maps}) < len(method.maps)
    return f"{method.label}, {f'call {heat.call}' if of_several else f'input {heat.input}'}"


def _method(method: MethodMaps, files: Files) -> Iterator[str]:
    yield f"<article class='card'><h3>{text(method.label)}</h3><p class='quiet'>"
    yield f"{text(method_guide.sentence(method.method))}</p>"
    if method.drawing is None:
        yield f"<p class='note'>No heatmap: {text(method.note)}</p></article>"
        return
    layer = method.maps[0].path
    alt = f"Heatmaps by {method.label} over the pictures" if len(method.maps) > 1 else f"Heatmap by {method.label}"
    caption = f"{f'Layer {layer}. ' if layer else ''}File {files.get(id(method.drawing), '')}."
    yield "<div class='row'>" + _figure(method.drawing.pixels, LARGE, alt, caption) + "<div class='curves'>"
    for heat, curves in zip(method.maps, method.curves, strict=True):
        for metric, curve in curves.items():
            yield _curve(f"{_named(method, heat)}, {metric}" if len(method.maps) > 1 else metric.capitalize(), curve)
        if heat.note:
            yield f"<p class='note'>{text(heat.note)}</p>"
    yield "</div></div></article>"


def _curve(name: str, curve: Curve) -> str:
    is_better = curve.area > curve.random_area if curve.metric == "insertion" else curve.area < curve.random_area
    better = "better than a random order" if is_better else "no better than a random order"
    words = f"{name}: area {curve.area:.3f}, random {curve.random_area:.3f}; {better}."
    return f"<figure>{curve_drawing(curve, text(words))}<figcaption>{text(words)}</figcaption></figure>"


def _units(explanation: Explanation, files: Files) -> Iterator[str]:
    if not explanation.units:
        yield "<p class='note'>No units are shown; see the notes at the top.</p>"
        return
    yield (
        "<p>Shares of the decision: each unit's activation times the gradient of the explained number, summed over "
        "positions. Left: what the unit responds to, optimized from noise. Right: where it is evidence "
        "<span class='for'>for</span> (red) or <span class='against'>against</span> (blue) it.</p>"
    )
    calls = dict.fromkeys((unit.path, unit.call, unit.input) for unit in explanation.units)
    for path, call, name in calls:
        units = [unit for unit in explanation.units if (unit.path, unit.call) == (path, call)]
        where = f", call {call}{f', input {name}' if name else ''}" if len(calls) > 1 else ""
        yield f"<h3>Layer {text(path)}{text(where)}</h3><ul class='units'>"
        yield from (_unit(unit, files) for unit in units)
        yield "</ul>"


def _unit(unit: StrongUnit, files: Files) -> str:
    shown = []
    if unit.portrait is not None:
        shown.append(_image(unit.portrait.pixels, SMALL, f"What unit {unit.unit} responds to"))
    if unit.evidence is not None:
        shown.append(_image(unit.evidence, SMALL, f"Where unit {unit.unit} counts in the picture"))
    side = "for" if unit.share > 0 else "against"
    share = f"<span class='{side}'>{unit.share:+.3g}</span>, {side} it"
    file = f"<p class='quiet'>{text(files.get(id(unit.portrait), ''))}</p>" if unit.portrait is not None else ""
    note = f"<p class='quiet'>{text(unit.note)}</p>" if unit.note else ""
    return f"<li><div class='pair'>{''.join(shown)}</div><h4>Unit {unit.unit}: {share}</h4>{file}{note}</li>"


def _recipe(recipe: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in recipe["versions"].items())
    facts = {
        "Network": recipe["network"],
        "Fingerprint": recipe["fingerprint"],
        "Picture": f"sha256 {recipe['picture']}",
        "Preprocessing": recipe["preprocessing"],
        "Size": recipe["size"],
        "File": recipe["file"],
        "Versions": versions,
        "Device": recipe["device"],
    }
    yield "<dl>" + "".join(f"<dt>{name}</dt><dd>{text(fact)}</dd>" for name, fact in facts.items() if fact) + "</dl>"
    yield f"<p>The same explanation again:</p><pre tabindex='0'><code>{text(recipe['code'])}</code></pre>"


def _figure(pixels: Array, most: int, alt: str, caption: str) -> str:
    under = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f"<figure>{_image(pixels, most, alt)}{under}</figure>"


def _image(pixels: Array, most: int, alt: str) -> str:
    """A picture inside the page; a large one is shrunk, and its file keeps every pixel."""
    if max(pixels.shape[:2]) > most:
        pixels = pictures.to_uint8(cells.fit(np.asarray(pixels, np.float32) / 255, most))
    height, width = pixels.shape[:2]
    is_small = max(height, width) <= 128  # where JPEG saves little
    data = pictures.to_png(pixels) if is_small else pictures.to_jpeg(pixels, QUALITY)
    kind = "png" if is_small else "jpeg"
    encoded = base64.b64encode(data).decode()
    return f"<img src='data:image/{kind};base64,{encoded}' width='{width}' height='{height}' alt='{html.escape(alt)}'>"
