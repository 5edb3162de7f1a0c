"""The private names of Keras and TensorFlow that this package uses are still there, and patches leave no trace."""

import contextlib

import numpy as np
import pytest

from cnnwidgets.model import keras_internals
from cnnwidgets.model.backend import keras, tf

L = keras.layers


def functional():
    x = keras.Input((8, 8, 3))
    return keras.Model(x, L.Conv2D(2, 3, name="conv")(x))


def of_own_class():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = L.Conv2D(2, 3)

        def call(self, x):
            return self.conv(x)

    model = Own()
    model(np.zeros([1, 8, 8, 3], "float32"))
    return model


def in_a_graph():
    graph = tf.Graph()
    with graph.as_default():
        return tf.identity(tf.zeros([1])).op


NEEDED = [  # who must have a name, the name, and what it is needed for
    (functional, "_flatten_layers", "to find layers inside custom layers"),
    (lambda: L.Conv2D(2, 3), "_layers", "to name layers inside custom layers"),
    (lambda: L.Conv2D(2, 3), "_losses", "to leave a layer's losses as they are"),
    (lambda: L.Conv2D(2, 3), "convolution_op", "to make the gradient of the first convolution fast"),
    (lambda: L.Conv2D(2, 3), "_remat_mode", "to follow gradients through a keras.RematScope"),
    (L.UpSampling2D, "_resize_images", "to trace upsampling for pictures of any size"),
    (functional, "_convert_inputs_to_tensors", "to explain models that take whole numbers"),
    (lambda: keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3)]), "_functional", "to look inside"),
    (lambda: keras.Sequential([L.Conv2D(2, 3)]), "_convert_input_args", "to explain models that take whole numbers"),
    (of_own_class, "_build_shapes_dict", "to know what pictures a subclassed model takes"),
    (lambda: tf.Variable(0.0).handle, "_handle_data", "to put back what a graph assigns"),
    (tf.Graph, "_get_function", "to look inside functions that a model compiles"),
    (tf.Graph, "_add_function_recursive", "to look inside functions that a model compiles"),
    (tf.Graph, "gradient_override_map", "for guided backpropagation"),
    (in_a_graph, "_set_attr", "to follow masks through a gradient of the model's own"),
    (lambda: tf, "RegisterGradient", "for guided backpropagation"),
    (lambda: keras.src.backend.common.global_state, "get_global_attribute", "to close the scopes of a failed build"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "name", "purpose"), NEEDED, ids=[name for _, name, _ in NEEDED])
def test_the_installed_versions_still_have_a_private_name(owner, name, purpose):
    assert hasattr(owner(), name), (
        f"Keras {keras.__version__} with TensorFlow {tf.__version__} has no {name}, which is needed {purpose}. "
        "Find its successor and change model/keras_internals.py."
    )


def test_the_attributes_of_what_a_model_keeps_are_read_from_where_keras_puts_them():
    assert keras_internals.built_shapes(of_own_class()) != {}
    block = L.Conv2D(2, 3)
    assert keras_internals.inner_layers(block) == []
    assert [one.name for one in keras_internals.inner_layers(functional())][-1] == "conv"
    assert keras_internals.dtype_behind(tf.Variable(0.0).handle) == tf.float32
    assert keras_internals.dtype_behind(object()) is None


def test_another_convolution_is_computed_while_it_is_open_and_nothing_is_left_behind():
    model = functional()
    conv, x = model.get_layer("conv"), np.ones([1, 8, 8, 3], "float32")
    before, names = model(x).numpy(), dict(vars(conv))
    patched = keras_internals.convolving([conv], lambda _layer, usual, x, k: -usual(x, k))
    with contextlib.suppress(ZeroDivisionError), patched:
        np.testing.assert_array_equal(model(x), -before)
        raise ZeroDivisionError
    np.testing.assert_array_equal(model(x), before)
    assert dict(vars(conv)) == names
