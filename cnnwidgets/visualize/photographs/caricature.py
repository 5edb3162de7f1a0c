"""Caricatures: pictures from noise of what a layer keeps of a photograph.

A caricature is the loop of `ascend`; it starts from noise and is drawn towards the photograph's activation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnnwidgets.frame import Frame
from cnnwidgets.model.arguments import check_call
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, STEPS, Number, Settings, setting
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.visualize import transforms as transforms_
from cnnwidgets.visualize.ascent import maximize, with_notes
from cnnwidgets.visualize.canvas_choice import canvas_of_photograph
from cnnwidgets.visualize.gradient_step import Ascent
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.terms.objective_values import random_note
from cnnwidgets.visualize.terms.of_photographs import Resemblance


def caricature(
    net: Network | Any,
    picture: object,
    layer: str,
    steps: int = 64,
    *,
    power: float = 2.0,
    call: int = 0,
    transforms: Sequence[transforms_.Transform] | None = None,
    size: Size | None = None,
    seed: int = 0,
) -> Iterator[Frame]:
    """Optimize a picture from noise for what a layer keeps of a photograph (caricatures, as in Lucid).

    The objective is the dot product with the photograph's activation times a power of their cosine, at each position of
    the layer: 1 where the two are equal, more where the picture exaggerates.

    Args:
        net: a Network or a bare Keras model.
        picture: a path, bytes, a PIL image or an array; for a model of several inputs a list or dict of them: the first
            one that the layer sees.
        layer: a path; an unambiguous last part is enough.
        steps: 1 to 2048.
        power: of the cosine, 0 to 16: at 0 the picture exaggerates most, at 4 it stays closest to the photograph.
        call: which call of a shared layer.
        transforms: from `cw.transforms`, applied to picture and photograph alike; a jitter of 8 pixels if not given.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
            picture fits, or "picture" for the picture's own, up to 1,024 px.
        seed: the same seed, machine, versions and settings give the same bytes.

    Yields:
        Frame: one for each step.

    Raises:
        BadTarget: for an unknown layer or call, or a number out of range; before any computing.
        BadPicture: for anything but a picture, or one that is too small for the network.
        JobFailed: when the run diverges; the last frame before that was finite.

    Example:
        >>> *_, frame = caricature(net, "cat.jpg", "fire8_concat")
    """
    return CaricatureSettings.given(locals()).check(net, picture)


@dataclass(frozen=True, eq=False)
class CaricatureSettings(Settings):
    """The settings of `caricature`."""

    layer: str
    steps: int = setting(64, STEPS)
    power: float = setting(2.0, Number(0, 16))
    call: int = 0
    transforms: Sequence[transforms_.Transform] | None = setting(None, recorded=False)
    size: Size | None = None
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any, picture: object) -> Iterator[Frame]:
        """The unstarted run.

        Raises:
            BadTarget, BadPicture: what `caricature` raises before any computing.
        """
        net = as_network(net)
        info, found = net.layer(self.layer), self.checked()
        call = check_call(info, self.call)
        ascent = Ascent(transforms=transforms_.checked(self.transforms))
        objective = Objective((Resemblance(layer=info.path, call=call, before_activation=False, power=found.power),))
        canvas = canvas_of_photograph(net, objective, picture, self.size)
        return with_notes(
            maximize(net, objective, canvas, found.steps, ascent, found.seed), random_note(net, objective)
        )
