"""Each setting of a verb is written once, in its dataclass: signatures, panels, traits and recipes agree with it."""

import inspect
from dataclasses import MISSING, fields

import pytest
import traitlets

import cnnwidgets as cw
from cnnwidgets.activations.feature_maps import MapsSettings
from cnnwidgets.activations.patches import PatchesSettings
from cnnwidgets.atlas.render_atlas import AtlasSettings
from cnnwidgets.explain.attribution import AttributionSettings
from cnnwidgets.explain.class_activation_map import MapSettings
from cnnwidgets.explain.concepts import ConceptsSettings
from cnnwidgets.explain.faithfulness import FaithfulnessSettings
from cnnwidgets.explain.unit_attribution import UnitAttributionSettings
from cnnwidgets.provenance.verbs import VERBS
from cnnwidgets.visualize.adversarial import AdversarialSettings
from cnnwidgets.visualize.ascent import AscendSettings
from cnnwidgets.visualize.classes import ClassesSettings
from cnnwidgets.visualize.photographs.accentuation import AccentuationSettings
from cnnwidgets.visualize.photographs.caricature import CaricatureSettings
from cnnwidgets.visualize.photographs.deepdream import DreamSettings
from cnnwidgets.visualize.units import UnitsSettings

SETTINGS = {
    "visualize_units": UnitsSettings,
    "visualize_classes": ClassesSettings,
    "ascend": AscendSettings,
    "feature_maps": MapsSettings,
    "class_activation_map": MapSettings,
    "attribution": AttributionSettings,
    "unit_attribution": UnitAttributionSettings,
    "faithfulness": FaithfulnessSettings,
    "deepdream": DreamSettings,
    "adversarial": AdversarialSettings,
    "accentuate": AccentuationSettings,
    "caricature": CaricatureSettings,
    "concepts": ConceptsSettings,
    "top_patches": PatchesSettings,
    "render_atlas": AtlasSettings,
}
SUBJECTS = {"net", "picture", "pictures", "path", "heat"}  # what a verb is about, which is not a setting
PANELS = {
    cw.FilterGallery: UnitsSettings,
    cw.ClassGallery: ClassesSettings,
    cw.FeatureMapPanel: MapsSettings,
    cw.HeatmapPanel: MapSettings,
    cw.DeepDreamPanel: DreamSettings,
    cw.AdversarialPanel: AdversarialSettings,
    cw.ConceptPanel: ConceptsSettings,
}
CHOSEN = {"layer", "units", "layers"}  # the panel chooses them where the verb must be given them


def parameters(function):
    given = inspect.signature(function).parameters
    return {name: p for name, p in given.items() if name not in SUBJECTS | {"self"}}


def in_words(name, panel):
    return "layer" if (name, panel) == ("layers", cw.FeatureMapPanel) else name  # it shows one at a time


def test_every_recorded_verb_has_its_settings_here():
    assert set(VERBS) <= set(SETTINGS)


@pytest.mark.parametrize("verb", SETTINGS)
def test_a_verb_has_the_names_order_and_defaults_of_its_fields(verb):
    asked = parameters(getattr(cw, verb))
    own = {
        one.name: inspect.Parameter.empty if one.default is MISSING else one.default for one in fields(SETTINGS[verb])
    }
    assert {name: p.default for name, p in asked.items()} == own
    in_order = [name for name, p in asked.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert list(own)[: len(in_order)] == in_order


@pytest.mark.parametrize("verb", SETTINGS)
def test_a_verb_passes_every_setting_on(verb, monkeypatch):
    class Caught(Exception):
        pass

    def caught(arguments):
        raise Caught({name: arguments[name] for name in asked})

    asked = {name: object() for name in parameters(getattr(cw, verb))}
    monkeypatch.setattr(SETTINGS[verb], "given", caught)
    subjects = {name: object() for name in inspect.signature(getattr(cw, verb)).parameters if name in SUBJECTS}
    with pytest.raises(Caught) as found:
        getattr(cw, verb)(**subjects, **asked)
    assert found.value.args == (asked,)


@pytest.mark.parametrize("verb", VERBS)
def test_a_recipe_knows_the_recorded_settings(verb):
    own = {"ascend": {"layer", "unit"}, "accentuate": {"layer", "unit"}, "faithfulness": {"heat"}}.get(verb, set())
    assert set(VERBS[verb].settings) == own | set(SETTINGS[verb].names())
    assert set(VERBS[verb].required) <= set(VERBS[verb].settings)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_a_keyword_and_a_trait_for_each_setting(panel):
    asked, traits = parameters(panel.__init__), panel.class_traits()
    for name in PANELS[panel].names():
        assert isinstance(traits[in_words(name, panel)], traitlets.TraitType)
        assert in_words(name, panel) in asked
    for name, default in PANELS[panel].defaults().items():
        assert asked[in_words(name, panel)].default == default
        if name not in CHOSEN:
            assert traits[name].default_value == default, name
