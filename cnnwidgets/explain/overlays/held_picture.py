"""The picture of a panel, copied when given: its file or array may change later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image

from cnnwidgets import pictures
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.inputs.texts import content_of
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.picture_size import Size, fed_size


class HeldPicture:
    """A picture, or one for each input, that fits a network.

    Attributes:
        given: as the verbs take it; a copy, so it never changes.
        photos: [H, W, 3], 0..1, one for each picture input, at their own size.
        digest: sha256 of all that was given, in hexadecimal digits.
        note: "" or what the reader of the files has to say: "Animated: this is its first frame."

    Raises:
        BadPicture: for anything but a picture, or one too small for this network.
        BadModel: for inputs that the model does not have.
    """

    def __init__(self, net: Network, picture: object, size: Size | None = None) -> None:
        notes: list[str] = []
        self.given = _held_inputs(picture, net.inputs, notes)
        Probe(net, self.given, size)
        opened, more = net.opened_with_notes(self.given)
        # Of one keyword the first: a file's own note knows more than that of the array which was made of it.
        firsts = {note.partition(":")[0]: note for note in reversed([*notes, *more.values()])}
        self.note = " ".join(map(as_sentence, reversed(firsts.values())))
        self.photos = [pictures.displayable(opened[i]) for i in net.picture_inputs]
        digest = hashlib.sha256()
        for index, array in sorted(opened.items()):
            digest.update(f"{index}{array.shape}{array.dtype}".encode())
            is_text = net.inputs[index].is_text
            digest.update(content_of(array) if is_text else np.ascontiguousarray(array).tobytes())
        self.digest = digest.hexdigest()

    def looked_at(self, net: Network, size: Size | None) -> str:
        """The sizes at which a network looks at the photographs, in a sentence."""
        size = net.checked_size(size)
        words = []
        for photo, info in zip(self.photos, (net.inputs[i] for i in net.picture_inputs), strict=True):
            height, width = photo.shape[:2]
            fed = fed_size((height, width), info, size)
            of = "" if fed == (height, width) else f" (the picture: {width} × {height})"
            words.append(f"{fed[1]} × {fed[0]} px{of}")
        return f"The network looked at {' and '.join(dict.fromkeys(words))}."


def as_sentence(note: str) -> str:
    """A note of the picture reader, as a sentence among others."""
    return f"{note[:1].upper()}{note[1:]}." if note else ""


def _held_inputs(given: object, inputs: Sequence[InputInfo], notes: list[str]) -> Any:
    texts = {key for i, info in enumerate(inputs) if info.is_text for key in (i, info.name)}
    if isinstance(given, Mapping):
        return {name: one if name in texts else _held(one, notes) for name, one in given.items()}
    if isinstance(given, (list, tuple)) and len(inputs) > 1:
        texts = texts if len(given) == len(inputs) else set()
        return [one if i in texts else _held(one, notes) for i, one in enumerate(given)]
    return _held(given, notes)


def _held(value: object, notes: list[str]) -> Any:
    """A copy, which stays as it is when the user's array changes; remarks about its files are added to `notes`."""
    if isinstance(value, (str, PathLike, bytes, bytearray, memoryview, Image.Image)):
        picture, note = pictures.read_picture(value)
        notes += [note] if note else []
        return picture
    return value.copy() if isinstance(value, np.ndarray) else value
