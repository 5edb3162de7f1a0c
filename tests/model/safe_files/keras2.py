"""Files as Keras 2 wrote them, made of models of Keras 3: what `model.save("x.h5")` of tf_keras was seen to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cnnwidgets.model.backend import keras

L = keras.layers
NOT_YET = ("synchronized", "quantization_config", "build_config")


def lively(model, seed=7):
    """Weights that differ from each other and from what Keras makes, so that a mix-up changes the result."""
    numbers = np.random.default_rng(seed)
    for weight in model.weights:
        spread = numbers.normal(size=weight.shape) * 0.4 if "kernel" in weight.name else None
        weight.assign(numbers.uniform(0.3, 1.0, weight.shape) if spread is None else spread)
    return model


def write(model, path: Path, names: dict[str, str] | None = None, change=None, version="2.12.0") -> Path:
    """Write a model as Keras 2 did.

    Args:
        names: other names for layers, such as those with a slash.
        change: a function that is given the configuration, to change it.
    """
    names = names or {}
    config = _entry(model, names)
    if change:
        change(config)
    with h5py.File(path, "w") as hdf5:
        hdf5.attrs.update(backend="tensorflow", keras_version=version, model_config=json.dumps(config))
        group = hdf5.create_group("model_weights")
        group.attrs["layer_names"] = [names.get(layer.name, layer.name).encode() for layer in model.layers]
        for layer in model.layers:
            _write_weights(layer, group.create_group(names.get(layer.name, layer.name)), names)
    return path


def _write_weights(layer, group, names) -> None:
    owners = {id(weight): part.name for part in _parts(layer) for weight in part.weights}
    every = {}
    for weight in [*layer.trainable_weights, *layer.non_trainable_weights]:
        owner = owners[id(weight)]
        every[f"{names.get(owner, owner)}/{weight.name}:0"] = weight
    group.attrs["weight_names"] = [name.encode() for name in every]
    for name, weight in every.items():
        group[name] = np.asarray(weight)


def _parts(layer) -> list[Any]:
    return [part for one in layer.layers for part in _parts(one)] if isinstance(layer, keras.Model) else [layer]


def _entry(layer, names) -> dict[str, Any]:
    if isinstance(layer, keras.Sequential):
        first = {"batch_input_shape": list(layer.inputs[0].shape), "dtype": "float32", "sparse": False, "ragged": False}
        entries = [{"class_name": "InputLayer", "config": {**first, "name": f"{layer.layers[0].name}_input"}}]
        entries += [_entry(one, names) for one in layer.layers]
        return {"class_name": "Sequential", "config": {"name": layer.name, "layers": entries}}
    return _functional(layer, names) if isinstance(layer, keras.Model) else _layer(layer, names)


def _layer(layer, names) -> dict[str, Any]:
    config = {key: _older(value) for key, value in layer.get_config().items() if key not in NOT_YET}
    config.update(name=names.get(layer.name, layer.name), dtype="float32")
    if isinstance(layer, L.InputLayer):
        config = {"batch_input_shape": list(layer.batch_shape), "dtype": "float32", "sparse": False, "ragged": False,
                  "name": config["name"]}  # fmt: skip
    if isinstance(layer, L.BatchNormalization):
        config["axis"] = [len(layer.input.shape) - 1]
    if isinstance(layer, (L.DepthwiseConv2D, L.SeparableConv2D, L.Conv2DTranspose)):
        config["groups"] = 1
    return {"class_name": type(layer).__name__, "config": config}


def _older(value: Any) -> Any:
    if isinstance(value, dict) and "class_name" in value and "Initializer" not in str(value["class_name"]):
        return {"class_name": value["class_name"], "config": {"seed": None, "dtype": "float32"}}
    return value


def _functional(model, names) -> dict[str, Any]:
    nested = {layer.name for layer in model.layers if isinstance(layer, keras.Model)}
    entries = []
    for layer, made in zip(model.layers, model.get_config()["layers"], strict=True):
        nodes = [
            [_place(one, nested, names) + [{}] for one in _histories(node["args"])] for node in made["inbound_nodes"]
        ]
        entry = _entry(layer, names)
        entries.append({**entry, "name": entry["config"]["name"], "inbound_nodes": nodes})
    ends = {
        key: [_place(tensor._keras_history, nested, names) for tensor in tensors]
        for key, tensors in {"input_layers": model.inputs, "output_layers": model.outputs}.items()
    }
    return {"class_name": "Functional", "config": {"name": model.name, "trainable": True, "layers": entries, **ends}}


def _histories(value: Any) -> list[Any]:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return [value["config"]["keras_history"]]
    return [found for one in value for found in _histories(one)] if isinstance(value, (list, tuple)) else []


def _place(history, nested, names) -> list[Any]:
    layer, node, tensor = history
    name = layer if isinstance(layer, str) else layer.name
    return [names.get(name, name), node + (name in nested), tensor]
