"""A live microscope for Keras CNNs inside Jupyter: `import cnnwidgets as cw`.

Verbs compute, nouns display. The names load when they are first used, so that importing this costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnwidgets import samples
    from cnnwidgets.compute import objectives, optimizers, parametrizations, transforms
    from cnnwidgets.compute.ascent import ascend
    from cnnwidgets.compute.backend import limit_gpu
    from cnnwidgets.compute.classes import visualize_classes
    from cnnwidgets.compute.frame import Frame
    from cnnwidgets.compute.layers import LayerInfo
    from cnnwidgets.compute.network import Network, Prediction
    from cnnwidgets.compute.tiles import UnitPictures
    from cnnwidgets.compute.units import visualize_units
    from cnnwidgets.errors import BadModel, BadPicture, BadTarget, CnnWidgetsError, JobFailed
    from cnnwidgets.panels.filter_gallery import FilterGallery
    from cnnwidgets.panels.layer_picker import LayerPicker
    from cnnwidgets.pictures import load_picture
    from cnnwidgets.zoo import load_network

__version__ = "0.1.0"

# Each public name and the module that it lives in.
_HOMES = {
    "BadModel": "errors",
    "BadPicture": "errors",
    "BadTarget": "errors",
    "CnnWidgetsError": "errors",
    "FilterGallery": "panels.filter_gallery",
    "Frame": "compute.frame",
    "JobFailed": "errors",
    "LayerInfo": "compute.layers",
    "LayerPicker": "panels.layer_picker",
    "Network": "compute.network",
    "Prediction": "compute.network",
    "UnitPictures": "compute.tiles",
    "ascend": "compute.ascent",
    "limit_gpu": "compute.backend",
    "load_network": "zoo",
    "load_picture": "pictures",
    "objectives": "compute.objectives",
    "optimizers": "compute.optimizers",
    "parametrizations": "compute.parametrizations",
    "samples": "samples",
    "transforms": "compute.transforms",
    "visualize_classes": "compute.classes",
    "visualize_units": "compute.units",
}
_MODULES = {"objectives", "optimizers", "parametrizations", "samples", "transforms"}

__all__ = [
    "BadModel",
    "BadPicture",
    "BadTarget",
    "CnnWidgetsError",
    "FilterGallery",
    "Frame",
    "JobFailed",
    "LayerInfo",
    "LayerPicker",
    "Network",
    "Prediction",
    "UnitPictures",
    "ascend",
    "limit_gpu",
    "load_network",
    "load_picture",
    "objectives",
    "optimizers",
    "parametrizations",
    "samples",
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
