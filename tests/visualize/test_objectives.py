"""Objectives are values with exact algebra, and each reads from the network what it says."""

import dataclasses

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.visualize import objectives as o
from cnnwidgets.visualize import optimizers
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.terms.of_layers import alignment

L = keras.layers


def part(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output)


def assert_climbs(net, objective):
    """Three steps must raise the objective of every picture."""
    fixed = any(info.is_picture and info.is_fixed for info in net.inputs)
    frames = ascend(net, objective, size=None if fixed else 16, steps=4, transforms=(), optimizer=optimizers.adam(0.01))
    values = [frame.values for frame in frames]  # each before its step
    assert np.isfinite(values).all()
    assert (values[3] > values[0]).all(), values


@pytest.mark.parametrize(
    "name, objective",
    [
        ("plain", o.channel("conv2", [0, 7])),
        ("plain", o.channel("conv2", 3, before_activation=False)),
        ("plain", o.neuron("conv1", 2)),
        ("plain", o.unit("gap", 5)),
        ("plain", o.layer("conv2")),
        ("plain", o.class_logit([0, 4])),
        ("plain", -o.class_logit(2)),
        ("plain", o.class_logit(1) - 0.5 * o.rival_logits(1)),
        ("plain", o.direction("conv2", np.arange(12) - 5)),
        ("plain", o.direction("conv2", np.arange(12), cosine_power=2)),
        ("dense_only", o.direction("hidden", [1.0, 0, 0, 0, 0, 0, 1.0], cosine_power=1)),
        ("plain", o.channel("conv2", [3, 3, 3]) + o.diversity("conv2")),
        ("plain", o.channel("conv1", 0) + 2 * o.channel("conv2", 1) - o.neuron("conv2", 3, 1, 2) / 4),
        ("sequential", o.class_logit(3)),
        ("nested", o.channel("deep.v2/conv", 1) + o.channel("backbone/conv", 4)),
        ("siamese", o.channel("encoder/conv", 1)),
        ("siamese", o.class_logit(0)),
        ("twice", o.channel("conv", 0, call=1)),
        ("dense_only", o.unit("hidden", [0, 6])),
        ("subclassed", o.channel("deep_conv", 3)),
        ("inputs_as_list", o.class_logit(1)),
        ("inputs_as_dict", o.channel("conv", 2)),
        ("channels_first", o.channel("conv2", [0, 4])),
        ("channels_first", o.neuron("relu1", 5)),
        ("mixed_float16", o.class_logit(2)),
        ("with_state", o.channel("relu", 1)),
    ],
)
def test_three_steps_raise_the_objective(net, name, objective):
    assert_climbs(net(name), objective)


# -- algebra


def test_objectives_are_immutable():
    a, b = o.channel("conv1", 0), o.neuron("conv2", [1, 2])
    before = repr((a, b))
    _ = a + 2 * b, a - b, -a, a / 3, b * 0.5, 0.5 * b
    assert repr((a, b)) == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.terms = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.terms[0].weight = 2.0


def test_equal_objectives_are_equal_and_hashable():
    assert o.channel("conv1", [0, 1]) == o.channel("conv1", range(2)) == o.channel("conv1", np.arange(2))
    assert len({o.channel("conv1", 0), 1 * o.channel("conv1", 0), o.channel("conv1", 1), o.unit("conv1", 0)}) == 3


def test_weights_follow_the_algebra_exactly():
    a, b, c = (o.channel("conv1", k) for k in range(3))
    assert [t.weight for t in (a + 2 * b).terms] == [1, 2]
    assert [t.weight for t in (a - b).terms] == [1, -1]
    assert [t.weight for t in (2 * (a - b / 4) - (c - a)).terms] == [2, -0.5, -1, 1]
    assert [t.weight for t in (-(a + 3 * b) * 0.5).terms] == [-0.5, -1.5]


