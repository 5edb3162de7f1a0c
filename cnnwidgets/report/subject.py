"""The network, picture and target that an explanation is about, and the recipes of its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.explain import recorded_targets, targets
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.probabilities import probabilities
from cnnwidgets.explain.targets import Reading, Target
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import device_kind
from cnnwidgets.provenance.positions import with_positions
from cnnwidgets.provenance.recipe import Recipe, installed_versions
from cnnwidgets.provenance.snippets import write_explanation


class Subject:
    """What is explained.

    Args:
        probe: cached passes for the picture.
        held: the picture as given, copied.
        target: the number that is explained.
        reading: its value.
        settings: those of `explain`, checked.
    """

    def __init__(self, probe: Probe, held: HeldPicture, target: Target, reading: Reading, settings: Any) -> None:
        self.probe, self.net, self.held, self.photos = probe, probe.net, held, held.photos
        self.target, self.reading, self.settings = target, reading, settings
        self._fingerprint, self._versions, self._device = self.net.fingerprint(), installed_versions(), device_kind()

    def recipe(self, verb: str, settings: Mapping[str, Any]) -> Recipe:
        """The recipe of a picture of this explanation."""
        located = with_positions(settings, self.net)
        return Recipe(verb, self.net.name, self._fingerprint, located, self._versions, self._device)

    def probability(self) -> float:
        if self.target.function is not None or not self.net.outputs[self.target.output].is_class_scores:
            return float("nan")
        return float(probabilities(self.probe, targets.settled(self.target, self.reading))[0])

    def drawn(self, picture: Array) -> Array:
        """A picture [H, W, C], 0..1 or uint8, as it is saved: uint8."""
        return pictures.displayable(pictures.to_uint8(np.asarray(picture)))

    def notes(self) -> Iterator[str]:
        """Remarks about the picture and the target."""
        net = self.net
        yield from filter(None, [self.held.note, self.held.looked_at(net, self.settings.size)])
        yield from map(as_sentence, targets.notes(net, self.target, self.reading))
        if len(net.outputs) > 1 and self.settings.output is None and not self.target.takes_all:
            yield (
                f"The network has {len(net.outputs)} outputs; the first one, {net.outputs[0].name!r}, is explained. "
                "Give output=... for another."
            )

    def facts(self) -> dict[str, Any]:
        """Everything that is needed to make this explanation again, as JSON values."""
        net = self.net
        settings = self.settings.recorded()
        settings["target"] = recorded_targets.record(settings["target"])
        settings["methods"] = list(settings["methods"])
        settings["size"] = net.recorded_size(settings["size"])
        settings["output"] = self.target.output if len(net.outputs) > 1 else None
        return {
            "verb": "explain",
            "network": net.name,
            "fingerprint": self._fingerprint,
            "settings": settings,
            "picture": self.held.digest,
            "versions": dict(self._versions),
            "device": self._device,
            "preprocessing": net.preprocess_note,
            "size": net.size_note,
            "file": net.file_note,
            "code": write_explanation(net.name, settings),
        }


def as_sentence(note: str) -> str:
    """A note as a sentence that stands alone."""
    return f"{note[:1].upper()}{note[1:].rstrip('.')}." if note else ""
