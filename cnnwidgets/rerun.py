"""Make a saved picture again, from the recipe inside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.compute import objectives
from cnnwidgets.compute.ascent import ascend
from cnnwidgets.compute.classes import visualize_classes
from cnnwidgets.compute.network import Network, as_network
from cnnwidgets.compute.units import visualize_units
from cnnwidgets.errors import BadModel, BadTarget, quoted
from cnnwidgets.recipe import Recipe
from cnnwidgets.snippets import BUNDLED, VERBS
from cnnwidgets.zoo import load_network

Settings = Mapping[str, Any]


def rerun(png: bytes | str | Path, net: Network | Any = None) -> bytes:
    """The PNG that a recipe makes: on the same machine and versions the same bytes.

    Args:
        png: a PNG that a panel saved: its bytes, or its path.
        net: the network, where it is not one of this package's own.

    Raises:
        BadPicture: for what is no PNG with a recipe.
        BadModel: for a network with other weights.
        BadTarget: for a recipe that cannot be run again.

    Example:
        >>> rerun("gallery.png") == open("gallery.png", "rb").read()
        True
    """
    recipe = Recipe.from_png(png)
    if recipe.verb not in _MAKERS:
        raise BadTarget(f"A picture made by {recipe.verb} needs the picture it began with. Run its snippet() instead.")
    network = _network(recipe, net)
    made = _MAKERS[recipe.verb](network, recipe.settings)
    return pictures.to_png(pictures.displayable(made), recipe.to_dict())


def _network(recipe: Recipe, net: Any) -> Network:
    if net is None and recipe.network not in BUNDLED:
        raise BadTarget(f"The network {quoted(recipe.network)} is not in this package. Give it as net.")
    network = load_network(recipe.network) if net is None else as_network(net)
    if network.fingerprint() != recipe.fingerprint:
        raise BadModel(f"The weights of {quoted(network.name)} are not those of the picture. Give the same network.")
    return network


def _tiles(verb: Callable[..., Any], first: str) -> Callable[[Network, Settings], Any]:
    def make(net: Network, settings: Settings) -> Any:
        given = {name: value for name, value in settings.items() if name in VERBS[verb.__name__].keywords}
        size = given.get("size")
        given["size"] = tuple(size) if isinstance(size, (list, tuple)) else size
        made = verb(net, settings[first], **given)
        return pictures.mosaic(pictures.to_uint8(made.pictures), settings.get("columns"))

    return make


def _climbed(net: Network, settings: Settings) -> Any:
    objective = objectives.channel(settings["layer"], settings["unit"])
    *_, last = ascend(net, objective, settings.get("size"), settings["steps"], seed=settings["seed"])
    return pictures.to_uint8(np.asarray(last.pictures[0]))


_MAKERS: dict[str, Callable[[Network, Settings], Any]] = {
    "visualize_units": _tiles(visualize_units, "layer"),
    "visualize_classes": _tiles(visualize_classes, "classes"),
    "ascend": _climbed,
}
