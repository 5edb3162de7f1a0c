"""Refusals of anything but a Keras 3 model, each named for what it is, with what to do instead."""

from __future__ import annotations

import inspect
from os import PathLike
from typing import Any

from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.model.backend import keras

OLD_KERAS = ("tf_keras", "tensorflow.python.keras", "keras.engine", "keras.src.engine", "keras.api._v2")
WRAPPED = "keras.Sequential([keras.Input((224, 224, 3)), layer])"

# What others make, by the module of a class or of one that it inherits from; the first that fits.
_OTHERS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("tensorflow.python.eager",), "is a tf.function. Give the keras.Model that it runs."),
    (("tensorflow.python.saved_model", "tensorflow.python.trackable", "tensorflow.python.module"),
     "is a SavedModel or tf.Module of TensorFlow. Wrap its folder as a layer: keras.Sequential([keras.Input((224, 224, "
     "3)), keras.layers.TFSMLayer('folder', call_endpoint='serving_default')])."),
    (("tensorflow.lite", "tflite_runtime", "ai_edge_litert"),
     "is a TFLite interpreter, which has no gradients. Give the Keras model that it was converted from."),
    (("torch", "torchvision", "timm", "pytorch_lightning", "lightning"),
     "is a PyTorch module, and only Keras 3 models are read. Rebuild it in Keras and set its weights from "
     "state_dict(), or use captum or pytorch-grad-cam."),
    (("transformers", "diffusers"),
     "is a Hugging Face model, and only Keras 3 models are read. Rebuild it in Keras; keras_hub has many with their "
     "weights."),
    (("flax", "jax", "haiku", "equinox"), "is a JAX model, and only Keras 3 models are read. Rebuild it in Keras."),
    (("onnx", "onnxruntime"), "is an ONNX model, and only Keras 3 models are read. Rebuild it in Keras."),
    (("sklearn", "xgboost", "lightgbm", "catboost"),
     "is an estimator of a table's columns, not a Keras model. Give a keras.Model that takes pictures."),
    (("keras_hub", "keras_cv", "keras_nlp"),
     "is not a keras.Model itself. Give the model in it, such as its .backbone."),
    (("numpy", "PIL"), "is an array or picture. Give the model first and the picture second, such as "
     "cw.class_activation_map(model, picture)."),
)  # fmt: skip


def check_is_model(model: Any) -> None:
    """Refuse anything but a Keras 3 model."""
    if not isinstance(model, keras.Model):
        raise BadModel(_named(model))


def _named(thing: Any) -> str:
    kind = type(thing).__name__
    if isinstance(thing, (str, PathLike)):
        name = quoted(str(thing))
        bundled = "" if "." in name else f", or a bundled network: cw.load_network({name})"
        return f"Expected a keras.Model, got the path {name}. Open the file: cw.Network.from_file({name}){bundled}."
    if _is_from(type(thing), OLD_KERAS):
        return _of_old_keras(kind)
    if thing is None:
        return "Expected a keras.Model, got None. Return the model from the function that builds it."
    if inspect.isclass(thing):
        if _is_from(thing, OLD_KERAS):
            return _of_old_keras(thing.__name__)
        return f"{thing.__name__} is a class. Make a model of it first: {thing.__name__}(...)."
    if inspect.isfunction(thing) or inspect.ismethod(thing):
        name = getattr(thing, "__name__", "build")
        return f"{name} is a function. Call it and give the model that it returns: {name}(...)."
    if isinstance(thing, keras.KerasTensor):
        return "A KerasTensor is what a layer returns. Make a model that ends there: keras.Model(inputs, outputs)."
    if isinstance(thing, keras.layers.TFSMLayer):
        return f"A TFSMLayer is a layer and has no input. Wrap it: {WRAPPED}."
    if isinstance(thing, keras.Layer):
        return f"{kind} {quoted(thing.name)} is a layer. Give a model, such as {WRAPPED}."
    if isinstance(thing, (list, tuple, dict, set)):
        return f"Expected one keras.Model, got a {kind}. Give the model itself."
    return _of_others(thing, kind)


def _of_old_keras(kind: str) -> str:
    return (
        f"{kind} is a model of Keras 2 (tf_keras, TF_USE_LEGACY_KERAS or tensorflow.python.keras), and Keras 3 cannot "
        "run it. Save it there, model.save('model.h5'), and open it here: cw.Network.from_file('model.h5'). "
        "If that is refused, build it with keras (Keras 3) and load its weights: model.load_weights('model.h5')."
    )


def _of_others(thing: Any, kind: str) -> str:
    held = getattr(thing, "__dict__", {})
    name = next((name for name in ("model", "model_", "net") if isinstance(held.get(name), keras.Model)), None)
    if name:
        return f"{kind} is not a keras.Model, but it holds one. Give its .{name}."
    for modules, words in _OTHERS:
        if _is_from(type(thing), modules):
            return f"{kind} {words}"
    return f"Expected a keras.Model, got {kind}."


def _is_from(cls: type, modules: tuple[str, ...]) -> bool:
    """Whether a class, or one that it inherits from, was made in one of these modules."""
    homes = [str(getattr(one, "__module__", "")) for one in cls.__mro__]
    return any(home == module or home.startswith(module + ".") for home in homes for module in modules)


def why_not_built(model: Any) -> str:
    """The message for a Keras model whose input is unknown."""
    called = f"The model {quoted(model.name)} "
    if isinstance(model, keras.Sequential):
        return (
            f"{called}is not built, so its input is unknown. Put a keras.Input of the right shape first, or call "
            "model.build((None, 224, 224, 3)) with the size of your pictures."
        )
    if type(model).call in (keras.Model.call, keras.Layer.call):
        return (
            f"{called}has no method call(self, x), so it cannot be run. Define one that returns its output, and call "
            "the model once on a batch of pictures."
        )
    return (
        f"{called}is not built: it was never called, so its input is unknown. Call it once on a batch of pictures, "
        "such as model(numpy.zeros((1, 224, 224, 3))), and give it then."
    )