def test_a_sum_is_worth_the_sum_of_its_parts(net, noise, value_of):
    pictures = noise(2, 16, 16, 3)
    a, b = o.channel("conv1", [3, 4]), o.layer("conv2")  # of other sizes and channels
    for_a, for_b = (value_of(net("plain"), x, pictures) for x in (a, b))
    np.testing.assert_allclose(value_of(net("plain"), a + 2 * b, pictures), for_a + 2 * for_b, rtol=1e-6)
    np.testing.assert_allclose(value_of(net("plain"), a - b, pictures), for_a - for_b, rtol=1e-6)
    np.testing.assert_allclose(value_of(net("plain"), -a / 4, pictures), -for_a / 4, rtol=1e-6)


@pytest.mark.parametrize("operation", [lambda a: a + 1, lambda a: a - "b", lambda a: a * a, lambda a: a * "2"])
def test_only_objectives_add_and_only_numbers_multiply(operation):
    with pytest.raises(TypeError):
        operation(o.channel("conv1", 0))


def test_an_objective_is_for_as_many_pictures_as_its_longest_list():
    objective = o.channel("conv1", 3) + o.channel("conv2", [4, 5, 6])
    assert (objective.pictures, objective.units) == (3, (3, 3, 3))
    assert (o.channel("conv2", range(4)) + o.channel("conv1", 3)).units == (0, 1, 2, 3)


@pytest.mark.parametrize("factory", [lambda u: o.channel("conv1", u), lambda u: o.neuron("conv1", u)])
@pytest.mark.parametrize("unit", [1.5, True, "3", None, [0, 1.0], [None], []])
def test_a_unit_is_a_whole_number(factory, unit):
    with pytest.raises(BadTarget, match="unit must be an integer, got .*from 0|at least one unit"):
        factory(unit)


@pytest.mark.parametrize("factory", [o.class_logit, o.rival_logits])
@pytest.mark.parametrize("target", [1.5, True, "goldfish", None, [0, "tabby"], []])
def test_a_class_is_its_index_and_whoever_gives_a_name_is_told_how_to_find_it(factory, target):
    with pytest.raises(BadTarget, match=r"class must be an integer, got .*net\.class_index\(name\)|at least one class"):
        factory(target)


# -- what each one reads


