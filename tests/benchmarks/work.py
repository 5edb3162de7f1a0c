"""What every contender does: a gallery of some units of one layer of SqueezeNet."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

FIRST = 16  # these fire by themselves; #9 never does, and only this package would spend time on finding that out


@dataclass(frozen=True)
class Work:
    """What all of them do."""

    network_file: str
    layer: str = "fire5_concat"
    count: int = 16
    size: int = 128
    steps: int = 64

    @property
    def units(self) -> list[int]:
        return list(range(FIRST, FIRST + self.count))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.count, self.size, self.size, 3

    @functools.cached_property
    def network(self) -> Any:
        """SqueezeNet up to its classes, for RGB pictures of 0..255 and of this size, preprocessing included."""
        import keras

        return keras.models.load_model(self.network_file)

    @functools.cached_property
    def feature_map(self) -> Any:
        """The network up to the layer: [N, H, W, 3] -> [N, h, w, units]."""
        import keras

        return keras.Model(self.network.input, self.network.get_layer(self.layer).output)
