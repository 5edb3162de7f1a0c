"""Rerun of a saved picture, from the recipe in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.activations.feature_maps import display_maps, feature_maps
from cnnwidgets.errors import BadModel, BadPicture, BadTarget, quoted
from cnnwidgets.explain.attribution import attribution
from cnnwidgets.explain.class_activation_map import class_activation_map
from cnnwidgets.explain.concept_search.found_concepts import tiles_of
from cnnwidgets.explain.concepts import concepts
from cnnwidgets.explain.faithfulness import FaithfulnessSettings
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.overlays import unit_tiles
from cnnwidgets.explain.overlays.comparison import MapRequest, compare
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.overlays.overlay_tiles import Brush, HeatTiles
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.recorded_targets import from_record
from cnnwidgets.explain.sanity_check import randomized
from cnnwidgets.explain.unit_attribution import unit_attribution
from cnnwidgets.frame import last_of
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.pictures.reading.folders import digest_of, many_pictures
from cnnwidgets.provenance.positions import renamed
from cnnwidgets.provenance.recipe import Recipe
from cnnwidgets.provenance.snippets import BUNDLED
from cnnwidgets.provenance.verbs import VERBS
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.adversarial import adversarial
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.classes import visualize_classes
from cnnwidgets.visualize.photographs.accentuation import accentuate
from cnnwidgets.visualize.photographs.caricature import caricature
from cnnwidgets.visualize.photographs.deepdream import deepdream
from cnnwidgets.visualize.units import visualize_units
from cnnwidgets.zoo import load_network


def rerun(png: bytes | str | Path, net: Network | Any = None, picture: object = None) -> bytes:
    """The PNG that a recipe makes: on the same machine and versions the same bytes.

    Args:
        png: a PNG that a panel saved: its bytes, or its path.
        net: the network, where it is not one of this package's own.
        picture: the photograph, or one for each input, where it began with one.

    Raises:
        BadPicture: for anything but a PNG with a recipe, and for another photograph, or none if one is needed.
        BadModel: for a network with other weights.
        BadTarget: for a recipe that cannot be run again.

    Example:
        >>> rerun("dream.png", picture="cat.jpg") == Path("dream.png").read_bytes()
        True
    """
    recipe = Recipe.from_png(png)
    network = _network(recipe, net)
    made = _MAKERS[recipe.verb](network, renamed(recipe.settings, network), _held(recipe, network, picture))
    return pictures.to_png(pictures.displayable(made), recipe.to_dict())


def _network(recipe: Recipe, net: Any) -> Network:
    if net is None and recipe.network not in BUNDLED:
        raise BadTarget(f"The network {quoted(recipe.network)} is not in this package. Give it as net.")
    network = load_network(recipe.network) if net is None else as_network(net)
    if network.fingerprint() != recipe.fingerprint:
        raise BadModel(
            f"{quoted(network.name)} differs from the network of the picture in weights, layers or preprocessing. "
            "Give the same network."
        )
    return network


def _held(recipe: Recipe, net: Network, picture: object) -> Any:
    """The photograph that it began with; `None` where it began with none."""
    if "picture" not in VERBS[recipe.verb].first:
        return None
    if recipe.verb == "concepts":
        return _held_pictures(recipe, picture)
    if picture is None:
        raise BadPicture(f"A picture made by {recipe.verb} needs the photograph it began with. Give it as picture=....")
    held = HeldPicture(net, picture, recipe.settings.get("size"))
    if held.digest != recipe.settings.get("picture"):
        raise BadPicture(
            f"This is another photograph than the one that {recipe.verb} began with: their pixels differ. "
            "Give the original file or array, unchanged, as picture=...."
        )
    return held


def _held_pictures(recipe: Recipe, pictures: object) -> Any:
    """The pictures in which concepts were searched."""
    if pictures is None:
        raise BadPicture("Concepts need the pictures in which they were found. Give folder or list as picture=....")
    if digest_of(many_pictures(pictures)) != recipe.settings.get("picture"):
        raise BadPicture(
            "These are other pictures than those in which the concepts were found. Give the same folder or list, "
            "unchanged, as picture=...."
        )
    return pictures


def _tiles(verb: Callable[..., Any], first: str) -> Callable[[Network, Mapping[str, Any], Any], Any]:
    def make(net: Network, settings: Mapping[str, Any], _: Any) -> Any:
        given = _keywords(verb.__name__, settings)
        size = given.get("size")
        given["size"] = tuple(size) if isinstance(size, (list, tuple)) else size
        made = verb(net, settings[first], **given)
        return pictures.mosaic(pictures.to_uint8(made.pictures), settings.get("columns"))

    return make


def _ascended(net: Network, settings: Mapping[str, Any], _: Any) -> Any:
    objective = objectives.channel(settings["layer"], settings["unit"])
    last = last_of(ascend(net, objective, settings.get("size"), settings["steps"], seed=settings["seed"]))
    return pictures.to_uint8(np.asarray(last.pictures[0]))


def _maps(net: Network, settings: Mapping[str, Any], held: HeldPicture) -> Any:
    ((_, maps),) = feature_maps(net, held.given, **_keywords("feature_maps", settings)).items()
    return pictures.tile_maps(display_maps(maps[..., list(settings["shown"])], settings["how"]), settings["columns"])


def _from_photograph(
    verb: Callable[..., Iterator[Any]], first: Callable[[Mapping[str, Any]], tuple[Any, ...]] = lambda _: ()
) -> Callable[[Network, Mapping[str, Any], HeldPicture], Any]:
    """A maker for a verb that yields frames of a photograph; `first` has what it is given after the photograph."""

    def make(net: Network, settings: Mapping[str, Any], held: HeldPicture) -> Any:
        if settings.get("steered"):
            raise BadTarget(
                "Its settings were changed while it ran, so they do not show how it was made. "
                "Run its snippet() for a similar one."
            )
        frames = verb(net, held.given, *first(settings), **_keywords(verb.__name__, settings))
        return _at(frames, settings).pictures[0]

    return make


def _concepts(net: Network, settings: Mapping[str, Any], held: Any) -> Any:
    if settings.get("steered"):
        raise BadTarget(
            "Its concepts were named or merged, so its settings do not show how it was made. "
            "Run its snippet() for the concepts as they were found."
        )
    return tiles_of(concepts(net, held, **_keywords("concepts", settings)))


def _heat(net: Network, settings: Mapping[str, Any], held: HeldPicture) -> Any:
    requests = tuple(_map_request(net, asked) for asked in (settings, *settings["beside"]))
    seen = _at(compare(requests, held, randomized), settings)
    return HeatTiles(seen).whole(Brush(settings["opacity"], settings["threshold"], settings["colormap"]))


def _units(net: Network, settings: Mapping[str, Any], held: HeldPicture) -> Any:
    found = unit_tiles.first_shown(unit_attribution(net, held.given, **_keywords("unit_attribution", settings)))
    photo = unit_tiles.photo_of(net, found, held.photos)
    return unit_tiles.mosaic(found, photo, settings["shown"], settings["columns"])


def _removed(net: Network, settings: Mapping[str, Any], held: HeldPicture) -> Any:
    heat = settings["heat"]
    maps = {"": _map(net, heat, held)} if "verb" in heat else {name: _map(net, one, held) for name, one in heat.items()}
    asked = FaithfulnessSettings(**_keywords("faithfulness", settings))
    return _at(asked.check(Probe(net, held.given, asked.size), maps).frames(), settings).pictures[0]


def _map(net: Network, recorded: Mapping[str, Any], held: HeldPicture) -> Heatmap:
    """The heatmap that a recipe describes."""
    verb, index = recorded["verb"], recorded.get("index", 0)
    found = _MAPS[verb](net, held.given, **_keywords(verb, renamed(recorded, net)))
    if not 0 <= index < len(found):
        raise BadTarget(f"The index of a map must be from 0 to {len(found) - 1}, got {index}.")
    return found[index]


def _map_request(net: Network, asked: Mapping[str, Any]) -> MapRequest:
    network = _asked_network(net, asked)
    asked = renamed(asked, network)
    named = {name: asked[name] for name in MapRequest.names() if name in asked}  # older files lack some
    target = from_record(asked["target"])
    return MapRequest(net=network, is_shuffled=asked.get("shuffled", False), **{**named, "target": target})


def _asked_network(net: Network, asked: Mapping[str, Any]) -> Network:
    """The network itself, where the request names no other."""
    if asked.get("fingerprint", net.fingerprint()) == net.fingerprint():
        return net
    other = asked["network"]
    if other in BUNDLED and (network := load_network(other)).fingerprint() == asked["fingerprint"]:
        return network
    raise BadTarget(f"It compares with the network {quoted(other)}. Run the panel with it as second_net instead.")


def _keywords(verb: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in settings.items() if name in VERBS[verb].keywords}
    return {name: from_record(value) if name == "target" else value for name, value in found.items()}


def _at(frames: Iterator[Any], settings: Mapping[str, Any]) -> Any:
    """The frame whose picture was saved: the last one, or where the run was stopped."""
    until = settings.get("until")
    for frame in frames:
        if frame.step == until:
            break
    return frame


_MAPS: dict[str, Callable[..., list[Heatmap]]] = {
    "class_activation_map": class_activation_map,
    "attribution": attribution,
}
_MAKERS: dict[str, Callable[[Network, Mapping[str, Any], Any], Any]] = {
    "visualize_units": _tiles(visualize_units, "layer"),
    "visualize_classes": _tiles(visualize_classes, "classes"),
    "ascend": _ascended,
    "feature_maps": _maps,
    "class_activation_map": _heat,
    "attribution": _heat,
    "unit_attribution": _units,
    "faithfulness": _removed,
    "deepdream": _from_photograph(deepdream),
    "adversarial": _from_photograph(adversarial),
    "accentuate": _from_photograph(accentuate, lambda known: (objectives.unit(known["layer"], known["unit"]),)),
    "concepts": _concepts,
    "caricature": _from_photograph(caricature, lambda known: (known["layer"],)),
}