def test_a_channel_is_the_mean_of_its_map_before_or_after_the_activation(net, noise, value_of):
    pictures, model = noise(2, 9, 12, 3), net("plain").model
    after = part(model, "conv1")(pictures).numpy()
    np.testing.assert_allclose(
        value_of(net("plain"), o.channel("conv1", [5, 2], before_activation=False), pictures),
        [after[0, :, :, 5].mean(), after[1, :, :, 2].mean()], rtol=1e-5,
    )  # fmt: skip
    kernel, bias = model.get_layer("conv1").get_weights()
    before = keras.ops.conv(pictures, kernel, padding="same").numpy() + bias
    np.testing.assert_allclose(
        value_of(net("plain"), o.channel("conv1", [5, 2]), pictures),
        [before[0, :, :, 5].mean(), before[1, :, :, 2].mean()], rtol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize(
    "size, place, cell",
    [
        ((4, 4), (), (2, 2)),  # an even map: right of and below the centre
        ((5, 7), (), (2, 3)),
        ((6, 8), (1, 5), (1, 5)),
        ((6, 8), (0, 0), (0, 0)),
    ],
)
def test_a_neuron_is_one_cell_by_row_and_column(net, noise, value_of, size, place, cell):
    pictures = noise(1, *size, 3)
    after = part(net("plain").model, "conv1")(pictures).numpy()
    objective = o.neuron("conv1", 6, *place, before_activation=False)
    assert value_of(net("plain"), objective, pictures) == pytest.approx(after[0, *cell, 6], rel=1e-5)


def test_a_unit_is_a_channels_mean_or_a_single_number(net, noise, value_of):
    pictures = noise(2, 12, 12, 3)
    assert_same = np.testing.assert_array_equal
    assert_same(value_of(net("plain"), o.unit("conv2", [1, 2]), pictures),
                value_of(net("plain"), o.channel("conv2", [1, 2]), pictures))  # fmt: skip
    gap = part(net("plain").model, "gap")(pictures).numpy()
    found = value_of(net("plain"), o.unit("gap", [7, 0], before_activation=False), pictures)
    np.testing.assert_allclose(found, [gap[0, 7], gap[1, 0]], rtol=1e-5)


def test_a_layer_is_its_mean_square(net, noise, value_of):
    pictures = noise(2, 12, 12, 3)
    after = part(net("plain").model, "conv2")(pictures).numpy()
    found = value_of(net("plain"), o.layer("conv2"), pictures)
    np.testing.assert_allclose(found, (after**2).mean((1, 2, 3)), rtol=1e-5)


def test_a_direction_is_the_mean_along_it_whatever_its_length(net, noise, value_of):
    pictures, vector = noise(2, 12, 12, 3), np.random.default_rng(0).normal(size=12)
    each = np.stack([value_of(net("plain"), o.channel("conv2", [k, k]), pictures) for k in range(12)], -1)
    expected = each @ vector / np.linalg.norm(vector)
    for long in (vector, 100 * vector, list(vector)):
        np.testing.assert_allclose(value_of(net("plain"), o.direction("conv2", long), pictures), expected, rtol=1e-4)


@pytest.mark.parametrize("power", [0.5, 2, 16])
def test_a_direction_with_a_power_counts_each_position_by_its_cosine(net, noise, value_of, power):
    pictures, vector = noise(2, 12, 12, 3), np.arange(12.0)
    after = part(net("plain").model, "conv2")(pictures).numpy()
    along = after @ vector / np.linalg.norm(vector)
    cosines = along / np.maximum(np.linalg.norm(after, axis=-1), 1e-6)
    expected = (along * np.maximum(cosines, 0.1) ** power).mean((1, 2))
    objective = o.direction("conv2", 5 * vector, cosine_power=power) - 0.01 * o.direction("conv2", vector)
    np.testing.assert_allclose(value_of(net("plain"), objective, pictures), expected, rtol=1e-3)


def test_a_direction_without_a_power_is_the_mean_along_it():
    assert o.direction("conv2", [1.0, 2.0], cosine_power=0) == o.direction("conv2", [1.0, 2.0])


@pytest.mark.parametrize("power", [-1, 17, np.nan, "2", True])
def test_a_power_that_is_none_is_refused(power):
    with pytest.raises(BadTarget, match="cosine_power must be a finite number from 0 to 16"):
        o.direction("conv2", [1.0, 2.0], cosine_power=power)


def test_a_position_where_nothing_is_active_has_a_gradient_of_zero():
    seen = tf.zeros([1, 2, 2, 3])
    with tf.GradientTape() as tape:
        tape.watch(seen)
        value = tf.reduce_sum(alignment(seen, tf.constant([0.6, 0.8, 0.0]), 2.0))
    assert np.isfinite(tape.gradient(value, seen)).all()


@pytest.mark.parametrize("vector", [[0.0] * 12, [np.nan] * 12, [np.inf] + [0.0] * 11, []])
def test_a_direction_without_length_is_refused(vector):
    with pytest.raises(BadTarget, match="no length"):
        o.direction("conv2", vector)


def test_a_direction_has_one_number_for_each_channel(net, noise, value_of):
    with pytest.raises(BadTarget, match="11 numbers.* 12 channels"):
        value_of(net("plain"), o.direction("conv2", [1.0] * 11), noise(1, 8, 8, 3))


def test_diversity_is_how_unlike_the_pictures_of_a_batch_are(net, noise, value_of):
    pictures = noise(3, 12, 12, 3)
    after = part(net("plain").model, "conv2")(pictures).numpy().reshape(3, -1, 12)
    grams = np.stack([(a.T @ a).ravel() for a in after])
    grams /= np.linalg.norm(grams, axis=1, keepdims=True)
    cosines = grams @ grams.T
    expected = -(cosines.sum(1) - 1) / 2
    np.testing.assert_allclose(value_of(net("plain"), o.diversity("conv2"), pictures), expected, rtol=1e-4)
    same = np.repeat(pictures[:1], 3, 0)
    np.testing.assert_allclose(value_of(net("plain"), o.diversity("conv2"), same), -1, rtol=1e-4)


def test_a_class_is_its_logit_and_its_rivals_the_logsumexp_of_the_others(net, noise, value_of):
    pictures = noise(2, 12, 12, 3)
    logits = part(net("plain").model, "logits")(pictures).numpy()
    np.testing.assert_allclose(
        value_of(net("plain"), o.class_logit([3, 0]), pictures), [logits[0, 3], logits[1, 0]], rtol=1e-5
    )
    rivals = [np.log(np.exp(np.delete(row, own)).sum()) for row, own in zip(logits, (3, 0), strict=True)]
    np.testing.assert_allclose(value_of(net("plain"), o.rival_logits([3, 0]), pictures), rivals, rtol=1e-5)


def test_a_class_is_its_logit_where_the_last_layer_has_a_softmax(net, noise, run, value_of):
    pictures = noise(1, 32, 32, 1)
    logits = np.array([value_of(net("sequential"), o.class_logit(k), pictures)[0] for k in range(4)])
    logs = np.log(run(net("sequential"), pictures)[0])
    np.testing.assert_allclose(logits - logits[0], logs - logs[0], atol=1e-4)  # a softmax forgets one number
    assert np.ptp(logits) > 0.1


def test_the_two_classes_of_one_sigmoid_are_its_logit_with_either_sign(net, noise, run, value_of):
    pictures = noise(1, 32, 32, 3)
    probability = run(net("siamese"), pictures)[0, 0]
    logit = np.log(probability / (1 - probability))
    assert value_of(net("siamese"), o.class_logit(1), pictures) == pytest.approx(logit, rel=1e-3)
    assert value_of(net("siamese"), o.class_logit(0), pictures) == pytest.approx(-logit, rel=1e-3)


def test_each_call_of_a_layer_is_its_own_objective(net, noise, value_of):
    pictures, model = noise(1, 8, 8, 3), net("twice").model
    conv = model.get_layer("conv")
    for call, expected in enumerate((conv(pictures), conv(conv(pictures)))):
        found = value_of(net("twice"), o.channel("conv", 1, call=call, before_activation=False), pictures)
        assert found == pytest.approx(float(keras.ops.mean(expected[..., 1])), rel=1e-5)


def test_channels_first_reads_the_same_as_channels_last(net, noise, value_of):
    pictures, model = noise(1, 32, 32, 3), net("channels_first").model
    relu = part(model, "relu1")(pictures.transpose(0, 3, 1, 2)).numpy()
    found = value_of(net("channels_first"), o.channel("relu1", 4, before_activation=False), pictures)
    assert found == pytest.approx(relu[0, 4].mean(), rel=1e-4)
    found = value_of(net("channels_first"), o.neuron("relu1", 4, 3, 7, before_activation=False), pictures)
    assert found == pytest.approx(relu[0, 4, 3, 7], rel=1e-4, abs=1e-6)


def test_half_precision_gives_nearly_the_same_value_in_float32(net, noise, value_of):
    pictures = noise(1, 16, 16, 3)
    kernel, bias = net("mixed_float16").model.get_layer("conv").get_weights()
    expected = (keras.ops.conv(pictures, kernel).numpy() + bias).mean((1, 2))[0, 2]
    found = value_of(net("mixed_float16"), o.channel("conv", 2), pictures)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=3e-3)
