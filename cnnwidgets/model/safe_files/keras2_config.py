"""Configurations that Keras 2 wrote, as Keras 3 reads them: what differs is translated here, each difference once.

Only JSON is handled; nothing is imported, built or executed. What is not known stays as it is, for Keras 3 to refuse.
"""

from __future__ import annotations

from typing import Any

from cnnwidgets.model.backend import keras
from cnnwidgets.model.safe_files.keras2_functions import operation
from cnnwidgets.model.safe_files.keras2_layers import BEFORE, HARD_SIGMOID, hard_sigmoid, layer_config, stands_for
from cnnwidgets.model.safe_files.keras2_nodes import Calls, Reference
from cnnwidgets.model.safe_files.keras2_notes import Notes

Json = dict[str, Any]
MODELS = ("Functional", "Model", "Sequential")
_OF_KERAS = ("keras.", "tf_keras", "tensorflow.python.keras", "tensorflow.keras")


def is_model(entry: Any) -> bool:
    """Whether an entry of a configuration is a model of layers."""
    if not isinstance(entry, dict) or entry.get("class_name") not in MODELS:
        return False
    config = entry.get("config")
    return isinstance(config, list) or (isinstance(config, dict) and isinstance(config.get("layers"), list))


def layers_of(entry: Json) -> list[Json]:
    """The entries of a model's layers; the first versions wrote a list of them and nothing else."""
    config = entry["config"]
    return list(config if isinstance(config, list) else config["layers"])


def translated(entry: Json, notes: Notes) -> Json:
    """A model, or any layer, as Keras 3 would have written it."""
    if is_model(entry):
        return _sequential(entry, notes) if entry["class_name"] == "Sequential" else _functional(entry, notes)
    return _layer(entry, notes)


def _layer(entry: Json, notes: Notes) -> Json:
    kind, config = stands_for(entry["class_name"], notes), dict(entry["config"])
    source = _source(entry, kind)
    if "name" in config:
        config["name"] = notes.renamed(config["name"])
    if source["module"] == "keras.layers":
        layer_config(kind, config, notes)
    for key in ("layer", "backward_layer", "forward_layer", "cell", "activation"):
        if isinstance(config.get(key), dict) and isinstance(config[key].get("config"), dict):
            config[key] = translated(config[key], notes)
    if kind == "Activation" and config.get("activation") == HARD_SIGMOID:
        return hard_sigmoid(config, notes)
    return {**source, "class_name": kind, "config": config}


def _source(entry: Json, kind: str) -> Json:
    """Where Keras 3 finds a class: its own layers by module, those of the user by the name they are registered by."""
    module = str(entry.get("module") or "keras.layers")
    if module != "keras" and not module.startswith(_OF_KERAS):
        return {"module": module, "registered_name": entry.get("registered_name")}
    if kind == "LayerScale" and {"init_values", "projection_dim"} <= set(entry["config"]):
        return {"module": "keras.src.applications.convnext", "registered_name": kind}
    if hasattr(keras.layers, kind):
        return {"module": "keras.layers", "registered_name": None}
    return {"module": None, "registered_name": _registered(kind)}


def _registered(kind: str) -> str:
    """The name by which a class of the user's is registered: Keras 2 did not always write its package."""
    known = keras.saving.get_custom_objects()
    return next((name for name in known if name == kind or name.endswith(f">{kind}")), kind)


def _model(kind: str, config: Json) -> Json:
    return {"module": "keras", "class_name": kind, "config": config, "registered_name": None}


def _name(config: Any, otherwise: str, notes: Notes) -> str:
    return notes.renamed(config.get("name") or otherwise) if isinstance(config, dict) else otherwise


def _sequential(entry: Json, notes: Notes) -> Json:
    layers = layers_of(entry)
    made = [one for layer in layers for one in _steps(translated(layer, notes))]
    if layers and layers[0]["class_name"] != "InputLayer" and (shape := _first_shape(entry, layers)):
        made.insert(0, _input(shape, f"{made[0]['config'].get('name', 'first')}_input"))
    return _model("Sequential", {"name": _name(entry["config"], "sequential", notes), "layers": made})


def _input(shape: list[Any], name: str) -> Json:
    config = {"batch_shape": [None, *shape[1:]], "dtype": "float32", "name": name}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def _first_shape(entry: Json, layers: list[Json]) -> list[Any] | None:
    """The shape of what goes into a Sequential without an InputLayer."""
    own, first = entry["config"], layers[0]
    shapes = [own.get("build_input_shape") if isinstance(own, dict) else None]
    shapes.append((entry.get("build_config") or {}).get("input_shape"))
    while is_model(first):
        first = layers_of(first)[0]
    shapes.insert(0, first["config"].get("batch_input_shape"))
    return next((shape for shape in shapes if isinstance(shape, list) and len(shape) > 1), None)


def _steps(entry: Json) -> list[Json]:
    """One entry, or the two that take its place."""
    before = entry.pop(BEFORE, None)
    return [before, entry] if before else [entry]


def _functional(entry: Json, notes: Notes) -> Json:
    config = entry["config"]
    calls = Calls(config["layers"], config["input_layers"], config["output_layers"], is_model, notes)
    layers = [one for layer in config["layers"] for one in _called(layer, calls, notes)]
    ends = {key: calls.ends(config[key], key == "output_layers") for key in ("input_layers", "output_layers")}
    return _model("Model", {"name": _name(config, "model", notes), "layers": layers, **ends})


def _called(layer: Json, calls: Calls, notes: Notes) -> list[Json]:
    """A layer with its calls; if two replace it, the second is called on the output of the first."""
    if layer["class_name"] in ("TFOpLambda", "SlicingOpLambda"):
        made = operation(layer, calls)
    else:
        nodes = [calls.node(node) for node in layer.get("inbound_nodes") or []]
        made = {**translated(layer, notes), "inbound_nodes": nodes}
    name = notes.renamed(layer.get("name") or layer["config"]["name"])
    *before, last = _steps({**made, "name": name})
    for one in before:
        inner = one["config"]["name"]
        after = [Reference(inner, index, 0).tensor() for index in range(len(made["inbound_nodes"]))]
        before = [{**one, "name": inner, "inbound_nodes": made["inbound_nodes"]}]
        last = {**last, "inbound_nodes": [{"args": [tensor], "kwargs": {}} for tensor in after]}
    return [*before, last]
