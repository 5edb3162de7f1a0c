"""A live microscope for Keras CNNs inside Jupyter: `import cnnwidgets as cw`.

Verbs compute, nouns display. The names load when they are first used, so that importing this costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnwidgets import samples
    from cnnwidgets.atlas.atlas import Atlas, open_atlas
    from cnnwidgets.atlas.rendering import render_atlas
    from cnnwidgets.compute import objectives, optimizers, parametrizations, transforms
    from cnnwidgets.compute.activations import feature_maps, top_units
    from cnnwidgets.compute.adversarial import adversarial
    from cnnwidgets.compute.ascent import ascend
    from cnnwidgets.compute.attributions import attribution
    from cnnwidgets.compute.backend import limit_gpu
    from cnnwidgets.compute.classes import visualize_classes
    from cnnwidgets.compute.deepdream import deepdream
    from cnnwidgets.compute.frame import Frame
    from cnnwidgets.compute.heatmaps import Heatmap, class_activation_map
    from cnnwidgets.compute.layers import LayerInfo
    from cnnwidgets.compute.network import Network, Prediction
    from cnnwidgets.compute.patches import top_patches
    from cnnwidgets.compute.receptive_field import receptive_field
    from cnnwidgets.compute.tiles import UnitPictures
    from cnnwidgets.compute.units import visualize_units
    from cnnwidgets.errors import BadModel, BadPicture, BadTarget, CnnWidgetsError, JobFailed
    from cnnwidgets.panels.dream.deepdream_panel import DeepDreamPanel
    from cnnwidgets.panels.explorer.explorer import Explorer
    from cnnwidgets.panels.heatmap.heatmap_panel import HeatmapPanel
    from cnnwidgets.panels.layer_picker import LayerPicker
    from cnnwidgets.panels.maps.feature_map_panel import FeatureMapPanel
    from cnnwidgets.panels.nudge.adversarial_panel import AdversarialPanel
    from cnnwidgets.panels.tiles.class_gallery import ClassGallery
    from cnnwidgets.panels.tiles.filter_gallery import FilterGallery
    from cnnwidgets.pictures import load_picture
    from cnnwidgets.rerun import rerun
    from cnnwidgets.zoo import load_network

__version__ = "0.1.0"

# Each public name and the module that it lives in.
_HOMES = {
    "AdversarialPanel": "panels.nudge.adversarial_panel",
    "Atlas": "atlas.atlas",
    "BadModel": "errors",
    "BadPicture": "errors",
    "BadTarget": "errors",
    "ClassGallery": "panels.tiles.class_gallery",
    "CnnWidgetsError": "errors",
    "DeepDreamPanel": "panels.dream.deepdream_panel",
    "Explorer": "panels.explorer.explorer",
    "FeatureMapPanel": "panels.maps.feature_map_panel",
    "FilterGallery": "panels.tiles.filter_gallery",
    "Frame": "compute.frame",
    "Heatmap": "compute.heatmaps",
    "HeatmapPanel": "panels.heatmap.heatmap_panel",
    "JobFailed": "errors",
    "LayerInfo": "compute.layers",
    "LayerPicker": "panels.layer_picker",
    "Network": "compute.network",
    "Prediction": "compute.network",
    "UnitPictures": "compute.tiles",
    "adversarial": "compute.adversarial",
    "ascend": "compute.ascent",
    "attribution": "compute.attributions",
    "class_activation_map": "compute.heatmaps",
    "deepdream": "compute.deepdream",
    "feature_maps": "compute.activations",
    "limit_gpu": "compute.backend",
    "load_network": "zoo",
    "load_picture": "pictures",
    "objectives": "compute.objectives",
    "open_atlas": "atlas.atlas",
    "optimizers": "compute.optimizers",
    "parametrizations": "compute.parametrizations",
    "receptive_field": "compute.receptive_field",
    "render_atlas": "atlas.rendering",
    "rerun": "rerun",
    "samples": "samples",
    "top_patches": "compute.patches",
    "top_units": "compute.activations",
    "transforms": "compute.transforms",
    "visualize_classes": "compute.classes",
    "visualize_units": "compute.units",
}
_MODULES = {"objectives", "optimizers", "parametrizations", "samples", "transforms"}

__all__ = [
    "AdversarialPanel",
    "Atlas",
    "BadModel",
    "BadPicture",
    "BadTarget",
    "ClassGallery",
    "CnnWidgetsError",
    "DeepDreamPanel",
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
    "Prediction",
    "UnitPictures",
    "adversarial",
    "ascend",
    "attribution",
    "class_activation_map",
    "deepdream",
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
    "top_patches",
    "top_units",
    "transforms",
    "visualize_classes",
    "visualize_units",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    value = home if name in _MODULES else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
