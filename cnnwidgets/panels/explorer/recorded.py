"""The recorder of a training that follows the selection of an Explorer."""

from __future__ import annotations

from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.panels.explorer.choice import Choice
from cnnwidgets.training.recorder import TrainingRecorder
from cnnwidgets.training.request import UNITS


def checked_recorder(recorder: object) -> TrainingRecorder | None:
    """A recorder, or none.

    Raises:
        BadTarget: for anything else, and for snapshots from a file.
    """
    if recorder is None:
        return None
    if isinstance(recorder, TrainingRecorder) and recorder.trained is not None:
        return recorder
    raise BadTarget(f"recorder must be a cw.TrainingRecorder with a model, got {quoted(recorder)}.")


def record_chosen(recorder: TrainingRecorder, chosen: Choice, name: str) -> None:
    """Record what is chosen from the next snapshot on; the choices in another network change nothing.

    Args:
        recorder: records the network that is being trained.
        chosen: the selection.
        name: what has changed: "picture", "layer", "unit" or "target".
    """
    if recorder.net is None or chosen.net.model is not recorder.net.model:
        return
    changes: dict[str, Any] = {"picture": chosen.held.given} if name == "picture" else {}
    if name == "target":
        changes["target"] = chosen.target
    if name == "layer" or (name == "unit" and chosen.unit is not None):
        changes |= {"layer": chosen.layer, "units": _units(chosen)}
    if changes:
        recorder.record_next(**changes)


def _units(chosen: Choice) -> tuple[int, ...]:
    """The chosen unit with its neighbors, eight in all; the first eight where none is chosen."""
    first = 0 if chosen.unit is None else chosen.unit // len(UNITS) * len(UNITS)
    return tuple(range(first, min(first + len(UNITS), chosen.net.layer(chosen.layer).units)))
