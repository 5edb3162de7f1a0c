"""What every panel has, whatever it shows: buttons, a status line, settings, files, code, and its place in a cell."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.panels.base import lifecycle, markup, run_buttons
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.cell_output import Bundle, CellOutput
from cnnwidgets.panels.base.run_buttons import CodeBox, RunButtons
from cnnwidgets.panels.runs.report import Report
from cnnwidgets.paths import checked_path

SIDE = {"flex": "1 1 280px", "min_width": "0", "max_width": "400px"}  # of a column next to the picture
WIDE = "1280px"  # of a panel that has more than a picture and one column to show
BUSY = ("running", "paused")


class BasePanel(widgets.VBox):
    """Buttons over the parts of a subclass, and lines under them.

    The constructor only stores: a leaf class ends its own with `_assemble()`. Besides the methods that raise
    NotImplementedError, a subclass provides `_fill_controls _check _apply` where it has settings.

    Attributes:
        state: "idle" "running" "paused" "stopped" "done" or "error".
        progress: 0 to 1.
        status: one line of text.
        frames_shown: how many pictures were written to the page, seen or not.
        result: what there is so far; `None` before the first picture.
        traceback: of the last error.
        may_save: whether the buttons may write files where Python runs.
        shown_in: the cell output that keeps its last picture; that of an Explorer, where it is a part of one.

    Args:
        curve_name: the label of the curve of the objective; `None` where nothing is optimized.
    """

    state = traitlets.Enum(["idle", "running", "paused", "stopped", "done", "error"], "idle")
    progress = traitlets.Float(0.0, min=0.0, max=1.0)
    status = traitlets.Unicode("")
    frames_shown = traitlets.Int(0)
    result: Any = traitlets.Any(None, allow_none=True)
    may_save = True

    _gif_fps: ClassVar[float] = 8
    _how_to_begin: ClassVar[str] = "Press Start, or call run(), first."

    def __init__(self, curve_name: str | None = None) -> None:
        self.traceback = ""
        self._updating = Updating()  # while the panel itself sets traits and controls
        self._setting_names: Sequence[str] = ()  # traits that `_check` and `_apply` answer for
        actions = {"start": self.start, "pause": self._pause_or_resume, "stop": self._stop_soon}
        actions |= {"save": self._save_png, "gif": self._save_gif, "code": self._toggle_code}
        self._buttons = RunButtons({name: functools.partial(self._guarded, act) for name, act in actions.items()})
        self._report = Report(curve_name)
        self._code = CodeBox(self.snippet)
        super().__init__(layout=widgets.Layout(width="100%", max_width="850px"))
        self.add_class("cnnw")
        self._output = self.shown_in = CellOutput(self)

    def _widen(self) -> None:
        """Use a wide page: more columns, and larger main pictures."""
        self.layout.max_width = WIDE
        self.add_class("cnnw-wide")

    def _assemble(self) -> None:
        """Put the parts together, empty, once the leaf class has set its own."""
        style = markup.markup(markup.STYLE, display="none")
        self.children = [style, self._buttons, *self._parts(), self._report.status_line, self._code]
        self.observe(self._setting_changed, self._setting_names)
        self._show_settings()
        self._rest()
        lifecycle.replace_in_cell(self)

    def _parts(self) -> Sequence[widgets.Widget]:
        """The widgets between the buttons and the status line."""
        raise NotImplementedError

    def _rest(self) -> None:
        """Show what there is before a run."""
        raise NotImplementedError

    # Buttons.

    def start(self) -> None:
        """Begin, and return at once."""
        raise NotImplementedError

    def pause(self) -> None:
        """Hold after the current step."""
        raise NotImplementedError

    def resume(self) -> None:
        """Continue after a pause."""
        raise NotImplementedError

    def _pause_or_resume(self) -> None:
        if self.state == "paused":
            self.resume()
        else:
            self.pause()

    def _stop_soon(self) -> None:
        """As `stop`, without waiting: a callback must not wait."""
        raise NotImplementedError

    @traitlets.observe("state")
    def _state_changed(self, _change: object) -> None:
        self._show_state()

    def _show_state(self) -> None:
        """Enable the buttons that have something to do."""
        raise NotImplementedError

    # The status line.

    def _say(self, text: str, is_error: bool = False) -> None:
        self.status = markup.one_line(text)  # first, for the case that nothing can be sent to the page
        self._report.say(self.status, is_error)

    def _complain(self, failure: Failure) -> None:
        self.traceback = failure.traceback
        self._say(markup.complaint(failure), is_error=True)

    def show_refusal(self, error: Exception) -> None:
        """Show in the status line why a setting was refused."""
        self._complain(Failure.of(error))

    def _guarded(self, action: Callable[..., object], *arguments: Any) -> None:
        """Run a control's action; an error is shown in the status line, not in a hidden console."""
        try:
            action(*arguments)
        except Exception as error:  # nobody would see a callback's traceback
            self._complain(Failure.of(error))

    def _button(self, label: str, icon: str, action: Callable[[], object], hint: str) -> widgets.Button:
        return run_buttons.button(label, icon, hint, lambda: self._guarded(action))

    # Settings: a control sets a trait, a trait is checked, acted on, and shown by its control.

    def _set(self, name: str, value: Any) -> None:
        """Take a control's value as a setting."""
        if self._updating:
            return
        try:
            self._guarded(setattr, self, name, value)
        finally:
            self._show_settings()  # the old value again, where the new one is refused

    def _setting_changed(self, change: dict[str, Any]) -> None:
        """Bring plan, run and controls in line with a trait; one that is refused gets its old value back."""
        if self._updating:
            return
        name = change["name"]
        try:
            self._check(name)
        except Exception:
            self._assign(**{name: change["old"]})
            raise
        self._apply(name)
        self._show_settings()

    def _check(self, name: str) -> None:
        """Plan a run with a setting that has changed; raises what the verb would raise."""

    def _apply(self, name: str) -> None:
        """Act on a setting that has changed: begin again, or show it."""

    def _show_settings(self) -> None:
        with self._updating:
            self._fill_controls()

    def _fill_controls(self) -> None:
        """Let the controls show what is set; what they report meanwhile is ignored."""

    def _assign(self, **values: Any) -> None:
        """Set traits together, and do not act on them."""
        with self._updating:
            for name, value in values.items():
                setattr(self, name, value)

    # Files and code.

    def save(self, path: str | Path) -> Path:
        """Save the picture as PNG, its recipe inside, or the run as GIF; nothing is ever half written.

        Raises:
            BadTarget: for another suffix, or when there is nothing to save yet.
        """
        target = checked_path("path", path)
        if target.suffix.lower() not in (".png", ".gif"):
            raise BadTarget(f"path must end in .png or .gif, got {quoted(target.name)}.")
        picture = self._shown_picture()
        if picture is None:
            raise BadTarget(f"There is no picture to save yet. {self._how_to_begin}")
        if target.suffix.lower() == ".gif":
            return pictures.write_file(target, pictures.to_gif(self._film(), self._gif_fps))
        return pictures.write_file(target, pictures.to_png(picture, self._recorded()))

    def _shown_picture(self) -> np.ndarray | None:
        """The picture that is shown, [H, W, C], as it is saved; `None` before the first."""
        raise NotImplementedError

    def _film(self) -> Sequence[np.ndarray]:
        """The pictures of a GIF."""
        raise NotImplementedError

    def _recorded(self) -> dict[str, Any]:
        """How the picture was made, as JSON values, for its PNG."""
        raise NotImplementedError

    def snippet(self) -> str:
        """The Python that makes the same without a widget."""
        raise NotImplementedError

    def _name(self) -> str:
        """The name of a saved file, without suffix."""
        return type(self).__name__

    def _save_png(self) -> None:
        self._save_here(".png")

    def _save_gif(self) -> None:
        self._save_here(".gif")

    def _save_here(self, suffix: str) -> None:
        if not self.may_save:
            raise BadTarget("Files are not saved from this page. Right-click the picture to save it.")
        path = self.save(pictures.free_path(Path.cwd(), self._name(), suffix))
        self._say(f"Saved as {path.name} in the notebook's folder.")

    def _toggle_code(self) -> None:
        self._code.toggle()

    # The widget itself.

    def _still(self) -> np.ndarray | None:
        """The picture for notebooks without a kernel."""
        return self._shown_picture()

    def _repr_mimebundle_(self, **options: Any) -> Bundle:
        """The widget, and the picture that is shown, for where no kernel is."""
        bundle: Bundle = super()._repr_mimebundle_(**options)
        still = self._still()
        return bundle if still is None else {**bundle, "image/png": base64.b64encode(pictures.to_still(still)).decode()}

    def _ipython_display_(self) -> None:
        self._output.display()

    def close(self) -> None:
        if self.comm is None:  # closed already, or refused by its constructor
            return
        self._end()
        if self.state in BUSY:
            self.state = "stopped"
        self._output.forget()
        lifecycle.close_whole(self._report.curve)  # which not every panel shows
        lifecycle.close_all(self)
        super().close()

    def _end(self) -> None:
        """End what is computed, and close what the page does not close with its box."""
        raise NotImplementedError
