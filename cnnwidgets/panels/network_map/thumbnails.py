"""Small pictures of the most excited map of each layer, made on the worker."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.activations.feature_maps import display_maps
from cnnwidgets.activations.strongest_maps import strongest_maps
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.layers import spatial_layers
from cnnwidgets.model.network import Network
from cnnwidgets.panels.protocols import PlainFrame

SIDE = 20  # pixels, at most
LEVEL = 17  # of 255: sixteen levels of gray are enough for so small a picture, and half the bytes


@dataclass(frozen=True, eq=False)
class ThumbnailFrame(PlainFrame):
    """The one frame of a run: for each path the address of a small picture, `data:...`."""

    addresses: dict[str, str]


def thumbnails(net: Network, picture: HeldPicture) -> Iterator[ThumbnailFrame]:
    """One frame with a small picture for each layer that has rows and columns."""
    maps = strongest_maps(net, spatial_layers(net), net.arrays(picture.given))
    yield ThumbnailFrame({path: _address(one) for path, one in maps.items()})


def _address(plane: np.ndarray) -> str:
    shown = display_maps(plane[..., None], "range")[0] / np.float32(255)
    high, wide = (min(n, SIDE) for n in shown.shape)
    small = pictures.to_uint8(pictures.resize(shown, (high, wide))) // LEVEL * LEVEL
    return "data:image/png;base64," + base64.b64encode(pictures.to_png(small)).decode()
