"""TrainingRecorder, a Keras callback that keeps snapshots of a network while it trains."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnwidgets.errors import BadPicture, BadTarget, CnnWidgetsError, quoted
from cnnwidgets.model.backend import keras, start_device
from cnnwidgets.model.inputs.input_info import are_known
from cnnwidgets.model.inputs.model_objects import check_is_model
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import to_gif, write_file
from cnnwidgets.training import snapshot_file
from cnnwidgets.training.curves import Curves, Point
from cnnwidgets.training.request import SIZE, UNITS, RecorderSettings, Request
from cnnwidgets.training.snapshots import Kept, Snapshot
from cnnwidgets.training.train_function import TrainFunction

BUILT_BY_A_BATCH = "the first batch built the model, so this is its first snapshot"


class TrainingRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep snapshots of a network while it trains: give it to `fit` as one of its callbacks.

    Once before the first batch, and after each epoch or every so many batches, it visualizes the chosen units from the
    same noise, and notes the feature maps and the heatmap of a probe picture. It reads the weights between two
    batches and changes nothing: the weights, the optimizer, the metrics and all random generators end up bit for bit
    as without it, and nothing is retraced. A snapshot that fails says so in its note; the training goes on.

    Args:
        model: the keras.Model that is trained, or a part of it, or a Network of either. Where it is not built yet, the
            first batch builds it, and the first snapshot comes after that batch.
        layer: the path of the units' layer; the last one with rows and columns before the class scores if not given.
        units: indices of units of that layer; of a layer of fewer than eight, all of them.
        picture: the probe, anything that `load_picture` takes; for a model of several inputs a list or dict of them.
        every: "epoch", or a number of batches, counted over all epochs.
        size: of the pictures in pixels, or (height, width); a network of one fixed size gets pictures of that.
        steps: 1 to 2048 steps of gradient ascent for each picture.
        target: the class that the heatmap explains, by index or name; the top class of each moment if not given.
        recipe: "fourier", "natural" or "textbook", as in `visualize_units`.
        seed: of the noise.
        keep: how many snapshots are kept, from 2; when there are more, those between the first and the last thin out
            evenly.

    Attributes:
        snapshots: a list of Snapshot, the oldest first.
        problem: "" or why nothing can be recorded, in one line.

    Raises:
        BadTarget: for a layer, unit, size or interval that does not exist.
        BadPicture: for a probe that the model does not take.
        BadModel: for what is not a Keras model, or takes no pictures.
        Where the model is not built yet these become `problem` at the first batch, and the training goes on.

    Example:
        >>> recorder = TrainingRecorder(model, "conv1", units=range(8), picture="cat.jpg")
        >>> model.fit(x, y, epochs=5, callbacks=[recorder])
    """

    def __init__(
        self,
        model: Network | Any,
        layer: str | None = None,
        units: Iterable[int] = UNITS,
        picture: object = None,
        every: int | str = "epoch",
        size: int | tuple[int, int] | None = SIZE,
        steps: int = 16,
        *,
        target: int | str | None = None,
        recipe: str = "fourier",
        seed: int = 0,
        keep: int = 100,
    ) -> None:
        super().__init__()
        settings = RecorderSettings.given(locals()).checked()
        if not isinstance(model, Network):
            start_device()
            check_is_model(model)
        self._start(settings, model, picture)
        if self._is_built():
            self._prepare()

    def _start(self, settings: RecorderSettings, source: Network | Any, picture: object) -> None:
        """Begin without a snapshot; `source` is `None` for snapshots from a file."""
        self.settings, self._source, self._picture = settings, source, picture
        self._request: Request | None = None
        self.problem = ""
        self._kept, self.curves = Kept(settings.keep), Curves()
        self._epoch = self._batch = self._first_in_step = self._epoch_began = 0
        self._is_new_fit, self._weights_then = True, ""
        self._listeners: list[Callable[[str], object]] = []

    def _is_built(self) -> bool:
        return isinstance(self._source, Network) or are_known(self._source)

    def _prepare(self) -> None:
        net = self._source if isinstance(self._source, Network) else Network(self._source)
        self._source, self._request = net, self.settings.check(net, self._picture)

    # -- what was recorded

    @property
    def snapshots(self) -> list[Snapshot]:
        """The snapshots that are kept, the oldest first."""
        return self._kept.all()

    @property
    def progress(self) -> float:
        """The share of the present `fit` that is done, 0 to 1."""
        params = self.params or {}
        epochs, steps = params.get("epochs") or 0, params.get("steps") or 0
        within = min(1.0, (self._batch - self._epoch_began) / steps) if steps else 0.0
        return min(1.0, (self._epoch + within) / epochs) if epochs else 0.0

    @property
    def moment(self) -> tuple[int, int]:
        """(epoch, batch) now: completed epochs, and completed batches over all epochs."""
        return self._epoch, self._batch

    @property
    def trained(self) -> Any:
        """The model that `fit` was called on last, or else the one that the recorder was given."""
        return self.model or (self._source.model if isinstance(self._source, Network) else self._source)

    @property
    def net(self) -> Network | None:
        """The network, `None` until the model is built and where the snapshots are from a file."""
        return self._source if isinstance(self._source, Network) else None

    @property
    def layer(self) -> str | None:
        """The layer whose units are recorded; another one counts from the next snapshot on."""
        return self._now.layer

    @layer.setter
    def layer(self, layer: str | None) -> None:
        self.record_next(layer=layer)

    @property
    def units(self) -> tuple[int, ...]:
        """The units that are recorded; others count from the next snapshot on."""
        return tuple(self._now.units)

    @units.setter
    def units(self, units: Iterable[int]) -> None:
        self.record_next(units=units)

    @property
    def picture(self) -> object:
        """The probe; another one counts from the next snapshot on."""
        return self._picture

    @picture.setter
    def picture(self, picture: object) -> None:
        self.record_next(picture=picture)

    @property
    def _now(self) -> RecorderSettings:
        return self._request.settings if self._request else self.settings

    @property
    def settings_now(self) -> dict[str, Any]:
        """What is recorded next, as values that JSON can hold."""
        return self._now.saved()

    def record_next(self, **changes: Any) -> None:
        """Change what is recorded from the next snapshot on: `layer`, `units`, `picture`, `target`, `steps`, `size`.

        Raises:
            BadTarget, BadPicture: as for a new recorder; nothing changes then.
        """
        picture = changes.pop("picture", self._picture)
        known = RecorderSettings.names()
        if unknown := [name for name in changes if name not in known]:
            raise BadTarget(f"A recorder has no setting {quoted(unknown[0])}. It has {', '.join(known)} and picture.")
        settings = RecorderSettings(**{**self.settings.recorded(), **changes}).checked()
        request = settings.check(self._request.net, picture) if self._request else None
        self.settings, self._picture, self._request = settings, picture, request

    def listen(self, listener: Callable[[str], object]) -> Callable[[], None]:
        """Call a function with "begin", "batch", "snapshot", "epoch" or "end" after each, in the thread that trains.

        Returns:
            A function that ends it.
        """
        self._listeners = [*self._listeners, listener]
        return lambda: self._deafen(listener)

    def _deafen(self, listener: Callable[[str], object]) -> None:
        self._listeners = [one for one in self._listeners if one is not listener]

    def save(self, path: str | Path) -> Path:
        """Write all snapshots to a file, without the model; the file is complete or not there.

        Raises:
            BadTarget: a folder that does not exist or cannot be written to.
        """
        return write_file(path, snapshot_file.written(self.settings_now, self.snapshots, self.curves))

    @classmethod
    def load(cls, path: str | Path) -> TrainingRecorder:
        """The snapshots in a file that `save` wrote; nothing in it is executed. They have no model to go on with.

        Raises:
            BadPicture: for a file that does not exist, is not one of snapshots, or is damaged.
        """
        saved = snapshot_file.read(path)
        recorder = cls.__new__(cls)
        keras.callbacks.Callback.__init__(recorder)
        recorder._start(saved.settings, None, None)
        for snapshot in saved.snapshots:
            recorder._kept.add(snapshot)
        recorder.curves = saved.curves
        return recorder

    def to_gif(self, path: str | Path, fps: float = 4) -> Path:
        """Write the units' pictures through the training as a GIF, one frame for each snapshot.

        Raises:
            BadPicture: where no snapshot has pictures.
            BadTarget: for a folder that cannot be written to, or frames a second outside 0.1 to 50.
        """
        frames = [snapshot.mosaic() for snapshot in self.snapshots if len(snapshot.pictures)]
        if not frames:
            raise BadPicture("No snapshot has pictures. Train the model with this recorder among its callbacks first.")
        return write_file(path, to_gif(frames, fps))

    def __repr__(self) -> str:
        layer = f" of {self.layer!r}" if self.layer else ""
        return f"TrainingRecorder({len(self._kept.all())} snapshots{layer}, every {self.settings.every})"

    # -- what Keras calls

    def set_model(self, model: Any) -> None:
        """Keras says which model is trained."""
        if self._source is None:
            raise BadTarget("These snapshots are from a file, so there is no model to record. Make a new recorder.")
        super().set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """A `fit` begins."""
        self._is_new_fit = True
        self._notify("begin")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before the first batch of a `fit`, take a snapshot, unless one of these very weights is there."""
        self._epoch, self._epoch_began = epoch, self._batch
        if self._is_new_fit:
            with self._unharmed():
                if self._is_ready() and self._fingerprint() != self._weights_then:
                    self._record({})
            self._is_new_fit, self._weights_then = False, ""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Let the batch take turns with panels on the same model; several batches may be one step."""
        self._first_in_step = batch
        function = getattr(self.model, "train_function", None)
        if function is not None and not isinstance(function, TrainFunction):
            self.model.train_function = TrainFunction(function, self.model.variables, self._put_back)

    def _put_back(self) -> None:
        """Give the model its own train function."""
        if isinstance(function := getattr(self.model, "train_function", None), TrainFunction):
            self.model.train_function = function.function

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count, and take a snapshot if it is time."""
        steps = self.params.get("steps") or batch + 1  # the last of several in one step may be missing
        before, self._batch = self._batch, self._batch + max(1, min(batch + 1, steps) - self._first_in_step)
        with self._unharmed():
            numbers = _numbers(logs)
            self.curves.add_batch(Point(self._epoch, self._batch, numbers))
            if not self._kept.all() and self._is_ready():
                self._record(numbers, BUILT_BY_A_BATCH)
            every = self.settings.every
            if isinstance(every, int) and self._batch // every > before // every:
                self._record(numbers)
        self._notify("batch")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take a snapshot if it is time."""
        self._epoch, self._epoch_began = epoch + 1, self._batch
        with self._unharmed():
            numbers = _numbers(logs)
            self.curves.add_epoch(Point(self._epoch, self._batch, numbers))
            if self.settings.every == "epoch":
                self._record(numbers)
        self._notify("epoch")

    def on_train_end(self, logs: Any = None) -> None:
        """Remember the weights, so that the next `fit` knows whether they were changed in between."""
        self._put_back()
        with self._unharmed():
            self._weights_then = self._fingerprint()
        self._notify("end")

    def _fingerprint(self) -> str:
        return self._request.net.fingerprint() if self._request else ""

    def _is_ready(self) -> bool:
        """Whether the model is built and takes what is to be recorded."""
        if self._request is None and not self.problem and self._is_built():
            self._prepare()
        return self._request is not None

    def _record(self, logs: Mapping[str, float], note: str = "") -> None:
        if self._request is None:
            return
        self._kept.add(self._request.snapshot(self._epoch, self._batch, logs, note))
        self._notify("snapshot")

    @contextlib.contextmanager
    def _unharmed(self) -> Iterator[None]:
        """Let nothing that happens inside reach the training: no error, and no number drawn from its generators."""
        python, numpy_ = random.getstate(), np.random.get_state()
        try:
            yield
        except Exception as error:  # whatever a model of the user's own raises
            self._refuse(error)
        finally:
            random.setstate(python)
            np.random.set_state(numpy_)

    def _refuse(self, error: Exception) -> None:
        """Say once why nothing is recorded."""
        is_ours = isinstance(error, CnnWidgetsError)
        problem = str(error) if is_ours else f"{type(error).__name__}: {error}".splitlines()[0]
        if problem == self.problem:
            return
        self.problem = problem
        self._kept.add(Snapshot(self._epoch, self._batch, note=f"nothing recorded: {problem}"))
        with contextlib.suppress(Warning):  # where warnings are errors
            warnings.warn(f"TrainingRecorder records nothing: {problem}", stacklevel=2)

    def _notify(self, event: str) -> None:
        for listener in self._listeners:
            with contextlib.suppress(Exception):  # whoever listens has to show it
                listener(event)


def _numbers(logs: Any) -> dict[str, float]:
    """Logs as plain numbers; what is not a number is left out."""
    found = {}
    for name, value in dict(logs or {}).items():
        array = np.asarray(value)
        if array.size == 1 and array.dtype.kind in "fiub":
            found[str(name)] = float(array.reshape(()))
    return found
