"""A live microscope for Keras CNNs inside Jupyter: `import cnnwidgets as cw`.

Verbs compute, nouns display. The names load when they are first used, so that importing this costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnwidgets import samples
    from cnnwidgets.activations.compare import compare_units
    from cnnwidgets.activations.convolution import Convolution, Pooling, convolution_at
    from cnnwidgets.activations.feature_maps import feature_maps, top_units
    from cnnwidgets.activations.patches import top_patches
    from cnnwidgets.activations.receptive_field import receptive_field
    from cnnwidgets.atlas.atlas import Atlas, open_atlas
    from cnnwidgets.atlas.render_atlas import render_atlas
    from cnnwidgets.errors import BadModel, BadPicture, BadTarget, CnnWidgetsError, JobFailed
    from cnnwidgets.explain import targets
    from cnnwidgets.explain.attribution import attribution
    from cnnwidgets.explain.class_activation_map import class_activation_map
    from cnnwidgets.explain.concept_search.found_concepts import Concepts
    from cnnwidgets.explain.concepts import concepts
    from cnnwidgets.explain.faithfulness import Curve, faithfulness
    from cnnwidgets.explain.heatmap import Heatmap
    from cnnwidgets.explain.unit_attribution import UnitAttribution, unit_attribution
    from cnnwidgets.frame import Frame
    from cnnwidgets.model.backend import limit_gpu
    from cnnwidgets.model.layers import LayerInfo
    from cnnwidgets.model.network import Network
    from cnnwidgets.model.outputs.predictions import Prediction
    from cnnwidgets.panels.adversarial.adversarial_panel import AdversarialPanel
    from cnnwidgets.panels.concepts.concept_panel import ConceptPanel
    from cnnwidgets.panels.deepdream.deepdream_panel import DeepDreamPanel
    from cnnwidgets.panels.explorer.explorer import Explorer
    from cnnwidgets.panels.feature_maps.feature_map_panel import FeatureMapPanel
    from cnnwidgets.panels.galleries.class_gallery import ClassGallery
    from cnnwidgets.panels.galleries.filter_gallery import FilterGallery
    from cnnwidgets.panels.heatmaps.heatmap_panel import HeatmapPanel
    from cnnwidgets.panels.layer_picker import LayerPicker
    from cnnwidgets.panels.network_map.network_map import NetworkMap
    from cnnwidgets.panels.training.compare_panel import ComparePanel
    from cnnwidgets.panels.training.training_panel import TrainingPanel
    from cnnwidgets.panels.unit.unit_panel import UnitPanel
    from cnnwidgets.panels.unit_attribution.unit_attribution_panel import UnitAttributionPanel
    from cnnwidgets.pictures import load_picture
    from cnnwidgets.provenance.rerun import rerun
    from cnnwidgets.report.explaining import explain
    from cnnwidgets.report.explanation import Explanation
    from cnnwidgets.training.recorder import TrainingRecorder
    from cnnwidgets.training.snapshots import Snapshot
    from cnnwidgets.visualize import objectives, optimizers, parametrizations, transforms
    from cnnwidgets.visualize.adversarial import adversarial
    from cnnwidgets.visualize.ascent import ascend
    from cnnwidgets.visualize.batches import UnitPictures
    from cnnwidgets.visualize.classes import visualize_classes
    from cnnwidgets.visualize.photographs.accentuation import accentuate
    from cnnwidgets.visualize.photographs.caricature import caricature
    from cnnwidgets.visualize.photographs.deepdream import deepdream
    from cnnwidgets.visualize.units import visualize_units
    from cnnwidgets.zoo import load_network

__version__ = "0.1.0"

# Each public name and the module that it lives in.
_HOMES = {
    "AdversarialPanel": "panels.adversarial.adversarial_panel",
    "Atlas": "atlas.atlas",
    "BadModel": "errors",
    "BadPicture": "errors",
    "BadTarget": "errors",
    "ClassGallery": "panels.galleries.class_gallery",
    "CnnWidgetsError": "errors",
    "ComparePanel": "panels.training.compare_panel",
    "ConceptPanel": "panels.concepts.concept_panel",
    "Concepts": "explain.concept_search.found_concepts",
    "Convolution": "activations.convolution",
    "Curve": "explain.faithfulness",
    "DeepDreamPanel": "panels.deepdream.deepdream_panel",
    "Explanation": "report.explanation",
    "Explorer": "panels.explorer.explorer",
    "FeatureMapPanel": "panels.feature_maps.feature_map_panel",
    "FilterGallery": "panels.galleries.filter_gallery",
    "Frame": "frame",
    "Heatmap": "explain.heatmap",
    "HeatmapPanel": "panels.heatmaps.heatmap_panel",
    "JobFailed": "errors",
    "LayerInfo": "model.layers",
    "LayerPicker": "panels.layer_picker",
    "Network": "model.network",
    "NetworkMap": "panels.network_map.network_map",
    "Pooling": "activations.convolution",
    "Prediction": "model.outputs.predictions",
    "Snapshot": "training.snapshots",
    "TrainingPanel": "panels.training.training_panel",
    "TrainingRecorder": "training.recorder",
    "UnitAttribution": "explain.unit_attribution",
    "UnitAttributionPanel": "panels.unit_attribution.unit_attribution_panel",
    "UnitPanel": "panels.unit.unit_panel",
    "UnitPictures": "visualize.batches",
    "accentuate": "visualize.photographs.accentuation",
    "adversarial": "visualize.adversarial",
    "ascend": "visualize.ascent",
    "attribution": "explain.attribution",
    "caricature": "visualize.photographs.caricature",
    "class_activation_map": "explain.class_activation_map",
    "compare_units": "activations.compare",
    "concepts": "explain.concepts",
    "convolution_at": "activations.convolution",
    "deepdream": "visualize.photographs.deepdream",
    "explain": "explain",
    "faithfulness": "explain.faithfulness",
    "feature_maps": "activations.feature_maps",
    "limit_gpu": "model.backend",
    "load_network": "zoo",
    "load_picture": "pictures",
    "objectives": "visualize.objectives",
    "open_atlas": "atlas.atlas",
    "optimizers": "visualize.optimizers",
    "parametrizations": "visualize.parametrizations",
    "receptive_field": "activations.receptive_field",
    "render_atlas": "atlas.render_atlas",
    "rerun": "provenance.rerun",
    "samples": "samples",
    "targets": "explain.targets",
    "top_patches": "activations.patches",
    "top_units": "activations.feature_maps",
    "transforms": "visualize.transforms",
    "unit_attribution": "explain.unit_attribution",
    "visualize_classes": "visualize.classes",
    "visualize_units": "visualize.units",
}
_MODULES = {"explain", "objectives", "optimizers", "parametrizations", "samples", "targets", "transforms"}

__all__ = [
    "AdversarialPanel",
    "Atlas",
    "BadModel",
    "BadPicture",
    "BadTarget",
    "ClassGallery",
    "CnnWidgetsError",
    "ComparePanel",
    "ConceptPanel",
    "Concepts",
    "Convolution",
    "Curve",
    "DeepDreamPanel",
    "Explanation",
    "Explorer",
    "FeatureMapPanel",
    "FilterGallery",
    "Frame",
    "Heatmap",
    "HeatmapPanel",
    "JobFailed",
    "LayerInfo",
    "LayerPicker",
    "Network",
    "NetworkMap",
    "Pooling",
    "Prediction",
    "Snapshot",
    "TrainingPanel",
    "TrainingRecorder",
    "UnitAttribution",
    "UnitAttributionPanel",
    "UnitPanel",
    "UnitPictures",
    "accentuate",
    "adversarial",
    "ascend",
    "attribution",
    "caricature",
    "class_activation_map",
    "compare_units",
    "concepts",
    "convolution_at",
    "deepdream",
    "explain",
    "faithfulness",
    "feature_maps",
    "limit_gpu",
    "load_network",
    "load_picture",
    "objectives",
    "open_atlas",
    "optimizers",
    "parametrizations",
    "receptive_field",
    "render_atlas",
    "rerun",
    "samples",
    "targets",
    "top_patches",
    "top_units",
    "transforms",
    "unit_attribution",
    "visualize_classes",
    "visualize_units",
]


if not TYPE_CHECKING:  # else a checker would believe in any name

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home, keywords = (importlib.import_module(f"{__name__}.{one}") for one in (_HOMES[name], "keywords"))
        if name in _MODULES:
            keywords.guard_all(home, name, _keywords)
        else:
            keywords.guard(home, name, _keywords)
        value = globals()[name] = home if name in _MODULES else getattr(home, name)
        return value


def _keywords() -> dict[str, tuple[str, ...]]:
    """The keywords of each public function and constructor."""
    package = sys.modules[__name__]
    keywords_of = importlib.import_module(f"{__name__}.keywords").keywords_of
    return {name: found for name in __all__ if (found := keywords_of(getattr(package, name)))}


def __dir__() -> list[str]:
    """The public names."""
    return __all__
