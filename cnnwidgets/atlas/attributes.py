"""The attributes of an atlas: settings of all its pictures, and the array of each layer; written, read and checked.

An atlas may come from anyone, so every attribute is checked before it is used.
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
    """Settings that all pictures of an atlas share.

    Attributes:
        network: its name.
        fingerprint: of its weights, architecture and preprocessing, 64 hexadecimal digits.
        recipe: the preset of the optimization, such as "fourier".
        size: (height, width) in pixels.
        steps: number of steps.
        seed: of all randomness.
        versions: of the packages that change pixels.
        device: the kind of device that renders.
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
        """JSON values for the attributes."""
        return {**vars(self), "size": list(self.size), "versions": dict(self.versions)}

    def differences(self, other: Settings) -> list[str]:
        """Differences from other settings as text: "steps 32, not 64"; [] if there are none.

        The network's name is not compared: two names may mean the same weights.
        """
        ours, theirs = _as_text(self), _as_text(other)
        return [f"{name} {ours[name]}, not {theirs[name]}" for name in ours if ours[name] != theirs.get(name)]


def _as_text(settings: Settings) -> dict[str, str]:
    text = {"fingerprint": settings.fingerprint[:12] + "..."} | {
        name: str(getattr(settings, name)) for name in ("recipe", "steps", "seed", "device")
    }
    text["size"] = " x ".join(map(str, settings.size))
    return text | {package: settings.versions[package] for package in sorted(settings.versions)}


@dataclass(frozen=True)
class StoredLayer:
    """The array of a layer's pictures.

    Attributes:
        path: of the layer; may contain any characters.
        slug: the name of its array, which we made.
        units: number of units in the layer.
        batch: number of pictures rendered together and stored in one chunk.
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
        """JSON values for the attributes."""
        return {**vars(self), "shape": list(self.shape)}


def slug_for(path: str, index: int) -> str:
    """The name of a layer's array: a unique number, and the readable part of its path."""
    return f"{index:04d}-{slug(path)}"


def to_attributes(settings: Settings, stored_layers: tuple[StoredLayer, ...]) -> dict[str, Any]:
    """The attributes of an atlas."""
    layers = [stored.to_attributes() for stored in stored_layers]
    return {"cnnwidgets_atlas": FORMAT, **settings.to_attributes(), "layers": layers}


def from_attributes(attributes: Mapping[str, Any], where: str) -> tuple[Settings, tuple[StoredLayer, ...]]:
    """The settings and layers in the attributes of an atlas, checked.

    Raises:
        BadTarget: for attributes of anything else, or of a damaged atlas.
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
    stored_layers = tuple(read.stored(one) for one in layers)
    for name in ("path", "slug"):
        if len({getattr(stored, name) for stored in stored_layers}) < len(stored_layers):
            raise read.damaged(name, "the same twice")
    return settings, stored_layers


class _Reader:
    """Reads and checks values in attributes that others may have written."""

    def __init__(self, where: str) -> None:
        self.where = where

    def damaged(self, name: str, value: object) -> BadTarget:
        return BadTarget(
            f"The atlas {quoted(self.where)} is damaged: its {name} is {quoted(value)}. "
            "Render it again at another path, or download it again."
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

    def stored(self, values: Mapping[str, Any]) -> StoredLayer:
        height, width, channels = self.numbers(values, "shape", 3, LARGEST_SIDE)
        if channels > 4:
            raise self.damaged("shape", values["shape"])
        return StoredLayer(
            path=self.text(values, "path"),
            slug=self.text(values, "slug", SLUG),
            units=self.number(values, "units", 1, MOST_UNITS),
            batch=self.number(values, "batch", 1, LARGEST_BATCH),
            shape=(height, width, channels),
            position=None if values.get("position") is None else self.number(values, "position", 0, MOST_PARTS),
        )
