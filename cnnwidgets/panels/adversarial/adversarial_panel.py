"""The panel for adversarial examples: a change too small to see, and the predictions that it changes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.network import as_network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.panels.adversarial import captions
from cnnwidgets.panels.adversarial.controls import AFTER, BEFORE, AdversarialControls
from cnnwidgets.panels.adversarial.second_opinion import QUALITY, OtherNetwork, SecondOpinion, of_jpeg
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import BUSY
from cnnwidgets.panels.base.binding import settings_of
from cnnwidgets.panels.base.photograph_panel import PhotographPanel, as_shown
from cnnwidgets.panels.controls.class_menu import ClassMenu
from cnnwidgets.panels.heatmaps.captions import all_classes, class_chosen
from cnnwidgets.visualize.adversarial import AdversarialFrame, AdversarialPlan, AdversarialSettings

STRONGER = 20  # times that a difference is shown
AWAY = "away from the top class"


@settings_of(AdversarialSettings)
class AdversarialPanel(PhotographPanel[AdversarialFrame]):
    """A picture is changed, within a budget, until the network predicts the target class; probabilities are shown live.

    After the first Start another budget, target or method begins again at once.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        target: a class index or name; away from the top class, if not given.
        epsilon: how much any pixel may change, in units of 0..1; the slider counts gray levels of 255.
        steps, method, output, size, seed: as in `adversarial`.

    Attributes:
        picture, target, ... seed: as given; set one to change it.
        result: the last AdversarialFrame.

    Raises:
        BadTarget, BadModel, BadPicture: what `adversarial` would raise.

    Example:
        >>> AdversarialPanel(net, "cat.jpg", target="goldfish", epsilon=2 / 255)
    """

    target: int | str | None
    epsilon: float
    steps: int
    method: str
    output: int | str | None
    size: Size | None
    seed: int
    _curve_name = "objective: log-odds of the target"

    def __init__(
        self,
        net: Any,
        picture: object,
        target: int | str | None = None,
        epsilon: float = 2 / 255,
        steps: int = 10,
        *,
        method: str = "momentum_sign",
        output: int | str | None = None,
        size: Size | None = None,
        seed: int = 0,
    ) -> None:
        settings = AdversarialSettings.given(locals())
        network = as_network(net)
        original = settings.check(network, picture).original
        super().__init__(network, picture, settings)
        self._original = original  # [1, H, W, C], as the network takes it
        self._before: Sequence[Prediction] = ()  # the predictions for the photograph
        self._other = OtherNetwork(network.name)
        self.controls = AdversarialControls(self._set, network)
        self.classes = ClassMenu(lambda index: self._set("target", index), AWAY)
        self.opinion = SecondOpinion(
            functools.partial(self._guarded, self._save_jpeg),
            functools.partial(self._guarded, self._begin_other),
            self._other.name,
            self._opinion_changed,
        )
        self._assemble()

    def _side(self) -> Sequence[widgets.Widget]:
        self._bars = markup.markup("")
        predicted, wanted, survives = (
            markup.markup(markup.title(heading)) for heading in ("Predictions", "Target class", "Does it survive?")
        )
        return [predicted, self._bars, wanted, self.classes, survives, self.opinion]

    # What runs.

    def _plan_again(self) -> None:
        # The run itself finds the top class, not a callback: any class will do here.
        settings = replace(AdversarialSettings.set_on(self), target=0 if self.target is None else self.target)
        self._original = settings.check(self.net, self._held.given).original

    def _frames(self) -> Iterator[AdversarialFrame]:
        self._made = self._verb_settings()
        settings = AdversarialSettings.set_on(self)
        return self._with_predictions(functools.partial(settings.check, self.net, self._held.given))

    def _with_predictions(self, check: Callable[[], AdversarialPlan]) -> Iterator[AdversarialFrame]:
        """Frames with predictions at each step: runs on the worker's thread."""
        for frame in check().frames():
            if frame.step == 1:
                self._before = frame.predict(frame.original)
            frame.predictions  # noqa: B018 - the network runs when this is first read: here, where the device is
            yield frame

    def _begin(self) -> None:
        self.opinion.forget()
        super()._begin()

    def _is_busy_beside(self) -> bool:
        return self.opinion.is_busy

    def _stop_soon(self) -> None:
        super()._stop_soon()
        if self.opinion.is_busy:
            self.opinion.forget()

    # What is shown.

    def _photograph(self) -> np.ndarray:
        photograph: np.ndarray = self._original[0]
        return photograph

    def _picture(self, frame: AdversarialFrame) -> np.ndarray:
        picture: np.ndarray = frame.pictures[0]
        return picture

    def _paint(self, frame: AdversarialFrame) -> np.ndarray:
        view, picture, original = self.controls.view, frame.pictures[0], frame.original[0]
        if view in (AFTER, BEFORE):
            return as_shown(picture if view == AFTER else original)
        return as_shown(np.clip(0.5 + STRONGER * (picture - original), 0, 1))

    def _describe(self, frame: AdversarialFrame | None) -> None:
        if frame is None:
            self._caption.value = markup.progress_text("The photograph")
            self._bars.value = markup.progress_text("Start shows the predictions at each step.")
            return
        view = self.controls.view
        text = captions.after(frame) if view == AFTER else captions.difference(frame)
        self._caption.value = markup.progress_text(captions.before(self._before) if view == BEFORE else text)
        self._bars.value = captions.bars(frame, self._before)

    def _doing(self, frame: AdversarialFrame) -> str:
        return f"Perturbing: the network now predicts {captions.top(frame.predictions)}."

    def _rest(self) -> None:
        self._before = ()
        super()._rest()

    def _invitation(self) -> str:
        chosen = class_chosen(self.net, self.target, self.output)
        which = find_output(self.output, self.net.outputs)
        goal = AWAY if chosen is None else f"towards {self.net.class_name(chosen, which)}"
        return (
            f"Start changes the photograph {goal}, no pixel by more than {captions.levels(self.epsilon)} of 255: "
            "a few seconds. Watch the bars turn over while the picture looks the same."
        )

    def _conclusion(self) -> str:
        note = " ".join(self._last.notes)
        random = self.net.random_note(output=find_output(self._made["output"], self.net.outputs))
        text = captions.conclusion(self._last, self._before, self._made["epsilon"])
        text = f"{text} The network is {random}." if note and note == random else note or text
        return f"{text} {self._held.looked_at(self.net, self._made['size'])}"

    def _ended(self, frame: AdversarialFrame) -> None:
        self._show_settings()  # the classes with their probabilities

    # What is changed.

    def _set(self, name: str, value: Any) -> None:
        if name == "view":
            self._guarded(self._repaint)
        else:
            super()._set(name, value)

    def _apply(self, name: str) -> None:
        if self.state in BUSY or (self._last is not None and name != "picture"):
            self._begin_again()
        else:
            self.opinion.forget()
            self._show_photograph()

    def _fill_controls(self) -> None:
        self.controls.show(AdversarialSettings.set_on(self).recorded())
        offered = self._before or all_classes(self.net, self.output)
        self.classes.offer(offered, class_chosen(self.net, self.target, self.output))

    def _show_state(self) -> None:
        super()._show_state()
        self.opinion.allow(self._last is not None and self.state not in BUSY)

    # Does it survive?

    def ask_jpeg(self, quality: int = QUALITY) -> list[Prediction]:
        """The predictions after the picture was saved as a JPEG file; waits for them.

        Args:
            quality: 1 to 95.

        Raises:
            BadTarget: before the first run.
            JobFailed: when the network cannot predict.
        """
        self._begin_jpeg(quality)
        return self.opinion.result()

    def ask_other(self) -> list[Prediction]:
        """The predictions of the other bundled network for the same picture; waits for them.

        Raises:
            BadTarget: before the first run, or where there is no other network.
            JobFailed: when it cannot predict.
        """
        self._begin_other()
        return self.opinion.result()

    def _save_jpeg(self) -> None:
        frame = self._shown_frame()
        if self.may_save:
            data = pictures.to_jpeg(self._picture(frame), QUALITY)
            path = pictures.write_file(pictures.free_path(Path.cwd(), self._name(), ".jpg"), data)
            self._say(f"Saved as {path.name} in the notebook's folder.")
        self._begin_jpeg(QUALITY)

    def _begin_jpeg(self, quality: int) -> None:
        frame = self._shown_frame()
        self.opinion.begin("Predicting from the JPEG file.", lambda: of_jpeg(frame, quality))
        self._show_state()

    def _begin_other(self) -> None:
        frame = self._shown_frame()
        self._other.check()
        self.opinion.begin(f"Loading {self._other.name} and predicting.", lambda: self._other.of(frame))
        self._show_state()

    def _shown_frame(self) -> AdversarialFrame:
        frame: AdversarialFrame | None = self._last
        if frame is None:
            raise BadTarget("There is no perturbed picture yet. Press Start, or call run(), first.")
        return frame

    def _opinion_changed(self) -> None:
        if self.opinion.traceback:
            self.traceback = self.opinion.traceback
        self._show_state()

    # Saving and code.

    def _verb_settings(self) -> dict[str, Any]:
        named = AdversarialSettings.set_on(self).recorded()
        return {**named, "size": self.net.recorded_size(self.size), "picture": self._held.digest}

    def _settings(self) -> tuple[str, dict[str, Any]]:
        return "adversarial", {**(self._made or self._verb_settings()), **self._until(self._last)}

    def _name(self) -> str:
        wanted = self._made.get("target")
        return f"{self.net.name}-adversarial-{'away' if wanted is None else wanted}"

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self.opinion.forget()
        super().close()
