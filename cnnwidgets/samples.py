"""Sample photographs that are already on disk: inside scikit-image and matplotlib. Nothing is ever downloaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.pictures import load_picture

PACKAGES = {"skimage": "scikit-image", "matplotlib": "matplotlib"}

# The photographs among the files that both packages install: name -> package, file.
PHOTOGRAPHS = {
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "camera": ("skimage", "data/camera.png"),
    "coins": ("skimage", "data/coins.png"),
    "brick": ("skimage", "data/brick.png"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "moon": ("skimage", "data/moon.png"),
    "hubble_deep_field": ("skimage", "data/hubble_deep_field.jpg"),
    "retina": ("skimage", "data/retina.jpg"),
}


def sample_names() -> tuple[str, ...]:
    """The names of the sample photographs that are on this disk (fewer without scikit-image), the best known first."""
    return tuple(name for name in PHOTOGRAPHS if _path(name) is not None)


def sample(name: str) -> NDArray[np.float32]:
    """A sample photograph as float32 [H, W, 3], RGB, 0..1.

    Raises:
        BadTarget: a name that is not in `sample_names()`.

    Example:
        >>> sample("chelsea").shape
        (300, 451, 3)
    """
    known = isinstance(name, str) and name in PHOTOGRAPHS
    path = _path(name) if known else None
    if path is None:
        more = f"; it comes with {PACKAGES[PHOTOGRAPHS[name][0]]}" if known else ""
        names = sample_names()
        advice = f"Choose from: {', '.join(names)}." if names else "There are none: install scikit-image."
        raise BadTarget(f"There is no sample photograph {quoted(name)}{more}. {advice}")
    return load_picture(path)


def _path(name: str) -> Path | None:
    package, file = PHOTOGRAPHS[name]
    spec = find_spec(package)  # finds the folder without importing the package
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((path for path in (Path(folder, file) for folder in folders) if path.is_file()), None)
