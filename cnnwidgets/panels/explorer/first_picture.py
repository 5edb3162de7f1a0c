"""The time to the first picture of a panel, estimated: where it is short, the panel starts without being asked."""

from __future__ import annotations

from dataclasses import dataclass

from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas, picture_shape
from cnnwidgets.model.sizes.picture_size import fed_size
from cnnwidgets.model.tracing.cost import forward_flops

SOON = 1.0  # seconds: a longer run waits for Start
SPEED = 1e11  # floating point operations a second: two CPU cores
TILE = 64  # pixels: the side of a tile in a gallery, where the network does not fix it


@dataclass(frozen=True)
class Cost:
    """What the first picture costs.

    Attributes:
        layer: seconds for each layer, to compile it.
        passes: how many forward passes it takes.
        of_tiles: whether these are of tiles of a gallery, and not of the photograph.
    """

    layer: float
    passes: int
    of_tiles: bool = False


FORWARD = Cost(0.0015, 1)
GRADIENT = Cost(0.017, 3)  # the gradient costs two more forward passes
SIXTEEN_TILES = Cost(0.017, 3 * 16, of_tiles=True)


def is_soon(cost: Cost, net: Network, held: HeldPicture) -> bool:
    """Whether the first picture takes under a second on two CPU cores."""
    try:
        return cost.layer * len(net.layers) + cost.passes * _pass(net, held, cost.of_tiles) / SPEED < SOON
    except CnnWidgetsError:  # the panel says what is wrong, when it is started
        return False


def _pass(net: Network, held: HeldPicture, of_tiles: bool) -> float:
    """Floating point operations of a forward pass; those for the photograph follow from those for a tile by area."""
    which = net.picture_inputs[0]
    height, width, channels = picture_shape(net, None, TILE, which)
    spent = forward_flops(net, "", Canvas((height, width, channels), which))
    if of_tiles:
        return spent
    rows, columns = fed_size(held.photos[0].shape[:2], net.inputs[which], net.checked_size(None))
    return spent * (rows * columns) / (height * width)
