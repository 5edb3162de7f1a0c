"""Pictures as a user gives them, opened and brought to the sizes that a network takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.inputs.input_info import InputInfo, blank, opened
from cnnwidgets.model.sizes.picture_size import PICTURE, Size, fed_size


def opened_by_input(pictures: object, inputs: Sequence[InputInfo]) -> tuple[dict[int, Array], dict[int, str]]:
    """The given pictures [H, W, C] in 0..1 at their own size, and tables, by the index of their input; and notes.

    A note is a remark about a picture, such as "dark: ...".

    Raises:
        BadPicture: for anything but a picture.
        BadModel: for too many or too few inputs, or pictures of channels that the network does not take.
    """
    read = {i: opened(value, inputs[i]) for i, value in _by_input(pictures, inputs).items()}
    return {i: array for i, (array, _) in read.items()}, {i: note for i, (_, note) in read.items() if note}


def fitted(found: Mapping[int, Array], inputs: Sequence[InputInfo], size: Size | None) -> list[Array]:
    """Opened pictures as batches of one, each brought to a size; zeros for tables that were not given."""
    return [_fitted(found[i], info, size) if i in found else blank(info) for i, info in enumerate(inputs)]


def one(value: object, info: InputInfo) -> Array:
    """What is given for one input, as a batch of one: a picture at its own size if the input takes it, or a table."""
    return _fitted(opened(value, info)[0], info, PICTURE)


def _fitted(array: Array, info: InputInfo, size: Size | None) -> Array:
    if not info.is_picture:
        return array[None]
    height, width = array.shape[:2]
    fed = fed_size((height, width), info, size)
    if fed != (height, width):
        array = pictures_.resize(array, fed)
    return array[None]  # [H, W, C] -> [1, H, W, C]


def _by_input(pictures: object, inputs: Sequence[InputInfo]) -> dict[int, object]:
    names = [info.name for info in inputs]
    picture_inputs = [i for i, info in enumerate(inputs) if info.is_picture]
    if isinstance(pictures, Mapping):
        for name in pictures:
            if name not in names:
                raise BadModel(f"There is no input {quoted(name)}. The inputs of this model: {', '.join(names)}.")
        given = {names.index(name): value for name, value in pictures.items()}
    elif isinstance(pictures, (list, tuple)) and len(inputs) > 1:
        if len(pictures) not in (len(names), len(picture_inputs)):
            raise BadModel(f"{len(pictures)} inputs were given. This model takes {len(names)}: {', '.join(names)}.")
        indices = range(len(names)) if len(pictures) == len(names) else picture_inputs
        given = dict(zip(indices, pictures, strict=True))
    else:
        given = {picture_inputs[0]: pictures}
    missing = [names[i] for i in picture_inputs if i not in given]
    if missing:
        raise BadModel(f"No picture was given for {', '.join(missing)}. Give one for each of: {', '.join(names)}.")
    return given
