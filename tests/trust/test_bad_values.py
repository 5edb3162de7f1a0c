"""Any value for any argument of any verb or panel: it is taken, or refused by one of our errors in a short sentence."""

from __future__ import annotations

import html
import inspect
import re

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras
from cnnwidgets.panels.base.binding import Setting

L, o = keras.layers, cw.objectives
PICTURE = np.random.default_rng(0).random((12, 12, 3)).astype(np.float32)
VALUES = [
    None, "", "abc", "conv\x1b[31m{{x}}", [], {}, [None], {"a": 1}, -1, 1e9, float("nan"), True, object(), b"x",
    np.array([1, 2]), np.array("a"), np.float32(2.5), lambda *_: None,
]  # fmt: skip
CALLS = {  # what is called, and what it needs besides the network
    "load_picture": {"source": PICTURE},
    "visualize_units": {"layer": "conv", "units": [0], "steps": 1},
    "visualize_classes": {"classes": [0], "steps": 1},
    "ascend": {"objective": o.channel("conv", 0), "steps": 1},
    "feature_maps": {"picture": PICTURE},
    "class_activation_map": {"picture": PICTURE},
    "attribution": {"picture": PICTURE, "method": "gradient"},
    "deepdream": {"picture": PICTURE, "layers": ["conv"], "octaves": 1, "steps": 1},
    "adversarial": {"picture": PICTURE, "steps": 1},
    "top_units": {"picture": PICTURE, "layer": "conv"},
    "top_patches": {"layer": "conv", "unit": 0, "pictures": [PICTURE]},
    "receptive_field": {"layer": "conv"},
    "open_atlas": {"path": "nowhere"},
    "rerun": {"png": "nowhere"},
    "FilterGallery": {"layer": "conv", "units": [0]},
    "FeatureMapPanel": {"picture": PICTURE},
    "HeatmapPanel": {"picture": PICTURE},
    "UnitAttributionPanel": {"picture": PICTURE},
    "DeepDreamPanel": {"picture": PICTURE, "layers": ["conv"]},
    "AdversarialPanel": {"picture": PICTURE},
    "ClassGallery": {"classes": [0]},
    "LayerPicker": {},
}


@pytest.fixture(scope="module")
def small():
    layers = [L.Conv2D(2, 3, activation="relu", name="conv"), L.GlobalAveragePooling2D(), L.Dense(3, "softmax")]
    return cw.Network(keras.Sequential([keras.Input((12, 12, 3)), *layers]), "unit")


def told(call) -> str:
    """The message of a refusal, or "" where the value is taken."""
    try:
        made = call()
        if hasattr(made, "__next__"):
            next(made)
        if hasattr(made, "close"):
            made.close()
    except cw.CnnWidgetsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_value_is_taken_or_refused_in_a_sentence_that_can_be_read(small, name, monkeypatch):
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", "")
    call, needed = getattr(cw, name), CALLS[name]
    arguments = [a for a in inspect.signature(call).parameters if a not in ("net", "resize", "batch")]
    needed = needed | ({"net": small} if "net" in inspect.signature(call).parameters else {})
    for argument in arguments:
        for value in VALUES:
            words = told(lambda a=argument, v=value: call(**needed | {a: v}))
            shown = f"{name}({argument}={value!r}): {words}"
            assert len(words) <= 400 and "\n" not in words and "\x1b" not in words, shown
            assert "{{" not in words.replace("{{x}}", "") and "Traceback" not in words, shown
            assert not re.search(r"[:(] ?\.$|[:(] ?\. |\bof ?\.|, ,", words), shown  # no list without a choice
            assert not words or words.endswith((".", ")")), shown


def test_an_explorer_that_was_refused_is_thrown_away_quietly(small, capsys):
    for arguments in ({"picture": None, "layer": "nope"}, {"picture": "nowhere.png"}, {"picture": PICTURE, "files": 3}):
        with pytest.raises(cw.CnnWidgetsError):
            cw.Explorer(small, **arguments)
    assert capsys.readouterr().err == ""


LIVING = {
    "FilterGallery": lambda net: cw.FilterGallery(net, "conv", [0], size=12),
    "ClassGallery": lambda net: cw.ClassGallery(net, [0]),
    "FeatureMapPanel": lambda net: cw.FeatureMapPanel(net, PICTURE),
    "HeatmapPanel": lambda net: cw.HeatmapPanel(net, PICTURE),
    "UnitAttributionPanel": lambda net: cw.UnitAttributionPanel(net, PICTURE),
    "DeepDreamPanel": lambda net: cw.DeepDreamPanel(net, PICTURE, ["conv"], octaves=1),
    "AdversarialPanel": lambda net: cw.AdversarialPanel(net, PICTURE),
    "UnitPanel": lambda net: cw.UnitPanel(net, "conv", 0, PICTURE),
    "ComparePanel": lambda net: cw.ComparePanel(net, net, "conv", PICTURE),
    "LayerPicker": lambda net: cw.LayerPicker(net),
    "NetworkMap": lambda net: cw.NetworkMap(net, PICTURE),
    "Explorer": lambda net: cw.Explorer(net, PICTURE),
}


@pytest.mark.parametrize("name", LIVING)
def test_a_trait_of_a_living_panel_takes_a_value_or_refuses_it_in_a_sentence_in_the_panel_too(small, name, texts):
    panel = LIVING[name](small)
    settings = [name for name, trait in panel.traits().items() if isinstance(trait, Setting)]
    assert len(settings) >= (1 if name in ("LayerPicker", "NetworkMap") else 5)
    for setting in settings:
        for value in VALUES:
            before = getattr(panel, setting)
            try:
                setattr(panel, setting, value)
            except cw.CnnWidgetsError as error:
                shown = getattr(panel, "status", None) or html.unescape(" ".join(texts(panel)))
                assert str(error).partition(r"\x1b")[0][:200] in shown, (setting, value)
                assert getattr(panel, setting) is before, (setting, value)
    panel.close()
