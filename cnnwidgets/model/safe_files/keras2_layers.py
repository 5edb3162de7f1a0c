"""Settings of single layers that Keras 2 writes and Keras 3 reads in different ways."""

from __future__ import annotations

from typing import Any

from cnnwidgets.model.safe_files.keras2_notes import Notes

Json = dict[str, Any]
_NAMES = {  # a class, and the one of Keras 3 that computes the same once it is trained
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "Experimental>SyncBatchNormalization": "BatchNormalization",
    "FixedDropout": "Dropout",
    "ThresholdedReLU": "ReLU",
}
_ACTIVATIONS = {"softmax_v2": "softmax", "relu_v2": "relu", "swish_v2": "swish"}
_WITHOUT_MEANING: dict[str, tuple[str, list[Any]]] = {  # settings that Keras 3 does not take: of which layers, and the
    # values of them that change nothing; no layers: all, no values: any
    "groups": ("DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D "
               "Conv1DTranspose Conv2DTranspose Conv3DTranspose", [1]),
    "time_major": ("LSTM GRU SimpleRNN Bidirectional RNN", [False]),
    "implementation": ("LSTM GRU SimpleRNN LSTMCell GRUCell", []),
    "renorm": ("BatchNormalization", [False]),
    "renorm_clipping": ("BatchNormalization", [None]),
    "renorm_momentum": ("BatchNormalization", []),
    "virtual_batch_size": ("BatchNormalization", [None]),
    "adjustment": ("BatchNormalization", [None]),
    "fused": ("BatchNormalization", []),
    "synchronized": ("BatchNormalization", []),
    "ragged": ("InputLayer", [False, None]),
    "rng_type": ("", []),  # of layers that do nothing outside of training
    "softmax_robust_masking": ("MultiHeadAttention", [False]),
    "robust_masking": ("Softmax", [False]),
    "trainable": ("SpatialDropout1D SpatialDropout2D SpatialDropout3D", []),
    "noise_shape": ("SpatialDropout1D SpatialDropout2D SpatialDropout3D", [None]),
    "query_shape": ("MultiHeadAttention", []),
    "key_shape": ("MultiHeadAttention", []),
    "value_shape": ("MultiHeadAttention", []),
}  # fmt: skip
BEFORE = "before"  # the key of an entry that has to stand before this one
HARD_SIGMOID = "hard_sigmoid of Keras 2"  # max(0, min(1, 0.2 x + 0.5)); what has this name in Keras 3 is another one
_SILENT = ("ragged", "trainable", "noise_shape", "query_shape", "key_shape", "value_shape")
_TRAINING = ("_initializer", "_regularizer", "_constraint")


def stands_for(kind: str, notes: Notes) -> str:
    """The class of Keras 3 that a class of Keras 2 has become."""
    plain = kind.removeprefix("Custom>") if kind.startswith("Custom>FixedDropout") else kind
    if plain in _NAMES:
        notes.add("classes replaced by what computes the same", f"{kind} by {_NAMES[plain]}")
    return _NAMES.get(plain, plain)


def layer_config(kind: str, config: Json, notes: Notes) -> None:
    """Change the settings of a layer to those that Keras 3 takes."""
    for repair in (_shapes, _types, _axis, _training, _slopes, _activation, _meaningless):
        repair(kind, config, notes)


def hard_sigmoid(config: Json, notes: Notes) -> Json:
    """The activation of this name as Keras 2 computes it, by a Rescaling before a ReLU."""
    name, dtype = config["name"], config.get("dtype", "float32")
    scaled = {"name": f"{name}_scaled", "scale": 0.2, "offset": 0.5, "dtype": dtype}
    notes.add("hard_sigmoid, which Keras 3 computes otherwise, built of a Rescaling and a ReLU", name)
    of_keras = {"module": "keras.layers", "registered_name": None}
    before = {**of_keras, "class_name": "Rescaling", "config": scaled}
    return {
        **of_keras, "class_name": "ReLU", "config": {"name": name, "max_value": 1.0, "dtype": dtype}, BEFORE: before
    }  # fmt: skip


def _shapes(kind: str, config: Json, notes: Notes) -> None:
    """An input says its shape under another name; any other layer needs none."""
    shape = config.pop("batch_input_shape", None)
    config.pop("input_dtype", None)
    if kind == "InputLayer" and shape is not None:
        config["batch_shape"] = shape["items"] if isinstance(shape, dict) and "items" in shape else shape


def _types(kind: str, config: Json, notes: Notes) -> None:
    """A policy of mixed precision was an object; its name is enough."""
    policy = config.get("dtype")
    if isinstance(policy, dict) and isinstance(policy.get("config"), dict) and "name" in policy["config"]:
        config["dtype"] = policy["config"]["name"]
        notes.add("precision given by name", str(config["dtype"]))


def _axis(kind: str, config: Json, notes: Notes) -> None:
    """One axis was written as a list of one."""
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1 and kind != "Normalization":
        config["axis"] = axis[0]
        notes.add("an axis taken out of a list", f"axis={axis} of {kind}")


def _training(kind: str, config: Json, notes: Notes) -> None:
    """What is for training alone is left out: it may be of the user's own, or be written otherwise."""
    for key in [key for key in config if key.endswith(_TRAINING)]:
        if config.pop(key) is not None:
            notes.add("initializers, regularizers and constraints left out, which only training needs")


def _slopes(kind: str, config: Json, notes: Notes) -> None:
    if kind == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    if kind == "ReLU" and "theta" in config:
        config["threshold"] = config.pop("theta")


def _activation(kind: str, config: Json, notes: Notes) -> None:
    """An activation by its name."""
    for key in ("activation", "recurrent_activation"):
        given = config.get(key)
        if isinstance(given, dict) and isinstance(given.get("config"), str):
            given = given["config"]
        if isinstance(given, str):
            config[key] = HARD_SIGMOID if given == "hard_sigmoid" else _ACTIVATIONS.get(given, given)


def _meaningless(kind: str, config: Json, notes: Notes) -> None:
    for key, (kinds, values) in _WITHOUT_MEANING.items():
        if key in config and (not kinds or kind in kinds.split()) and (not values or config[key] in values):
            value = config.pop(key)
            if key not in _SILENT:
                notes.add("settings without effect left out", f"{key}={value} of {kind}")
