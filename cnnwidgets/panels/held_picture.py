"""The picture of a panel, kept as it was given: a file may change meanwhile, and an array too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image

from cnnwidgets import pictures
from cnnwidgets.compute.network import Network
from cnnwidgets.compute.probe import Probe


class HeldPicture:
    """A picture, or one for each input, that fits a network.

    Attributes:
        given: as the verbs take it, and nobody else changes it.
        photos: [H, W, 3], 0..1, one for each picture input, at their own size.
        digest: sha256 of all that was given, in hexadecimal digits.

    Raises:
        BadPicture: for what is no picture, or too small for this network.
        BadModel: for inputs that the model does not have.
    """

    def __init__(self, net: Network, picture: object) -> None:
        self.given = _held(picture, alone=len(net.inputs) == 1)
        Probe(net, self.given)
        opened = net.opened(self.given)
        self.photos = [pictures.displayable(opened[i]) for i in net.picture_inputs]
        digest = hashlib.sha256()
        for index, array in sorted(opened.items()):
            digest.update(f"{index}{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        self.digest = digest.hexdigest()


def _held(value: object, alone: bool = True) -> Any:
    if isinstance(value, Mapping):
        return {name: _held(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)) and not alone:
        return [_held(one) for one in value]
    if isinstance(value, (str, PathLike, bytes, bytearray, memoryview, Image.Image)):
        return pictures.load_picture(value)
    return value.copy() if isinstance(value, np.ndarray) else value
