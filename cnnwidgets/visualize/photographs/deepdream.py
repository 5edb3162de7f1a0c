"""DeepDream: a photograph optimized for what a layer already sees in it, from a small size up to its own.

Octaves over the one loop of `ascent.maximize`: pixels, jitter, a blurred gradient. One graph serves all octaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.arguments import now, number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, STEPS, Number, Settings, Whole, setting
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.ascent import maximize
from cnnwidgets.visualize.canvas_choice import canvas_around
from cnnwidgets.visualize.gradient_step import Ascent
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.optimizers import BlurredGradient, Rate
from cnnwidgets.visualize.parametrizations import Pixels
from cnnwidgets.visualize.photographs.dream_layers import Layers, dream_layers
from cnnwidgets.visualize.photographs.octaves import Octave, held_along, octaves_of, resized
from cnnwidgets.visualize.terms.objective_values import checked, random_note
from cnnwidgets.visualize.transforms import Jitter


@dataclass(frozen=True, eq=False, repr=False)
class DreamFrame(Frame):
    """A Frame of a dream; its picture has the octave's size, the last one the photograph's.

    Attributes:
        octave: 1, 2, ... `octaves`, the smallest size first.
        octaves: how many there are.
    """

    octave: int = 1
    octaves: int = 1


def deepdream(
    net: Network | Any,
    picture: object,
    layers: Layers = None,
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 10,
    step_size: Rate | None = None,
    *,
    jitter: int = 16,
    tile: int | None = None,
    seed: int = 0,
) -> Iterator[DreamFrame]:
    """Amplify what a network sees in a photograph (Mordvintsev, Olah & Tyka, "Inceptionism", 2015).

    Each octave starts from the one before, enlarged, with the photograph's own detail put back.

    Args:
        net: a Network or a bare Keras model.
        picture: a path, bytes, a PIL image or an array; for a model of several inputs a list or dict of them: the first
            one that the layers see is changed.
        layers: what to maximize, by mean square: a path, several, or {path: weight}, where a weight may be a function
            that is called before each step; or a preset: "edges" "brush" "ripples" "eyes" "animals" "fur". The preset
            "animals" if not given.
        octaves: how many sizes, 1 to 16; those that are too small for the network are dropped, with a note.
        octave_scale: how many times larger each is than the one before, above 1 and up to 4.
        steps: for each octave, 1 to 2048.
        step_size: how far a step goes, in units of 0..1, or a function that is called before each step; .02, or what
            suits the preset, if not given.
        jitter: how far the picture is rolled at random before each step, in pixels, 0 to 512.
        tile: the side of the tiles by which the picture is read, 32 to 2048 pixels; if not given, 512 for a picture of
            more than a million pixels. A network of one fixed size is always read by tiles of that size.
        seed: the same seed, machine, versions and settings give the same bytes.

    Yields:
        DreamFrame: one for each step of each octave; its notes say what was dropped.

    Raises:
        BadTarget: for a layer, preset or number that cannot be; before any computing.
        BadPicture: for what is not a picture, or too small for the network.
        JobFailed: when the run diverges; the last frame before that was finite.

    Example:
        >>> for frame in deepdream(net, "cat.jpg", {"fire5_concat": 1.0, "fire8_concat": 0.5}): ...
    """
    return DreamSettings.given(locals()).check(net, picture).frames()


def _checked_step_size(name: str, step_size: object) -> Rate | None:
    return step_size if step_size is None or callable(step_size) else number(name, step_size, 0, 1, above=True)


@dataclass(frozen=True, eq=False)
class DreamSettings(Settings):
    """The settings of `deepdream`."""

    layers: Layers = None
    octaves: int = setting(4, Whole(1, 16))
    octave_scale: float = setting(1.4, Number(1, 4.0, above=True))
    steps: int = setting(10, STEPS)
    step_size: Rate | None = setting(None, _checked_step_size)
    jitter: int = setting(16, Whole(0, 512))
    tile: int | None = setting(None, Whole(32, 2048, optional=True), recorded=False)
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any, picture: object) -> DreamPlan:
        """Check a dream and find its sizes.

        Raises:
            BadTarget, BadPicture: what `deepdream` raises.
        """
        net = as_network(net)
        layers = dream_layers(net, self.layers)
        found = self.checked()
        opened = net.opened(picture)
        canvas = canvas_around(net, checked(net, objective(layers.weights)), net.at_own_size(opened))
        if found.tile is not None:
            _check_tile(net, net.inputs[canvas.which], found.tile)
        whole = opened[canvas.which]  # [H, W, C]
        octaves, notes = octaves_of(
            net, tuple(layers.weights), canvas, whole.shape[:2], found.octaves, found.octave_scale, found.tile
        )
        if whole.shape[-1] == 1:
            notes = (*notes, "The network takes gray pictures, so the dream is gray.")
        if random := random_note(net, objective(layers.weights)):
            notes = (*notes, f"The network is {random}.")
        step_size = layers.step_size if found.step_size is None else found.step_size
        return DreamPlan(found, net, whole[None], layers.weights, step_size, canvas, octaves, notes)


@dataclass(frozen=True, eq=False)
class DreamPlan:
    """A checked dream: what will be done, known before it starts.

    Attributes:
        settings: as given, each in its range.
        net: the network.
        picture: the photograph, [1, H, W, C] float32, 0..1.
        layers: the weight of each layer's mean square, by full path.
        step_size: how far a step goes.
        canvas: the input that is changed, and the values of the others.
        octaves: the sizes, smallest first.
        notes: what the reader should know: which octaves were dropped, how the picture reaches the network.
    """

    settings: DreamSettings
    net: Network
    picture: Array
    layers: Mapping[str, Rate]
    step_size: Rate
    canvas: Canvas
    octaves: tuple[Octave, ...]
    notes: tuple[str, ...]

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.settings.steps * len(self.octaves)

    def frames(self) -> Iterator[DreamFrame]:
        dream: Any = self.picture
        photograph = None
        for index, octave in enumerate(self.octaves):
            smaller, photograph = photograph, resized(self.picture, octave.size)
            start = photograph if smaller is None else _enlarged(dream, smaller, photograph)
            for frame in self._dream(octave, start, self.settings.seed + index):
                yield self._frame(frame, index, photograph)
            dream = frame.pictures

    def _dream(self, octave: Octave, start: Any, seed: int) -> Iterator[Frame]:
        # A roll by up to half a window either way brings a window's border everywhere in turn.
        roll = max(octave.windows.height, octave.windows.width) // 2 if octave.windows else 0
        ascent = Ascent(Pixels(), (Jitter(max(self.settings.jitter, roll)),), BlurredGradient(self.step_size))
        shape = (None, None, self.canvas.shape[2]) if octave.windows else self.canvas.shape
        held = held_along(self.net, self.canvas, self.picture.shape[1:3], octave.size)
        canvas = replace(self.canvas, shape=shape, windows=octave.windows, held=held)
        steps = self.settings.steps
        return maximize(self.net, lambda: objective(self.layers), canvas, steps, ascent, seed, start)

    def _frame(self, frame: Frame, index: int, photograph: Any) -> DreamFrame:
        step = index * self.settings.steps + frame.step
        notes = self.notes
        if step == self.steps and not frame.values.any():
            notes = (*notes, "The layers are zero everywhere for this picture, so there is nothing to maximize.")
        elif step == self.steps and np.array_equal(frame.pictures, photograph):
            notes = (*notes, "No gradient reaches the picture, so it did not change: the network is inactive here.")
        return DreamFrame(
            frame.picture_source, step, self.steps, frame.value_source, (" ".join(notes),), index + 1, len(self.octaves)
        )


def _enlarged(dream: Any, smaller: Any, photograph: Any) -> Any:
    """What an octave starts from: the photograph at its size, and all that the dream has changed at a smaller one.

    That is the dream, enlarged, with the detail put back that the smaller size does not hold: enlarging is linear.
    """
    return tf.clip_by_value(resized(dream - smaller, photograph.shape[1:3]) + photograph, 0.0, 1.0)


def objective(weights: Mapping[str, Rate]) -> Objective:
    """The weighted sum of the layers' mean squares, with the weights as they are now."""
    terms = [now(f"weight of {path}", w) * objectives.layer(path) for path, w in weights.items()]
    return Objective(tuple(term for one in terms for term in one.terms))


def _check_tile(net: Network, info: InputInfo, side: int) -> None:
    rows, columns = info.size
    if (rows or side, columns or side) != (side, side):
        raise BadTarget(
            f"tile must be left out for {quoted(net.name)}, which takes {rows} x {columns} pixels only, got {side}."
        )
