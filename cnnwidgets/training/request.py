"""The settings of a recorder, and the checked request that makes one Snapshot from a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.activations.feature_maps import feature_maps
from cnnwidgets.errors import BadModel, BadPicture, BadTarget, quoted
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.class_activation_map import class_activation_map
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import is_list, is_whole
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import SEED, STEPS, Settings, Whole, setting
from cnnwidgets.training.snapshots import Snapshot
from cnnwidgets.visualize.units import UnitsPlan, UnitsSettings

UNITS, SIZE = range(8), 48  # the defaults, which give way where a layer has fewer units or a network one size


def _every(_name: str, value: object) -> int | str:
    if value == "epoch" or (is_whole(value) and value >= 1):
        return value if isinstance(value, str) else int(value)
    raise BadTarget(f"every must be 'epoch' or a number of batches, such as 50, got {quoted(value)}.")


def _units(_name: str, value: object) -> tuple[Any, ...]:
    if is_list(value) and (units := tuple(value)):
        return units
    raise BadTarget(f"units must be a list of indices, such as [3, 14] or range(8), got {quoted(value)}.")


@dataclass(frozen=True, eq=False)
class RecorderSettings(Settings):
    """The settings of a TrainingRecorder."""

    layer: str | None = None
    units: Iterable[int] = setting(UNITS, _units)
    every: int | str = setting("epoch", _every)
    size: int | tuple[int, int] | None = SIZE
    steps: int = setting(16, STEPS)
    target: Any = None
    recipe: str = "fourier"
    seed: int = setting(0, SEED)
    keep: int = setting(100, Whole(2, 10_000))

    def saved(self) -> dict[str, Any]:
        """The settings as JSON can hold them; a target that is a function is left out."""
        kinds = (str, int, float, type(None))
        plain = {name: list(one) if is_list(one) else one for name, one in self.recorded().items()}
        return {
            name: [int(i) for i in one] if isinstance(one, list) else one
            for name, one in plain.items()
            if isinstance(one, (list, *kinds))
        }

    def check(self, net: Network, picture: object) -> Request:
        """Check what is to be recorded of a network that is built.

        Raises:
            BadTarget: for a layer, unit, size, class or preset that does not exist.
            BadPicture: for a probe that this network does not take.
        """
        found = self.checked()
        info = net.layer(reachability.layer_of_interest(net) if found.layer is None else found.layer)
        is_default = tuple(found.units) == tuple(UNITS) and info.units
        units = tuple(found.units)[: info.units] if is_default else tuple(found.units)
        has_one_size = all(net.inputs[i].is_fixed for i in net.picture_inputs)
        size = None if found.size == SIZE and has_one_size else found.size
        painted = UnitsSettings(info.path, units, size, found.steps, found.recipe, seed=found.seed).check(net)
        targets.named(net, found.target, None)
        found = replace(found, layer=info.path, units=painted.units, size=size)
        return Request(found, net, painted, None if picture is None else _opened(net, picture))


def _opened(net: Network, picture: object) -> dict[str, Array]:
    """The probe by the names of the inputs; a copy, so that it stays what it was when it was given."""
    try:
        opened = net.opened(picture)
        net.fitted(opened)
    except BadModel as error:
        raise BadPicture(str(error)) from error
    return {net.inputs[i].name: np.array(array, np.float32) for i, array in opened.items()}


@dataclass(frozen=True, eq=False)
class Request:
    """What is recorded of a network: checked.

    Attributes:
        settings: each in its range, the layer in full.
        net: the network.
        painted: the pictures of the units.
        probe: what its inputs get, by name; `None` without a probe picture.
    """

    settings: RecorderSettings
    net: Network
    painted: UnitsPlan
    probe: Mapping[str, Array] | None = None

    def snapshot(self, epoch: int, batch: int, logs: Mapping[str, float], note: str = "") -> Snapshot:
        """A Snapshot of the network as it is now; what cannot be made is left out, and the note says why."""
        parts = _Parts(note)
        settings, layer, net = self.settings, str(self.settings.layer), self.net
        parts.made("snapshot", net.check_weights)
        if parts.failed:
            return Snapshot(epoch, batch, dict(logs), note=parts.note, layer=layer)
        painted = parts.made("pictures", self.painted.without_retries)
        shown = None if self.probe is None else self._picture()
        if shown is not None:
            maps = parts.made("feature maps", lambda: feature_maps(net, shown, [layer]))
            heat = parts.made("heatmap", lambda: class_activation_map(net, shown, target=settings.target))
        found = Snapshot(epoch, batch, dict(logs), note=parts.note, layer=layer, units=tuple(settings.units))
        if painted is not None:
            found = replace(found, pictures=painted.pictures, values=painted.values, notes=painted.notes)
        if shown is None:
            return found
        return replace(found, maps=maps or {}, heat=list(heat or ()), probe=self._probe_pictures())

    def _probe_pictures(self) -> dict[str, Array]:
        """The probe without what is not a picture."""
        shown = {info.name for info in self.net.inputs if info.is_picture}
        return {name: array for name, array in (self.probe or {}).items() if name in shown}

    def _picture(self) -> object:
        """The probe as verbs take it."""
        assert self.probe is not None
        return dict(self.probe) if len(self.net.inputs) > 1 else next(iter(self.probe.values()))


@dataclass
class _Parts:
    """The parts of a snapshot as they are made, and what is to be said of those that could not be."""

    note: str = ""
    failed: bool = False

    def made(self, what: str, make: Callable[[], Any]) -> Any:
        """The part, or `None` where it cannot be made: nothing that goes wrong here may reach the training."""
        try:
            return make()
        except Exception as error:  # whatever a model or a function of the user's own raises
            self.failed = True
            said = f"no {what}: {_one_line(error)}"
            self.note = f"{self.note}; {said}" if self.note else said
            return None


def _one_line(error: Exception) -> str:
    """The first line of an error, with its kind where it is not one of ours."""
    line = next(iter(str(error).strip().splitlines()), "")
    is_ours = isinstance(error, (BadModel, BadPicture, BadTarget))
    return line if is_ours else f"{type(error).__name__}: {line}"[:300]
