"""SqueezeNet as a file that every contender can load: `Work.network`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks import process


def save(file: str) -> None:
    """The bundled network with its preprocessing folded in; that it answers the same is checked."""
    import keras

    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    matrix, offset = np.array(net.preprocess.matrix), np.array(net.preprocess.offset)
    centred = keras.layers.Rescaling(1.0, (offset @ np.linalg.inv(matrix)).tolist())

    def call(layer: Any, x: Any, **others: Any) -> Any:
        return layer(centred(x) if layer.name == "conv1" else x, **others)

    picture = keras.Input((None, None, 3), name="picture")
    model = keras.models.clone_model(net.model, input_tensors=picture, call_function=call)
    model.set_weights(net.model.get_weights())
    kernel, bias = model.get_layer("conv1").get_weights()
    model.get_layer("conv1").set_weights([np.einsum("rb,hwbf->hwrf", matrix, kernel), bias])
    noise = np.random.default_rng(0).random((1, 128, 128, 3), np.float32)
    np.testing.assert_allclose(model(noise * 255)[0], net.call([noise])[0][0], atol=1e-4)
    model.save(file)


if __name__ == "__main__":
    save(*process.arguments())
    process.report()
