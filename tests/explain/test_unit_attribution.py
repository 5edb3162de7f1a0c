"""Which units carried a decision: the shares add up, in every kind of model."""

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.class_activation_map import class_activation_map
from cnnwidgets.explain.unit_attribution import unit_attribution
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from tests.tiny_networks import MODELS, seeded

L = keras.layers


def inputs_for(net, noise):
    """Pictures and tables of the sizes that a network takes."""
    shapes = [(*(n or 24 for n in i.size), i.channels) if i.is_picture else i.shape for i in net.inputs]
    made = [noise(*shape, seed=k) for k, shape in enumerate(shapes)]
    return made if len(made) > 1 else made[0]


@pytest.mark.parametrize("name", MODELS)
def test_shares_add_up_to_hirescam_at_layers_of_every_model(net, noise, name):
    network = net(name)
    pictures = inputs_for(network, noise)
    infos = [info for info in network.layers if info.calls and info.units]
    for info in {infos[0], infos[len(infos) // 2], infos[-1]}:
        found = unit_attribution(network, pictures, info.path)
        assert [one.call for one in found] == list(range(info.calls))
        for one in found:
            assert one.path == info.path and len(one.shares) == len(one.units) == info.units
            assert one.total == one.shares.sum()
            if not info.is_spatial:
                continue
            (heat,) = class_activation_map(network, pictures, info.path, method="hirescam", call=one.call)
            scale = np.abs(one.parts).sum() or 1
            assert one.input == heat.input
            assert abs(one.total - heat.raw.sum(dtype=np.float64)) < 1e-6 * scale
            maps = sum(one.map(unit).raw for unit in one.top(3))
            np.testing.assert_allclose(maps, one.parts[..., one.top(3)].sum(-1), atol=1e-6 * scale)


HEADS = {"plain": "conv2", "nested": "backbone", "channels_first": "conv2", "with_state": "relu"}


@pytest.mark.parametrize("name", HEADS)
def test_before_a_linear_head_the_total_and_the_bias_are_the_logit(net, noise, name):
    network = net(name)
    for target in range(3):
        (found,) = unit_attribution(network, inputs_for(network, noise), HEADS[name], target)
        bias = network.model.get_layer("logits").bias.numpy()
        assert abs(found.total + bias[target] - found.value) < 1e-5
        assert found.target == target


def test_against_another_class_the_difference_of_the_logits_is_shared_out(net, noise):
    network, picture = net("plain"), noise(24, 24, 3)
    one, other, both = (unit_attribution(network, picture, "conv2", *t)[0] for t in ((1,), (4,), (1, 4)))
    np.testing.assert_allclose(both.shares, one.shares - other.shares, atol=1e-6)
    assert abs(both.value - (one.value - other.value)) < 1e-5
    with pytest.raises(BadTarget, match="target itself"):
        unit_attribution(network, picture, "conv2", 1, 1)


def test_a_siamese_model_has_a_result_for_each_of_its_pictures(net, noise):
    left, right = unit_attribution(net("siamese"), inputs_for(net("siamese"), noise), "encoder/conv")
    assert (left.input, right.input) == ("left", "right")
    assert len(unit_attribution(net("siamese"), inputs_for(net("siamese"), noise), "conv", call=1)) == 1


def test_the_strongest_units_come_first_whatever_their_sign(net, noise):
    (found,) = unit_attribution(net("plain"), noise(24, 24, 3), "conv1")
    magnitudes = np.abs(found.shares[found.top(5)])
    assert len(found.top(5)) == 5 and len(found.top(99)) == 8
    assert (np.diff(magnitudes) <= 0).all() and (found.shares < 0).any()


def test_a_pixel_has_the_shares_of_its_cell(net, noise):
    (found,) = unit_attribution(net("plain"), noise(24, 24, 3), "pool1")
    np.testing.assert_array_equal(found.at(0, 23), found.parts[0, -1])


def test_without_rows_and_columns_there_are_shares_but_no_maps(net, noise):
    network = net("dense_only")
    (found,) = unit_attribution(network, noise(16, 16, 3))
    assert found.path == "hidden" and found.total + network.model.layers[-1].bias.numpy()[
        found.target
    ] == pytest.approx(found.value, abs=1e-5)
    with pytest.raises(BadTarget, match="no rows and columns"):
        found.map(0)


def test_tokens_and_other_axes_have_units_too(noise):
    picture = keras.Input((16, 16, 3))
    x = L.Conv2D(6, 4, strides=4, name="patches")(picture)
    x = L.Dense(8, activation="gelu", name="tokens")(L.Reshape((16, 6))(x))
    x = L.Permute((2, 1), name="turned")(x)
    x = L.Dense(3, name="logits")(L.Flatten()(x))
    network = Network(seeded(keras.Model(picture, x)), "unit")
    logit = network.model.get_layer("logits").bias.numpy()[1]
    for layer, units in (("tokens", 8), ("turned", 16)):
        (found,) = unit_attribution(network, noise(16, 16, 3), layer, 1)
        assert len(found.shares) == units
        assert abs(found.total + logit - found.value) < 1e-5


def test_notes_say_what_the_shares_do_not():
    picture = keras.Input((8, 8, 3), name="picture")
    dead = L.Conv2D(4, 3, activation="relu", name="dead")(picture)
    live = L.Conv2D(4, 3, activation="relu", name="live")(picture)
    x = L.GlobalAveragePooling2D()(L.Concatenate()([dead, live]))
    model = seeded(keras.Model(picture, L.Dense(3, activation="softmax", name="scores")(x)))
    model.get_layer("dead").bias.assign(np.full(4, -1e4))
    kernel = np.random.default_rng(0).normal(0, 1, (8, 1)) + [[0, 1e-3, 2e-3]]
    model.get_layer("scores").kernel.assign(kernel)
    model.get_layer("scores").bias.assign([0, 100, 0])
    network, picture = Network(model, "unit"), np.random.default_rng(1).random((8, 8, 3)).astype(np.float32)
    assert unit_attribution(network, picture, "dead")[0].note.startswith("dead: ")
    note = unit_attribution(network, picture, "live")[0].note
    assert "not class-specific: the runner-up" in note and "saturated: " in note
    assert "not class-specific" not in unit_attribution(network, picture, "live", against=0)[0].note
    assert unit_attribution(network, picture, "scores")[0].note.startswith("scores: ")


def test_units_that_all_have_one_share_are_flat(noise):
    picture = keras.Input((8, 8, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, name="conv")(picture))
    model = keras.Model(picture, L.Dense(1, name="value")(x))
    for weight in model.weights:
        weight.assign(np.ones(weight.shape))
    assert unit_attribution(Network(model, "unit"), noise(8, 8, 3))[0].note.startswith("flat: ")


def test_what_does_not_exist_or_is_cut_is_refused(net, noise):
    network, picture = net("plain"), noise(24, 24, 3)
    for keywords in ({"layer": "nope"}, {"target": 99}, {"output": 3}, {"call": 7, "layer": "conv1"}, {"of": "x"}):
        with pytest.raises(BadTarget):
            unit_attribution(network, picture, **keywords)
    x = L.Conv2D(4, 3, name="conv")(shape := keras.Input((8, 8, 3)))
    x = L.Dense(3)(L.GlobalAveragePooling2D()(L.Lambda(tf.stop_gradient)(x)))
    with pytest.raises(BadTarget, match="stop_gradient"):
        unit_attribution(Network(keras.Model(shape, x), "unit"), picture[:8, :8], "conv")
    (found,) = unit_attribution(network, picture)
    with pytest.raises(BadTarget, match="units are 0 to 11"):
        found.map(12)


def test_other_classes_and_pictures_trace_nothing_new(net, noise):
    network = net("plain")
    unit_attribution(network, noise(24, 24, 3), "conv2", 0)
    before = len(network.traces)
    unit_attribution(network, noise(24, 24, 3, seed=9), "conv2", 3)
    assert len(network.traces) == before


def test_a_layer_that_sees_only_a_table_has_no_picture_input(noise):
    picture, table = keras.Input((8, 8, 3), name="photo"), keras.Input((5,), name="table")
    seen = L.GlobalAveragePooling2D(name="pooled")(L.Conv2D(4, 3, name="conv")(picture))
    known = L.Dense(4, activation="relu", name="known")(table)
    both = L.Concatenate(name="both")([seen, known])
    network = Network(seeded(keras.Model([picture, table], L.Dense(3, name="logits")(both))), "unit")
    inputs = [noise(8, 8, 3), noise(5)]
    names = {"conv": "photo", "pooled": "photo", "known": None, "both": "photo"}
    assert {layer: unit_attribution(network, inputs, layer, 1)[0].input for layer in names} == names
