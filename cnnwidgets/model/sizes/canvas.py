"""The input of a network that gets the pictures of a run: their size, and the values of the other inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import whole_number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network

LARGEST_SIDE, SMALLEST_SIDE = 1024, 8


class Windows(Protocol):
    """A way to read a large picture part by part."""

    def read(self, value: Callable[[Any], Any], pictures: Any) -> Any:
        """The value [N] of pictures [N, H, W, C], from values of their parts."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where a run optimizes pictures.

    Attributes:
        shape: of the pictures, (height, width, channels); height and width are `None` where the picture to start from
            decides them, so that one graph serves all sizes (pixels only).
        which: the index of the input that they go to.
        held: tensors [1, ...] for other inputs; what is not held is mid-gray, or zero for a table.
        fed: (height, width) to which pictures are resized on their way into the network, if it takes another size.
        windows: how a picture is read part by part, if it is too large to be read at once.
        photograph: [1, height, width, channels], the one that an objective compares the pictures with.
    """

    shape: tuple[Any, Any, int]
    which: int = 0
    held: Mapping[int, Any] = field(default_factory=dict)
    fed: tuple[int, int] | None = None
    windows: Windows | None = None
    photograph: Any = None

    @property
    def structure(self) -> Canvas:
        """What a graph is traced for: the values of other inputs and the photograph are tensors in it."""
        photograph = None if self.photograph is None else "a tensor"
        return replace(self, held=dict.fromkeys(self.held), photograph=photograph)

    @property
    def is_open(self) -> bool:
        """Whether the picture to start from decides the size."""
        return None in self.shape

    def feed(self, net: Network, pictures: Any, held: Any) -> list[Any]:
        """What `net.call` takes for a batch of pictures."""
        multiple = net.inputs[self.which].multiple
        if self.fed is not None:
            pictures = tf.image.resize(pictures, self.fed)
        elif multiple > 1:  # where it fits already, this changes nothing
            sides = tf.cast(tf.shape(pictures)[1:3], tf.float32) / multiple
            pictures = tf.image.resize(pictures, tf.cast(tf.maximum(tf.round(sides), 1), tf.int32) * multiple)
        return net.feed(pictures, self.which, held)


def picture_shape(
    net: Network, size: object, default: int, which: int = 0, resize: bool = False
) -> tuple[int, int, int]:
    """(height, width, channels) of the pictures to optimize."""
    info = net.inputs[which]
    rows, columns = info.size
    sides = checked_sides(size)
    if sides is None:
        return rows or columns or default, columns or rows or default, info.channels
    height, width = sides
    if not resize and (rows not in (None, height) or columns not in (None, width)):
        raise BadTarget(
            f"The network {quoted(net.name)} takes {rows} x {columns}, not {height} x {width}. Leave size out, or "
            "pass resize=True; rebuilt with Input((None, None, 3)) and without its Dense head it takes any size."
        )
    return height, width, info.channels


def checked_sides(size: object) -> tuple[int, int] | None:
    """(height, width), or `None` if none was requested."""
    if size is None:
        return None
    sides = tuple(size) if isinstance(size, (tuple, list)) and len(size) == 2 else (size, size)
    try:
        height, width = (whole_number("size", side, SMALLEST_SIDE, LARGEST_SIDE) for side in sides)
    except BadTarget as error:
        raise BadTarget(
            f"size must be pixels from {SMALLEST_SIDE} to {LARGEST_SIDE}, or (height, width), got {quoted(size)}."
        ) from error
    return height, width
