"""What is not a Keras 3 model is named for what it is, with what to do instead."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadModel
from cnnwidgets.model.backend import keras, tf

L = keras.layers


def made_in(module, name="Net", base=object):
    return type(name, (base,), {"__module__": module})


class Holder:
    def __init__(self):
        self.model = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3)])


OBJECTS = {
    "a path": (lambda: "models/cat.keras", r"got the path.*Network\.from_file\('models/cat.keras'\)"),
    "a bundled name": (lambda: "squeezenet", r"cw.load_network\('squeezenet'\)"),
    "tf_keras": (made_in("tf_keras.src.engine.functional"), r"Keras 2.*save\('model.h5'\).*from_file.*load_weights"),
    "a class on tf_keras": (made_in("__main__", "Cat", made_in("tf_keras.src.engine.training")), "Cat is.*Keras 2"),
    "keras inside tensorflow": (made_in("tensorflow.python.keras.engine.training"), "Keras 2"),
    "torch": (made_in("__main__", "Cat", made_in("torch.nn.modules.module")), "Cat is a PyTorch module"),
    "transformers": (made_in("transformers.models.vit.modeling_vit"), "Hugging Face"),
    "flax": (made_in("flax.linen.module"), "JAX"),
    "onnx": (made_in("onnxruntime.capi.session"), "ONNX"),
    "keras_hub": (made_in("keras_hub.src.models.task"), "backbone"),
    "tflite": (made_in("tensorflow.lite.python.interpreter"), "TFLite"),
    "sklearn": (made_in("sklearn.linear_model._logistic", "Logistic"), "Logistic is an estimator"),
    "a SavedModel": (tf.Module, "TFSMLayer"),
    "a tf.function": (lambda: tf.function(lambda x: x), "is a tf.function"),
    "nothing": (lambda: None, "got None. Return the model from the function"),
    "a class": (lambda: keras.Sequential, r"Sequential is a class.*Sequential\(\.\.\.\)"),
    "a function": (lambda: keras.applications.VGG16, r"VGG16 is a function. Call it"),
    "a tensor of a graph": (lambda: keras.Input((8, 8, 3)), r"keras.Model\(inputs, outputs\)"),
    "a layer": (lambda: L.Conv2D(3, 3, name="eye"), "Conv2D 'eye' is a layer.*Sequential"),
    "a list": (lambda: [keras.Sequential()], "one keras.Model, got a list"),
    "a picture": (lambda: np.zeros((8, 8, 3)), "the model first and the picture second"),
    "a holder": (Holder, "Holder is not a keras.Model, but it holds one. Give its .model"),
    "a number": (lambda: 3, "Expected a keras.Model, got int"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_named_for_what_it_is(name):
    make, words = OBJECTS[name]
    with pytest.raises(BadModel, match=words):
        cw.Network(make())


class Silent(keras.Model):
    """It defines no call."""


class Uncalled(keras.Model):
    """It is complete, but was never called."""

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Silent, r"no method call\(self, x\)"),
        (Uncalled, r"never called.*Call it once on a batch of pictures"),
        (lambda: keras.Sequential([L.Conv2D(4, 3)]), r"not built.*keras.Input.*build\(\(None, 224, 224, 3\)\)"),
    ],
)
def test_a_model_whose_input_is_unknown_gets_the_sentence_that_fits_it(make, words):
    with pytest.raises(BadModel, match=words):
        cw.Network(make())


class Peeking(keras.Model):
    """It looks at numbers, which a graph does not have."""

    def call(self, x):
        return x * float(keras.ops.convert_to_numpy(x).max())


def test_a_model_that_cannot_be_traced_is_refused_with_its_own_reason(noise):
    model = Peeking()
    model(noise(1, 8, 8, 3))
    with pytest.raises(BadModel, match=r"'peeking' cannot be run as a TensorFlow graph.*\(.*numpy"):
        _ = cw.Network(model).layers
