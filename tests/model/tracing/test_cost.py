"""What a picture-step costs, counted by hand, and the one batch that follows from it."""

import pytest

from cnnwidgets import zoo
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing import cost
from cnnwidgets.model.tracing.cost import (
    LARGEST_BATCH,
    SIDE_BY_SIDE,
    STEP_FLOPS,
    batch_size,
    forward_flops,
    shapes_by_rules,
)

L = keras.layers


def test_a_convolution_costs_two_operations_for_each_weight_and_place(net):
    first, second = 2 * 32 * 32 * (3 * 3 * 3 * 8), 2 * 16 * 16 * (3 * 3 * 8 * 12)
    assert forward_flops(net("plain"), "conv1", Canvas((32, 32, 3))) == first
    assert forward_flops(net("plain"), "pool1", Canvas((32, 32, 3))) == first
    assert forward_flops(net("plain"), "conv2", Canvas((32, 32, 3))) == first + second
    assert forward_flops(net("plain"), "logits", Canvas((32, 32, 3))) == first + second + 2 * 12 * 5


def test_nested_and_custom_layers_are_counted_once(net):
    conv, deep = 2 * 30 * 30 * (3 * 3 * 3 * 6), 2 * 28 * 28 * (3 * 3 * 6 * 4)
    assert forward_flops(net("subclassed"), "gap", Canvas((32, 32, 3))) == conv + deep
    backbone = 2 * 28 * 28 * (3 * 3 * 6 * 5)
    assert forward_flops(net("nested"), "gap", Canvas((32, 32, 3))) == conv + backbone


def test_channels_first_costs_the_same(net):
    conv1, conv2 = 2 * 30 * 30 * (3 * 3 * 3 * 6), 2 * 13 * 13 * (3 * 3 * 6 * 5)
    assert forward_flops(net("channels_first"), "conv2", Canvas((32, 32, 3))) == conv1 + conv2


def test_a_shared_layer_costs_each_of_its_calls_up_to_its_first(net):
    one = 2 * 16 * 16 * (3 * 3 * 3 * 3)
    assert forward_flops(net("twice"), "conv", Canvas((16, 16, 3))) == one
    assert forward_flops(net("twice"), "", Canvas((16, 16, 3))) == 2 * one + 2 * 3 * 2
    assert forward_flops(net("twice"), "logits", Canvas((16, 16, 3))) == 2 * one + 2 * 3 * 2


def test_a_cheap_network_gets_the_largest_batch(net):
    assert batch_size(net("plain"), "conv2", Canvas((32, 32, 3))) == LARGEST_BATCH == 8


def test_the_batch_halves_as_the_cost_grows_and_stays_a_power_of_two():
    model = keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(64, 7, padding="same", name="conv")])
    network, sizes = Network(model), {}
    for side in (64, 128, 256, 512, 1024):
        cost = 2 * forward_flops(network, "conv", Canvas((side, side, 3)))  # forward, and the picture's gradient
        sizes[side] = batch_size(network, "conv", Canvas((side, side, 3)))
        assert sizes[side] in (1, 2, 4, 8)
        assert SIDE_BY_SIDE * sizes[side] * cost <= STEP_FLOPS or sizes[side] == 1
        assert sizes[side] == 8 or 2 * SIDE_BY_SIDE * sizes[side] * cost > STEP_FLOPS
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)
    assert sizes[64] == 8 and sizes[1024] == 1


@pytest.mark.parametrize("name", ["sequential", "siamese", "dense_only", "inputs_as_dict", "mixed_float16"])
def test_every_kind_of_model_has_a_batch(net, name):
    network = net(name)
    (which,) = network.picture_inputs[-1:]
    info = network.inputs[which]
    canvas = Canvas((*(n or 32 for n in info.size), info.channels), which)
    assert batch_size(network, "", canvas) == 8
    assert forward_flops(network, "", canvas) >= forward_flops(network, network.layers[-1].path, canvas) > 0


def test_pictures_that_are_too_small_are_refused_and_not_run():
    pools = [layer for _ in range(3) for layer in (L.Conv2D(4, 3), L.MaxPooling2D(3, 2))]
    network = Network(keras.Sequential([keras.Input((None, None, 3)), *pools]))
    with pytest.raises(BadTarget, match="Pictures of 16 x 16 pixels are too small.*Give larger ones"):
        batch_size(network, "", Canvas((16, 16, 3)))  # run for real, the pooling would end the process
    assert batch_size(network, "", Canvas((40, 40, 3))) == 8


# Shapes by Keras' rules are those of a run that is traced.


def branches():
    """Every kind of layer that Keras' rules tell of."""
    x = picture = keras.Input((None, None, 3))
    x = L.Rescaling(2.0)(x)
    x = L.ZeroPadding2D(((0, 1), (2, 0)))(x)
    shared = L.Conv2D(3, 3, 2, "valid", name="shared")
    x = L.BatchNormalization()(shared(shared(x)))
    parts = [L.Activation("tanh")(x), L.ReLU()(x), L.Dropout(0.5)(L.LeakyReLU()(x))]
    x = L.Concatenate()([L.Add()(parts), L.Multiply()(parts[:2])])
    x = L.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x)
    x = L.Concatenate()([L.MaxPooling2D(3, 2)(x), L.AveragePooling2D(3, 2)(x)])
    flat = [L.GlobalAveragePooling2D()(x), L.Flatten()(L.GlobalMaxPooling2D(keepdims=True)(x))]
    return keras.Model(picture, L.Softmax()(L.Dense(4)(L.Concatenate()(flat))))


@pytest.mark.parametrize("height, width", [(32, 32), (37, 54), (64, 31)])
def test_shapes_by_rules_are_those_of_a_traced_run(height, width):
    network, canvas = Network(branches(), "none"), Canvas((height, width, 3))
    found = cost._calls_by_rules(network, canvas)
    assert len(found) == 22 and found == cost._calls_as_traced(network, canvas)


def test_shapes_by_rules_are_those_of_a_bundled_network():
    network = zoo.load_network("squeezenet")
    for canvas in (Canvas((128, 96, 3)), Canvas((64, 64, 3), fed=(224, 224))):
        assert cost._calls_by_rules(network, canvas) == cost._calls_as_traced(network, canvas)


@pytest.mark.parametrize("side", [1, 5, 8, 12])
def test_rules_say_nothing_of_pictures_that_are_too_small(side):
    assert shapes_by_rules(branches(), (1, side, side, 3)) is None


@pytest.mark.parametrize("name", ["nested", "siamese", "subclassed", "channels_first", "inputs_as_dict"])
def test_other_kinds_of_models_are_traced(net, name):
    network = net(name)
    info = network.inputs[network.picture_inputs[-1]]
    assert cost._calls_by_rules(network, Canvas((32, 32, info.channels), network.picture_inputs[-1])) is None


def test_a_preprocessing_of_the_users_own_is_traced():
    network = Network(branches(), lambda pictures: pictures[:, ::2, ::2])
    assert cost._calls_by_rules(network, Canvas((64, 64, 3))) is None
