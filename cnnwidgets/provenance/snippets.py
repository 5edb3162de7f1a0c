"""The Python source of a run: how each verb is called, and what its result is.

Names of layers and classes may come out of a downloaded model, so foreign text is written by `repr` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnnwidgets.explain.recorded_targets import FUNCTION
from cnnwidgets.provenance.verbs import VERBS

BUNDLED = ("squeezenet", "efficientnet_lite0")
WIDTH = 120  # a longer call is written with one argument a line


def write(verb: str, network: str, settings: Mapping[str, Any], picture: str | None = None) -> str:
    """Source that makes the picture of these settings, ending in a newline.

    Args:
        verb: one of `VERBS`.
        network: its name; one of `BUNDLED` is loaded, any other is the reader's `net`.
        settings: the verb's settings; others are left out.
        picture: the path of the picture, or of the folder of pictures; None where the reader has it as `picture`, or
            `pictures`.
    """
    how = VERBS[verb]
    lines = ["import cnnwidgets as cw", ""]
    if network in BUNDLED:
        lines.append(f"net = cw.load_network({_text(network)})")
    if picture is not None and "pictures" in how.first:
        lines.append(f"pictures = {_text(picture)}")
    elif picture is not None and "picture" in how.first:
        lines.append(f"picture = cw.load_picture({_text(picture)})")
    if "heat" in how.required:
        lines += _heat_lines(settings["heat"])
    arguments = [how.first.format(**{name: _source(name, settings[name]) for name in how.required})]
    arguments += [f"{name}={_source(name, settings[name])}" for name in how.keywords if name in settings]
    if how.leaves == "frame":
        lines.append(_call(f"for frame in cw.{verb}", arguments) + ":")
        until = settings.get("until")  # the step whose picture is shown, where that is not the last one
        lines += ["    pass"] if until is None else [f"    if frame.step == {until!r}:", "        break"]
    else:
        lines.append(_call(f"{how.leaves} = cw.{verb}", arguments))
    if check := settings.get("check"):
        lines.append(_check_call(check))
    if settings.get("without"):
        lines.append(f"predictions = net.predict(picture, without={_source('', settings['without'])})")
    return "\n".join(lines) + "\n"


def write_training(settings: Mapping[str, Any], has_picture: bool) -> str:
    """Source that records a training with these settings of a TrainingRecorder, ending in a newline."""
    given = {name: value for name, value in settings.items() if value is not None}
    arguments = ["model", *(f"{name}={_source(name, value)}" for name, value in given.items())]
    arguments += ["picture=picture"] if has_picture else []
    lines = ["import cnnwidgets as cw", "", _call("recorder = cw.TrainingRecorder", arguments)]
    lines += ["model.fit(x, y, epochs=5, callbacks=[recorder])", "pics = recorder.snapshots[-1].pictures"]
    return "\n".join(lines) + "\n"


def write_explanation(network: str, settings: Mapping[str, Any]) -> str:
    """Source that explains a prediction with these settings of `explain`, ending in a newline."""
    lines = ["import cnnwidgets as cw", ""]
    if network in BUNDLED:
        lines.append(f"net = cw.load_network({_text(network)})")
    arguments = ["net", "picture", *(f"{name}={_source(name, value)}" for name, value in settings.items())]
    lines += [_call("explanation = cw.explain", arguments), 'explanation.save("explanation")']
    return "\n".join(lines) + "\n"


def _check_call(check: Mapping[str, Any]) -> str:
    """The source of the check of one of the maps that the lines before have left in `heat`."""
    arguments = [f"{name}={_source(name, check[name])}" for name in VERBS["faithfulness"].keywords if name in check]
    return _call("curve = cw.faithfulness", ["net", "picture", f"heat[{check['index']!r}]", *arguments])


def write_comparison(verb: str, settings: Mapping[str, Any], layer_after: str, has_pictures: bool) -> str:
    """Source that visualizes the same units of two networks, `before` and `after`, ending in a newline."""
    keywords = [f"{name}={_source(name, settings[name])}" for name in VERBS[verb].keywords if name in settings]
    lines = ["import cnnwidgets as cw", ""]
    for net, layer, pics in (("before", settings["layer"], "pics_before"), ("after", layer_after, "pics")):
        lines.append(_call(f"{pics} = cw.{verb}", [net, _text(layer), *keywords]))
    if has_pictures:
        lines.append(f"moved = cw.compare_units(before, after, {_text(settings['layer'])}, pictures)")
    return "\n".join(lines) + "\n"


def _heat_lines(heat: Mapping[str, Any]) -> list[str]:
    """The source of the map, or the maps by name, that `faithfulness` is given."""
    if "verb" in heat:
        return [_map_call("heat = ", heat)]
    calls = [_map_call(f"heat[{_text(name)}] = ", one) for name, one in heat.items()]
    return ["heat = {}", *calls]


def _map_call(left: str, heat: Mapping[str, Any]) -> str:
    verb = heat["verb"]
    arguments = [f"{name}={_source(name, heat[name])}" for name in VERBS[verb].keywords if name in heat]
    return _call(f"{left}cw.{verb}", ["net", "picture", *arguments]) + f"[{heat.get('index', 0)!r}]"


def _call(function: str, arguments: list[str]) -> str:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return line
    return function + "(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"


def _source(name: str, value: Any) -> str:
    """A setting as Python: consecutive units as a range, a size as a tuple, other sequences as lists."""
    if name == "heat":
        return "heat"
    if name == "target" and value == FUNCTION:
        return "target"  # the function of the person who reads the snippet
    if name == "target" and isinstance(value, Mapping):
        return _region(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {_source('', item)}" for key, item in value.items()) + "}"
    if not isinstance(value, Sequence):
        return repr(value)
    if name == "units" and _consecutive(value):
        return f"range({value[0]!r}, {value[-1] + 1!r})"
    items = ", ".join(_source("", item) for item in value)
    return f"({items})" if name == "size" else f"[{items}]"


def _region(value: Mapping[str, Any]) -> str:
    """A recorded region of the picture."""
    if "box" in value:
        where = repr(tuple(value["box"]))
    else:
        where = f"cw.targets.unpack_mask({_text(value['mask'])}, {tuple(value['size'])!r})"
    return f"cw.targets.region({_source('', value['class'])}, {where})"


def _text(value: str) -> str:
    """A string as Python source, in double quotes where that needs no escape."""
    plain = repr(value)
    return f'"{value}"' if plain == f"'{value}'" and '"' not in value else plain


def _consecutive(values: Sequence[Any]) -> bool:
    whole = len(values) > 1 and all(type(value) is int for value in values)
    return whole and list(values) == list(range(values[0], values[0] + len(values)))
