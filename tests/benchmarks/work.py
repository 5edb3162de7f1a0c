"""What every contender gets: SqueezeNet as a file, photographs, and how much there is to do."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Work:
    """The network, and how many pictures of which size in how many steps.

    Attributes:
        network_file: where SqueezeNet is kept as Keras keeps it.
        count: units, classes, filters or photographs.
        size: pixels.
        steps: of each picture.
        layer: where a job has one.
    """

    network_file: str
    count: int
    size: int
    steps: int = 1
    layer: str = "fire5_concat"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.count, self.size, self.size, 3

    @functools.cached_property
    def network(self) -> Any:
        """SqueezeNet up to its probabilities, for RGB pictures of 0..255 and of this size, preprocessing included."""
        import keras

        picture = keras.Input((self.size, self.size, 3), name="picture")
        made = keras.models.clone_model(self.of_any_size, input_tensors=picture)
        made.set_weights(self.of_any_size.get_weights())
        return made

    @functools.cached_property
    def of_any_size(self) -> Any:
        """The same for pictures of any size."""
        import keras

        return keras.models.load_model(self.network_file)

    @functools.cached_property
    def feature_map(self) -> Any:
        """The network up to the layer: [N, H, W, 3] -> [N, h, w, units]."""
        return self.up_to(self.layer)

    def up_to(self, *layers: str) -> Any:
        """The network up to one layer, or to several."""
        import keras

        outputs = [self.network.get_layer(layer).output for layer in layers]
        return keras.Model(self.network.input, outputs[0] if len(outputs) == 1 else outputs)

    @functools.cached_property
    def photographs(self) -> list[np.ndarray]:
        """uint8 [size, size, 3] each, all different."""
        import cnnwidgets as cw
        from cnnwidgets import pictures

        whole = cw.samples.sample("chelsea")
        height, width, _ = whole.shape
        side = min(height, width) - 2 * self.count
        parts = [whole[2 * i : 2 * i + side, i : i + side] for i in range(self.count)]
        return [np.round(255 * pictures.resize(part, (self.size, self.size))).astype(np.uint8) for part in parts]

    def answers(self, pictures: np.ndarray, layer: str) -> np.ndarray:
        """What a layer puts out for pictures [N, H, W, 3] 0..1, as they are in 8 bits."""
        seen = np.round(np.clip(pictures, 0, 1) * 255).astype(np.float32)
        return np.asarray(self.up_to(layer)(seen, training=False))
