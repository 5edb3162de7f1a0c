"""The panel for DeepDream: octave by octave, steered while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets.model.arguments import now, whole_number
from cnnwidgets.model.layers import spatial_layers
from cnnwidgets.model.network import as_network
from cnnwidgets.model.tracing.cost import forward_flops
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import BUSY
from cnnwidgets.panels.base.binding import Setting, settings_of
from cnnwidgets.panels.base.photograph_panel import PhotographPanel, as_shown
from cnnwidgets.panels.deepdream.controls import OWN, DreamControls
from cnnwidgets.panels.deepdream.layer_weights import LayerWeights
from cnnwidgets.panels.deepdream.steering import Steering
from cnnwidgets.panels.runs.history import Speed
from cnnwidgets.quantities import plural, spoken
from cnnwidgets.visualize.optimizers import Rate
from cnnwidgets.visualize.photographs.deepdream import DreamFrame, DreamPlan, DreamSettings
from cnnwidgets.visualize.photographs.dream_layers import DEPTHS, OTHER_NAMES, Layers, preset

STEERED = ("layers", "step_size")  # these take effect at the next step
NOTICE = 4.0  # seconds that a remark about a control stands
SIDE = 224  # pixels, of the picture whose cost is measured
SPEED = Speed(first=2.5)  # of this process, shared by all panels


@settings_of(DreamSettings)
class DeepDreamPanel(PhotographPanel[DreamFrame]):
    """A photograph in which a network strengthens what it sees, live; step size and weights take effect mid-run.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        layers: a path, several, {path: weight}, or a preset: "edges" "brush" "eyes" "animals" "fur"; "animals" if not
            given.
        octaves, octave_scale, steps, step_size, jitter, seed: as in `deepdream`.

    Attributes:
        picture, layers, ... seed: as given; set one to change it. Weights and the step size take effect at the
            next step of a run; anything else restarts it.
        octave: an earlier octave to go back to, or `None` for the newest.
        result: the last DreamFrame, or the last one of the chosen octave.

    Raises:
        BadTarget, BadModel, BadPicture: what `deepdream` would raise.

    Example:
        >>> DeepDreamPanel(net, "cat.jpg", {"fire5_concat": 1.0, "fire8_concat": 0.5})
    """

    layers: Any  # as given
    octaves: int
    octave_scale: float
    steps: int
    step_size: Rate | None
    jitter: int
    seed: int
    octave = Setting(None)

    _curve_name = "objective, weighted sum of the layers' mean squares"

    def __init__(
        self,
        net: Any,
        picture: object,
        layers: Layers = None,
        octaves: int = 4,
        octave_scale: float = 1.4,
        steps: int = 10,
        step_size: Rate | None = None,
        *,
        jitter: int = 16,
        seed: int = 0,
    ) -> None:
        settings = DreamSettings.given(locals())
        network = as_network(net)
        plan = settings.check(network, picture)
        super().__init__(network, picture, settings)
        self._plan = plan
        self._steering = Steering(self._plan.step_size, self._plan.layers)
        self._kept: dict[int, DreamFrame] = {}  # the last frame of each octave
        self._notice, self._noticed = "", float("-inf")
        self.controls = DreamControls(self._set)
        self.weights = LayerWeights(spatial_layers(network), lambda weights: self._set("layers", weights))
        self._assemble()

    def _side(self) -> Sequence[widgets.Widget]:
        self._octaves = markup.markup("")
        return [self.weights, self._octaves]

    # What runs.

    def _plan_again(self) -> None:
        self._plan = DreamSettings.set_on(self).check(self.net, self._held.given)

    def _frames(self) -> Iterator[DreamFrame]:
        plan = self._plan
        self._steering = Steering(plan.step_size, plan.layers)
        self._kept = {}
        self.octave = None
        self._made = self._verb_settings()
        self._show_settings()
        steered = replace(plan, layers=self._steering.layers, step_size=self._steering.step_size)
        return _keeping(steered, self._kept)

    # What is shown.

    def _chosen(self, frame: DreamFrame) -> DreamFrame:
        """The frame itself, or the last one of the octave that the user went back to."""
        return frame if self.octave is None else self._kept.get(self.octave, frame)

    def _result(self, frame: DreamFrame) -> DreamFrame:
        return self._chosen(frame)

    def _picture(self, frame: DreamFrame) -> np.ndarray:
        return self._chosen(frame).pictures[0]

    def _paint(self, frame: DreamFrame) -> np.ndarray:
        return as_shown(self._photograph() if self.controls.is_before else self._picture(frame))

    def _photograph(self) -> np.ndarray:
        photograph: np.ndarray = self._plan.picture[0]
        return photograph

    def _rest(self) -> None:
        self._kept = {}
        super()._rest()

    def _describe(self, frame: DreamFrame | None) -> None:
        sizes = [octave.size for octave in self._plan.octaves]
        shown = None if frame is None else self._chosen(frame)
        rows = [f"{width} × {height}" for height, width in sizes]
        current = shown.octave - 1 if shown is not None and shown.octaves == len(sizes) else None
        steps = self._plan.settings.steps
        self._octaves.value = markup.octaves(rows, current, f"{steps} {plural('step', steps)} each")
        if shown is None or self.controls.is_before:
            words = "The photograph"
        else:
            height, width = shown.pictures.shape[1:3]
            words = f"Octave {shown.octave} of {shown.octaves} · {width} × {height} pixels · step {shown.step}"
        self._caption.value = markup.progress_text(words)

    def _doing(self, frame: DreamFrame) -> str:
        if time.monotonic() - self._noticed < NOTICE:
            return self._notice
        return f"Octave {frame.octave} of {frame.octaves}: each step strengthens what the layers see in the picture."

    def _invitation(self) -> str:
        paths = " and ".join(self._plan.layers)
        return (
            f"Start changes the photograph to activate {paths} more: {self._plan.steps} "
            f"{plural('step', self._plan.steps)}, about "
            f"{self._estimate()} here. Watch it grow from the smallest octave. {' '.join(self._plan.notes)}"
        )

    def _conclusion(self) -> str:
        back = "the Octave slider goes back to an earlier one, and " if len(self._kept) > 1 else ""
        words = f"The dream is done: {back}Before shows the photograph. Then try another preset or layer."
        return f"{words} {' '.join(self._plan.notes)}"

    def _estimate(self) -> str:
        return spoken(SPEED.seconds(self._step_cost(), self._plan.steps))

    def _step_cost(self) -> float:
        """Floating point operations of a step, on average: a gradient costs two passes."""
        plan = self._plan
        info = self.net.inputs[plan.canvas.which]
        side = info.full_size(SIDE, SIDE)
        canvas = replace(plan.canvas, shape=(*side, info.channels))
        one = 2 * max(forward_flops(self.net, path, canvas) for path in plan.layers)
        pixels = sum(height * width for height, width in (octave.size for octave in plan.octaves))
        return one * max(pixels / (side[0] * side[1]), len(plan.octaves) / 8) / len(plan.octaves)

    def _ended(self, frame: DreamFrame) -> None:
        SPEED.learn(self._step_cost(), self._record.pace)

    # What is changed.

    def _set(self, name: str, value: Any) -> None:
        """Take a control's value."""
        if name == "before":
            self._guarded(self._repaint)
        elif name == "octave":
            super()._set("octave", value if value < len(self._plan.octaves) else None)
        elif name != "layers" or value != OWN:
            super()._set(name, value)

    @traitlets.validate("octave")
    def _known_octave(self, proposal: Any) -> int | None:
        octave = proposal["value"]
        return None if octave is None else whole_number("octave", octave, 1, len(self._plan.octaves))

    @traitlets.observe("octave")
    def _octave_changed(self, _change: object) -> None:
        if self._kept:
            self._repaint()

    def _apply(self, name: str) -> None:
        plan = self._plan
        if self.state not in BUSY:
            self._prepare(name)
        elif name in STEERED and list(plan.layers) == list(self._steering.weights):
            self._steering.change(plan.step_size, plan.layers)
            self._remark(f"The new {_words(name)} takes effect at the next step.")
        else:
            self._begin_again()
            self._remark(f"With the new {_words(name)} the dream begins again.")

    def _prepare(self, name: str) -> None:
        """Nothing runs: a finished dream of this photograph stays, and Start will use what was set."""
        if name == "picture" or self._last is None:
            self._show_photograph()
        else:
            self._describe(self._last)
            self._say(f"Start dreams again with the new {_words(name)}; the picture shown is still the earlier one.")

    def _remark(self, text: str) -> None:
        self._notice, self._noticed = text, time.monotonic()
        self._say(text)

    def _fill_controls(self) -> None:
        plan, many = self._plan, len(self._plan.octaves)
        resolved = {"step_size": now("step size", plan.step_size), "layers": self._preset()}
        self.controls.show({**plan.settings.recorded(), **resolved}, min(self.octave or many, many), many)
        self.weights.show({path: now(f"weight of {path}", weight) for path, weight in plan.layers.items()})

    def _preset(self) -> str:
        """The preset of the layers that are set."""
        name = OTHER_NAMES.get(self.layers, self.layers) if isinstance(self.layers, str) else self.layers
        name = "animals" if name is None else name
        known = isinstance(name, str) and name in DEPTHS and name not in self.net.layers_by_path
        return name if known and dict(preset(self.net, name).weights) == dict(self._plan.layers) else OWN

    # Saving and code.

    def _verb_settings(self) -> dict[str, Any]:
        made = {"octaves": len(self._plan.octaves), "picture": self._held.digest}
        return {**self._plan.settings.recorded(), **made}

    def _settings(self) -> tuple[str, dict[str, Any]]:
        steering = self._steering if self._made else Steering(self._plan.step_size, self._plan.layers)
        settings = {
            **(self._made or self._verb_settings()),
            "layers": steering.weights,
            "step_size": steering.step_size(),
        }
        settings |= self._until(None if self._last is None else self._chosen(self._last))
        if steering.was_changed:
            settings["steered"] = True
        return "deepdream", settings

    def snippet(self) -> str:
        """The Python that makes the same dream without a widget; a comment says if it was steered."""
        verb, settings = self._settings()
        if not settings.get("steered"):
            return super().snippet()
        return super().snippet() + "# The step size or the weights were changed mid-run: these are the last values.\n"

    def _name(self) -> str:
        return f"{self.net.name}-dream-{'-'.join(self._steering.weights)}"


def _keeping(plan: DreamPlan, kept: dict[int, DreamFrame]) -> Iterator[DreamFrame]:
    """Dream, and keep the last frame of each octave: runs on the worker's thread."""
    for frame in plan.frames():
        if frame.step % plan.settings.steps == 0:
            frame.pictures  # noqa: B018 - read here, where the device is at hand
            kept[frame.octave] = frame
        yield frame


def _words(name: str) -> str:
    return "weight or layer" if name == "layers" else name.replace("_", " ")
