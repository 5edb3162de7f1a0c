"""Pictures that maximize a class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array, last_of
from cnnwidgets.model.arguments import is_list
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.outputs.output_info import check_classes
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.tracing.cost import batch_size
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.ascent import NO_GRADIENT
from cnnwidgets.visualize.batches import Tiles, UnitPictures, UnitsFrame, optimize
from cnnwidgets.visualize.canvas_choice import canvas_for
from cnnwidgets.visualize.presets import CLASS_RECIPES, named
from cnnwidgets.visualize.terms.objective_values import both, checked

SIZE = 128  # pixels, if not given
MAGNIFIED = 1.5  # how much larger the network sees them: what it then sees survives a resize and JPEG
LARGEST_SEEN = 224  # pixels, where it is larger; fixed, so that a saved recipe and a cache's key say all
MARGIN = 0.5  # how much of the other classes' logsumexp is taken off: half keeps the subject and drops its rivals


def visualize_classes(
    net: Network | Any,
    classes: Iterable[int | str],
    size: int | tuple[int, int] | None = None,
    steps: int = 64,
    recipe: str = "fourier",
    *,
    output: int | str | None = None,
    held: Mapping[str, Any] | None = None,
    resize: bool = False,
    seed: int = 0,
) -> UnitPictures:
    """Render a picture that maximizes each class (Simonyan et al., arXiv:1312.6034; Olah et al., Distill 2017).

    The logit is maximized, also where a softmax hides it, less half the logsumexp of the other logits: the picture
    becomes more of this class rather than less of the others. A network of any size sees the picture half as
    large again, at most 224 pixels unless it is larger itself, so that its subject survives being resized.

    Args:
        net: a Network or a bare Keras model.
        classes: indices or names.
        size: pixels, or (height, width); 128, or a fixed network's own size, if not given; below 96 little is readable.
        steps: 1 to 2048; readable at 32, best at 64.
        recipe: "fourier", "natural" or "textbook".
        output: of a model with several, its index or name.
        held: for a model of several inputs, what the others get, by name.
        resize: optimize at `size` although the network takes one other size only; the picture is resized on its way in.
        seed: the same seed, machine, versions and settings give the same bytes.

    Returns:
        The pictures; `units` are the classes' indices, `values` their logits, and a note says which class the network
        sees instead where a picture failed.

    Raises:
        BadTarget: for a class, size, number of steps or recipe that does not exist; before any computing.
        JobFailed: when the run diverges.

    Example:
        >>> pics = visualize_classes(net, ["goldfish", 933], size=128, steps=64)
    """
    return last_of(ClassesSettings.given(locals()).check(net).frames()).result()


@dataclass(frozen=True, eq=False)
class ClassesSettings(Settings):
    """The settings of `visualize_classes`."""

    classes: Iterable[int | str]
    size: int | tuple[int, int] | None = None
    steps: int = setting(64, STEPS)
    recipe: str = "fourier"
    output: int | str | None = None
    held: Mapping[str, Any] | None = setting(None, recorded=False)
    resize: bool = setting(False, recorded=False)
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any) -> ClassesPlan:
        """Check a request for pictures of classes."""
        net = as_network(net)
        index = find_output(self.output, net.outputs)
        check_classes(net.outputs[index], "maximize")
        if not is_list(self.classes):
            raise BadTarget(
                f"classes must be a list of indices or names, such as ['goldfish'], got {quoted(self.classes)}."
            )
        classes = tuple(net.class_index(one, index) for one in self.classes)
        if not classes:
            raise BadTarget("classes must name at least one class, got none.")
        ascent = named(self.recipe, CLASS_RECIPES)
        found = replace(self.checked(), classes=classes)
        logits = objectives.class_logit(classes, output=index)
        canvas = canvas_for(net, logits, self.size, SIZE, self.held, self.resize)
        if self.recipe != "textbook":
            canvas = _magnified(net, canvas)
        return ClassesPlan(found, net, classes, canvas, ascent, batch_size(net, "", canvas), index)


@dataclass(frozen=True, eq=False)
class ClassesPlan(Tiles):
    """A checked request for pictures of classes.

    Attributes:
        settings: as given, each in its range.
        output: the index of the output that tells the classes apart.
    """

    settings: ClassesSettings
    output: int

    def objective(self, units: Sequence[int]) -> objectives.Objective:
        """The classes' logits, less what the other classes have where there are several."""
        logit = objectives.class_logit(units, output=self.output)
        alone = self.settings.recipe == "textbook" or self.net.outputs[self.output].classes <= 2
        maximized = logit if alone else logit - MARGIN * objectives.rival_logits(units, output=self.output)
        return checked(self.net, maximized)

    def whole_run(self) -> Iterator[UnitsFrame]:
        """Optimize, then predict from the pictures as they would be saved."""
        for frame in optimize(self):
            if frame.step == len(self.groups):  # the first step of the last batch
                first = frame.pictures
            if frame.step < frame.steps:
                yield frame
        values, notes = self._predicted(frame.pictures)
        if self.settings.steps > 1:
            is_stuck = (first == frame.pictures).all((1, 2, 3))
            notes = tuple(both(NO_GRADIENT * bool(one), note) for one, note in zip(is_stuck, notes, strict=True))
        yield UnitsFrame(frame.pictures, frame.steps, frame.steps, values, notes, self.units, is_step=False)

    def _predicted(self, pictures: Array) -> tuple[Array, tuple[str, ...]]:
        logits = np.concatenate([self._logits(part) for part in _parts(pictures, self.batch)])[: len(self.units)]
        if self.net.outputs[self.output].is_decision:
            logits = np.concatenate([-logits, logits], 1)
        values = logits[np.arange(len(self.units)), self.units]
        return values, tuple(map(self._note, self.units, logits.argmax(1)))

    def _note(self, wanted: int, best: np.intp) -> str:
        seen = int(best)
        note = "" if seen == wanted else f"the network sees {self.net.class_name(seen, self.output)} instead"
        return both(note, self.random_note)

    def _logits(self, pictures: Array) -> Array:  # [N, H, W, C] -> [N, classes]
        canvas = self.canvas
        eight_bit = np.round(pictures * 255).astype(np.float32) / np.float32(255)
        net, output, still = self.net, self.output, canvas.structure
        forward = net.traces.get(lambda: compiled(lambda p, held: net.logits(still.feed(net, p, held), output)))
        logits: Array = forward(tf.constant(eight_bit), dict(canvas.held)).numpy()
        return np.asarray(logits.reshape(len(logits), -1, logits.shape[-1]).mean(1))


def _magnified(net: Network, canvas: Canvas) -> Canvas:
    """The canvas as seen by a network of any size: larger than it is, up to the usual size of ImageNet's pictures."""
    info = net.inputs[canvas.which]
    if info.size != (None, None) or canvas.fed is not None:
        return canvas
    sides = canvas.shape[:2]
    factor = min(MAGNIFIED, max(1, LARGEST_SEEN / max(sides)))
    fed = info.full_size(*(round(factor * side) for side in sides))
    return canvas if fed == sides else replace(canvas, fed=fed)


def _parts(pictures: Array, size: int) -> Iterator[Array]:
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]
