"""Unknown keywords of public functions and constructors."""

from __future__ import annotations

import inspect
import pickle

import pytest

import cnnwidgets as cw
from cnnwidgets.keywords import SYNONYMS, keywords_of, refusal

CALLABLES = [name for name in cw.__all__ if keywords_of(getattr(cw, name))]
OF_MODULES = [
    f"{module}.{name}"
    for module in ("objectives", "optimizers", "parametrizations", "samples", "targets", "transforms")
    for name, value in vars(getattr(cw, module)).items()
    if inspect.isfunction(value) and hasattr(value, "__wrapped__")
]
METHODS = ["Network.from_file", "Network.predict", "HeatmapPanel.check", "TrainingRecorder.to_gif"]


def public(name: str) -> object:
    value: object = cw
    for part in name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("name", [*CALLABLES, *OF_MODULES, *METHODS])
def test_a_mistyped_keyword_names_the_right_one(name):
    known = [one for one in inspect.signature(public(name)).parameters if one != "self"]
    for keyword in [one for one in known if len(one) > 3]:
        mistyped = keyword[0] + keyword
        with pytest.raises(TypeError) as caught:
            public(name)(**{mistyped: 1})
        wanted = f"{name}() got an unexpected keyword argument {mistyped!r}. Did you mean {keyword!r}?"
        assert str(caught.value) == wanted


@pytest.mark.parametrize(
    ("name", "keyword", "meant"),
    [
        ("FilterGallery", "unit", "units"),
        ("FilterGallery", "filters", "units"),
        ("UnitPanel", "units", "unit"),
        ("HeatmapPanel", "layers", "layer"),
        ("HeatmapPanel", "class_index", "target"),
        ("HeatmapPanel", "cmap", "colormap"),
        ("deepdream", "layer", "layers"),
        ("DeepDreamPanel", "lr", "step_size"),
        ("ascend", "iterations", "steps"),
        ("attribution", "image", "picture"),
        ("visualize_classes", "target", "classes"),
        ("LayerPicker", "compact", "is_compact"),
        ("optimizers.adam", "learning_rate", "rate"),
    ],
)
def test_a_name_of_another_function_or_package_leads_to_the_one_here(name, keyword, meant):
    with pytest.raises(TypeError, match=f"Did you mean '{meant}'"):
        public(name)(**{keyword: 1})


def test_a_keyword_of_another_function_is_shown_with_its_owners():
    with pytest.raises(TypeError, match="'epsilon' is a keyword of adversarial.. and AdversarialPanel") as caught:
        cw.HeatmapPanel(None, None, epsilon=0.1)
    assert "HeatmapPanel() takes net, picture, layer, target" in str(caught.value)
    with pytest.raises(TypeError, match="'epsilon' is a keyword of"):
        cw.deepdream(None, None, epsiln=0.1)


def test_a_keyword_that_is_near_to_none_shows_what_exists():
    said = refusal("sample", "zzz", ["name"], {"sample": ("name",)})
    assert said == "sample() got an unexpected keyword argument 'zzz'. sample() takes name."
    assert refusal("pixels", "a", [], {}).endswith("pixels() takes no keywords.")


def test_synonyms_lead_to_keywords_that_exist():
    every = {keyword for name in [*CALLABLES, *OF_MODULES] for keyword in keywords_of(inspect.unwrap(public(name)))}
    every |= {keyword for name in CALLABLES for keyword in keywords_of(public(name))}
    assert set(SYNONYMS) <= every


def test_guarded_functions_keep_their_signature_and_can_be_sent_to_other_processes():
    assert list(inspect.signature(cw.visualize_units).parameters)[:3] == ["net", "layer", "units"]
    assert pickle.loads(pickle.dumps(cw.visualize_units)) is cw.visualize_units


def test_right_keywords_and_positions_pass():
    assert cw.optimizers.adam(rate=0.1) == cw.optimizers.adam(0.1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'picture'"):
        cw.HeatmapPanel(None)
