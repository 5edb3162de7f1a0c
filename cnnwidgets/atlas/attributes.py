"""What all pictures of an atlas have in common, and where each layer lies; written to its attributes and read back.

An atlas may come from anyone: nothing that it says of itself is believed before it is checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.pictures import slug

FORMAT = 1
MOST_LAYERS, MOST_PARTS, MOST_UNITS, LARGEST_SIDE, LARGEST_BATCH, LONGEST_TEXT = 10_000, 2**20, 2**20, 1024, 64, 1_000
SLUG = re.compile(r"[0-9]{4,5}-[A-Za-z0-9._-]{1,64}")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Settings:
    """What all pictures of an atlas have in common.

    Attributes:
        network: its name.
        fingerprint: of its weights, architecture and preprocessing, 64 hexadecimal digits.
        recipe: the name of the way of climbing.
        size: (height, width) in pixels.
        steps: how many.
        seed: of all randomness.
        versions: of the packages that change pixels.
        device: the kind of device that paints.
    """

    network: str
    fingerprint: str
    recipe: str
    size: tuple[int, int]
    steps: int
    seed: int
    versions: Mapping[str, str]
    device: str

    def to_attributes(self) -> dict[str, Any]:
        """JSON values, as they stand in the attributes."""
        return {**vars(self), "size": list(self.size), "versions": dict(self.versions)}

    def differences(self, other: Settings) -> list[str]:
        """Where another one differs, in words: "steps 32, not 64"; [] where nothing does.

        The network's name is not compared: two names may stand for the same weights.
        """
        ours, theirs = _told(self), _told(other)
        return [f"{name} {ours[name]}, not {theirs[name]}" for name in ours if ours[name] != theirs.get(name)]


def _told(settings: Settings) -> dict[str, str]:
    told = {"fingerprint": settings.fingerprint[:12] + "..."} | {
        name: str(getattr(settings, name)) for name in ("recipe", "steps", "seed", "device")
    }
    told["size"] = " x ".join(map(str, settings.size))
    return told | {package: settings.versions[package] for package in sorted(settings.versions)}


@dataclass(frozen=True)
class Place:
    """Where the pictures of a layer lie.

    Attributes:
        path: of the layer, whatever it may hold.
        slug: the name of its array, made by us.
        units: how many the layer has.
        batch: how many were painted together, and lie in one chunk.
        shape: of a picture, (height, width, channels).
        position: of the layer in `net.layers`, which tells it where the same network has other names; `None` in older
            atlases.
    """

    path: str
    slug: str
    units: int
    batch: int
    shape: tuple[int, int, int]
    position: int | None = None

    def path_in(self, paths: Sequence[str]) -> str:
        """The path of the layer in the atlas' network, whose layers may have other names now.

        Args:
            paths: of all its layers, in the order of `net.layers`.
        """
        return self.path if self.position is None or self.position >= len(paths) else paths[self.position]

    def to_attributes(self) -> dict[str, Any]:
        """JSON values, as they stand in the attributes."""
        return {**vars(self), "shape": list(self.shape)}


def slug_for(path: str, index: int) -> str:
    """The name of a layer's array: a number, which no two have in common, and what can be told of its path."""
    return f"{index:04d}-{slug(path)}"


def to_attributes(settings: Settings, places: tuple[Place, ...]) -> dict[str, Any]:
    """The attributes of an atlas."""
    layers = [place.to_attributes() for place in places]
    return {"cnnwidgets_atlas": FORMAT, **settings.to_attributes(), "layers": layers}


def from_attributes(attributes: Mapping[str, Any], where: str) -> tuple[Settings, tuple[Place, ...]]:
    """What the attributes of an atlas say.

    Raises:
        BadTarget: for those of anything else, or of an atlas that is damaged.
    """
    if "cnnwidgets_atlas" not in attributes:
        raise BadTarget(f"{quoted(where)} is a Zarr group, but not an atlas. Give what cw.render_atlas wrote.")
    if attributes["cnnwidgets_atlas"] != FORMAT:
        version = quoted(attributes["cnnwidgets_atlas"])
        raise BadTarget(f"{quoted(where)} is an atlas of format {version}, not {FORMAT}. Update cnnwidgets to open it.")
    read = _Reader(where)
    sizes = read.numbers(attributes, "size", 2, LARGEST_SIDE)
    settings = Settings(
        network=read.text(attributes, "network"),
        fingerprint=read.text(attributes, "fingerprint", FINGERPRINT),
        recipe=read.text(attributes, "recipe"),
        size=(sizes[0], sizes[1]),
        steps=read.number(attributes, "steps", 1, 2**16),
        seed=read.number(attributes, "seed", -(2**63), 2**63),
        versions=read.texts(attributes, "versions"),
        device=read.text(attributes, "device"),
    )
    layers = attributes.get("layers")
    if not isinstance(layers, list) or len(layers) > MOST_LAYERS or not all(isinstance(one, Mapping) for one in layers):
        raise read.damaged("layers", layers)
    places = tuple(read.place(one) for one in layers)
    for name in ("path", "slug"):
        if len({getattr(place, name) for place in places}) < len(places):
            raise read.damaged(name, "the same twice")
    return settings, places


class _Reader:
    """Takes values out of attributes that others may have written."""

    def __init__(self, where: str) -> None:
        self.where = where

    def damaged(self, name: str, value: object) -> BadTarget:
        return BadTarget(
            f"The atlas {quoted(self.where)} is damaged: its {name} is {quoted(value)}. "
            "Render it again at another path, or get it again."
        )

    def text(self, values: Mapping[str, Any], name: str, pattern: re.Pattern[str] | None = None) -> str:
        value = values.get(name)
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or (pattern and not pattern.fullmatch(value)):
            raise self.damaged(name, value)
        return value

    def texts(self, values: Mapping[str, Any], name: str) -> dict[str, str]:
        found = values.get(name)
        if not isinstance(found, Mapping) or len(found) > 100:
            raise self.damaged(name, found)
        return {str(key): self.text(found, key) for key in found}

    def number(self, values: Mapping[str, Any], name: str, least: int, most: int) -> int:
        value = values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.damaged(name, value)
        return value

    def numbers(self, values: Mapping[str, Any], name: str, count: int, most: int) -> tuple[int, ...]:
        found = values.get(name)
        if not isinstance(found, list) or len(found) != count:
            raise self.damaged(name, found)
        return tuple(self.number({name: one}, name, 1, most) for one in found)

    def place(self, values: Mapping[str, Any]) -> Place:
        height, width, channels = self.numbers(values, "shape", 3, LARGEST_SIDE)
        if channels > 4:
            raise self.damaged("shape", values["shape"])
        return Place(
            path=self.text(values, "path"),
            slug=self.text(values, "slug", SLUG),
            units=self.number(values, "units", 1, MOST_UNITS),
            batch=self.number(values, "batch", 1, LARGEST_BATCH),
            shape=(height, width, channels),
            position=None if values.get("position") is None else self.number(values, "position", 0, MOST_PARTS),
        )
