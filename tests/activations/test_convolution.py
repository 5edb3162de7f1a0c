"""The arithmetic of one output value: patch, kernel, products and bias add up to what the layer really computes."""

import itertools

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.activations.convolution import ConvolutionSettings, LayerValues
from cnnwidgets.errors import BadModel, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from tests.tiny_networks import seeded

L = keras.layers


def of_one(layer, size=(7, 9), channels=4, dtype=None):
    """A network of one layer on channels of numbers, and those numbers [h, w, C]."""
    picture = keras.Input((*size, channels), name="picture")
    model = seeded(keras.Model(picture, layer(picture), name="one"))
    return Network(model, preprocess="unit"), np.random.default_rng(3).random((*size, channels)).astype(np.float32)


def every_place(layer, size):
    """The values of a layer on its own, and (unit, row, column) of corners and middle for three units."""
    picture = np.random.default_rng(3).random((*size, 4)).astype(np.float32)
    layer.build((None, *size, 4))
    seeded(layer)
    activation, layer.activation = getattr(layer, "activation", None), keras.activations.linear
    before = layer(picture[None]).numpy()[0]
    after = activation(before).numpy() if activation else before
    values = LayerValues("it", 0, layer, picture, before, after, "", False)
    rows, columns, units = after.shape
    places = itertools.product({0, units // 2, units - 1}, {0, rows // 2, rows - 1}, {0, columns // 2, columns - 1})
    return picture, values, places


SIZES = itertools.cycle([(17, 19), (16, 13), (14, 18)])
CASES = [
    (*case, next(SIZES))
    for case in itertools.product([1, (3, 5), 4], [(1, 1), (2, 1), ((3, 2), 1), (1, (2, 3))], [1, 2], ["valid", "same"])
]  # kernel, (stride, dilation), groups, padding, size


KINDS = {
    "conv": lambda kernel, groups, **rest: L.Conv2D(6, kernel, groups=groups, **rest),
    "depthwise": lambda kernel, groups, **rest: L.DepthwiseConv2D(kernel, depth_multiplier=groups, **rest),
    "separable": lambda kernel, groups, **rest: L.SeparableConv2D(5, kernel, depth_multiplier=groups, **rest),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_add_up_to_the_real_output_for_every_geometry(kind):
    checked = 0
    for kernel, (stride, dilation), groups, padding, size in CASES:
        if kind != "conv" and isinstance(stride, tuple):  # there is no such layer
            continue
        geometry = {"strides": stride, "dilation_rate": dilation, "padding": padding, "activation": "tanh"}
        picture, values, places = every_place(KINDS[kind](kernel, groups, **geometry), size)
        for unit, row, column in places:
            c = values.at(unit, row, column)
            assert c.before == c.products.sum() + c.bias
            assert c.before == pytest.approx(values.before[row, column, unit], abs=2e-6)
            assert c.after == pytest.approx(np.tanh(c.before), abs=2e-6)
            np.testing.assert_array_equal(c.products, c.patch * c.kernel)
            assert not c.patch[c.outside].any() and (padding == "same" or not c.outside.any())
            inside = [[i for i in line if 0 <= i < n] for line, n in zip((c.rows, c.columns), size, strict=True)]
            seen = picture[np.ix_(*inside, c.channels)]
            assert sorted(c.patch[~c.outside].ravel()) == sorted(seen.ravel())
            checked += 1
    assert checked > 200


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_transposed_convolution_adds_up_at_every_position(padding):
    for kernel, stride, dilation, output_padding in [
        (3, 1, 1, None), ((3, 5), (2, 3), 1, None), (4, 2, 1, None), (2, 3, 1, None), (1, 2, 1, None),
        (3, 1, 2, None), ((2, 3), 1, (3, 1), None), (3, 2, 1, 0), (3, 2, 1, 1), ((3, 5), 3, 1, (2, 1)),
    ]:  # fmt: skip
        layer = L.Conv2DTranspose(
            5, kernel, stride, padding, output_padding=output_padding, dilation_rate=dilation, activation="tanh"
        )
        picture, values, _ = every_place(layer, (4, 5))
        for row, column in np.ndindex(values.after.shape[:2]):
            c = values.at(3, row, column)
            assert c.before == c.products.sum() + c.bias == pytest.approx(values.before[row, column, 3], abs=2e-6)
            assert c.patch.shape == c.kernel.shape == (*layer.kernel_size, 4)
            np.testing.assert_array_equal(c.kernel, layer.kernel.numpy()[::-1, ::-1, 3])
            assert not c.patch[c.outside].any()
            inside = [[i for i in line if 0 <= i < n] for line, n in zip((c.rows, c.columns), (4, 5), strict=True)]
            seen = picture[np.ix_(*inside, c.channels)]
            assert sorted(c.patch[~c.outside].ravel()) == sorted(seen.ravel())
            top, left, bottom, right = c.box
            assert set(picture[top:bottom, left:right].ravel()) >= set(seen.ravel())


def test_between_the_inputs_of_a_transposed_convolution_only_the_bias_counts():
    net, picture = of_one(L.Conv2DTranspose(2, 1, 2, bias_initializer="ones", name="it"))
    seen, nothing = (cw.convolution_at(net, picture, "it", 1, row, 0) for row in (2, 3))
    assert seen.is_transposed and seen.box == (1, 0, 2, 1) and (seen.patch[0, 0] == picture[1, 0]).all()
    assert nothing.box == (0, 0, 0, 0) and nothing.outside.all() and nothing.before == nothing.bias


def test_a_grouped_unit_sees_the_channels_of_its_group():
    layer = L.Conv2D(6, 3, groups=2, name="it")
    net, picture = of_one(layer)
    first, last = (cw.convolution_at(net, picture, "it", unit, 2, 3) for unit in (2, 3))
    assert (first.channels, last.channels) == ((0, 1), (2, 3))
    np.testing.assert_array_equal(last.kernel, layer.kernel.numpy()[..., 3])
    np.testing.assert_array_equal(last.patch, picture[2:5, 3:6, 2:4])


def test_a_depthwise_unit_sees_one_channel():
    layer = L.DepthwiseConv2D(3, depth_multiplier=2, name="it")
    net, picture = of_one(layer)
    c = cw.convolution_at(net, picture, "it", 5, 1, 1)
    assert c.channels == (2,) and c.patch.shape == c.kernel.shape == (3, 3, 1)
    np.testing.assert_array_equal(c.kernel[..., 0], layer.kernel.numpy()[:, :, 2, 1])


def test_a_separable_convolution_is_explained_in_one_step():
    layer = L.SeparableConv2D(5, 3, depth_multiplier=2, name="it")
    net, picture = of_one(layer)
    c = cw.convolution_at(net, picture, "it", 4, 1, 1)
    assert c.kernel.shape == (3, 3, 4) and c.channels == (0, 1, 2, 3)


def test_padding_is_zero_and_marked():
    net, picture = of_one(L.Conv2D(2, 3, padding="same", name="it"))
    c = cw.convolution_at(net, picture, "it", 0, 0, 0)
    np.testing.assert_array_equal(c.outside, [[True, True, True], [True, False, False], [True, False, False]])
    assert (c.rows, c.columns, c.box) == ((-1, 0, 1), (-1, 0, 1), (0, 0, 2, 2))
    assert c.input_size == (7, 9) and not c.patch[c.outside].any() and c.patch[~c.outside].all()


def test_a_layer_without_activation_and_bias_says_so():
    net, picture = of_one(L.Conv2D(2, 3, use_bias=False, name="it"))
    c = cw.convolution_at(net, picture, "it", 1, 2, 2)
    assert (c.bias, c.activation) == (0.0, "") and c.after == pytest.approx(c.before, abs=1e-6)


def test_a_fused_activation_is_named_and_applied():
    net, picture = of_one(L.Conv2D(8, 3, activation="relu", name="it"))
    found = [cw.convolution_at(net, picture, "it", unit, 2, 2) for unit in range(8)]
    assert {c.activation for c in found} == {"relu"} and any(c.before < 0 for c in found)
    assert all(c.after == pytest.approx(max(c.before, 0), abs=1e-6) for c in found)


def test_batch_normalization_is_not_folded_in(net, noise):
    c = cw.convolution_at(net("with_state"), noise(20, 20, 3), "conv", 1, 2, 3)
    normalized = cw.feature_maps(net("with_state"), noise(20, 20, 3), "bn")["bn"]
    assert c.before == pytest.approx(c.after, abs=1e-6) and normalized[2, 3, 1] != pytest.approx(c.after, abs=1e-3)


# -- pooling


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("pool", "stride"), [(2, None), (3, 2), ((2, 3), (1, 2)), (5, 4)])
@pytest.mark.parametrize("kind", [L.MaxPooling2D, L.AveragePooling2D])
def test_pooling_adds_up_to_the_real_output(kind, pool, stride, padding):
    _, values, places = every_place(kind(pool, stride, padding), (11, 12))
    for unit, row, column in places:
        p = values.at(unit, row, column)
        assert p.after == (p.patch * p.shares).sum() == pytest.approx(values.after[row, column, unit], abs=1e-6)
        assert p.shares.sum() == pytest.approx(1) and not p.shares[p.outside].any()


def test_a_max_pooling_shows_which_value_won():
    net, picture = of_one(L.MaxPooling2D(3, 2, name="it"))
    picture[3, 4, 1] = 1  # nothing is larger
    p = cw.convolution_at(net, picture, "it", 1, 1, 2)
    assert isinstance(p, cw.Pooling) and p.winner == (1, 0) and (p.rows[1], p.columns[0]) == (3, 4)
    assert p.after == 1.0 and p.shares.sum() == p.shares[1, 0] == 1


def test_padding_never_wins_a_max_pooling():
    picture = keras.Input((5, 5, 3), name="picture")
    x = L.Rescaling(1.0, offset=-2.0, name="below_zero")(picture)
    net = Network(keras.Model(picture, L.MaxPooling2D(3, 2, "same", name="it")(x)), preprocess="unit")
    p = cw.convolution_at(net, np.zeros((5, 5, 3), np.float32), "it", 0, 0, 0)
    assert p.after == -2.0 and p.outside[0, 0] and not p.outside[p.winner]


@pytest.mark.parametrize("kind", [L.GlobalMaxPooling2D, L.GlobalAveragePooling2D])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_global_pooling_is_one_cell(kind, keepdims):
    net, picture = of_one(kind(keepdims=keepdims, name="it"))
    p = cw.convolution_at(net, picture, "it", 2, 0, 0)
    how = np.max if kind is L.GlobalMaxPooling2D else np.mean
    assert p.after == pytest.approx(how(picture[..., 2]), abs=1e-6) and p.patch.shape == (7, 9)
    with pytest.raises(BadTarget, match="row must be an integer from 0 to 0, got 1"):
        cw.convolution_at(net, picture, "it", 2, 1, 0)


# -- models of any shape


@pytest.mark.parametrize(
    ("name", "layer", "call"),
    [("plain", "conv2", 0), ("plain", "pool1", 0), ("sequential", "conv", 0), ("nested", "deep.v2/conv", 0),
     ("siamese", "encoder/conv", 1), ("twice", "conv", 0), ("twice", "conv", 1), ("subclassed", "deep_conv", 0),
     ("inputs_as_list", "conv", 0), ("inputs_as_dict", "conv", 0), ("channels_first", "conv2", 0),
     ("channels_first", "pool1", 0), ("channels_first", "gap", 0), ("mixed_float16", "conv", 0)],
)  # fmt: skip
def test_any_model_is_explained_as_its_feature_map_has_it(net, noise, name, layer, call):
    network = net(name)
    side = network.inputs[network.picture_inputs[0]].size[0] or 20
    given = [noise(side, side, i.channels, seed=k) if i.is_picture else np.ones(i.shape, np.float32)
             for k, i in enumerate(network.inputs)]  # fmt: skip
    picture = given if len(given) > 1 else given[0]
    c = cw.convolution_at(network, picture, layer, 1, 0, 0, call=call)
    maps = next(iter(cw.feature_maps(network, picture, layer, call=call).values()))
    assert c.after == pytest.approx(maps.reshape(-1, maps.shape[-1])[0, 1], rel=2e-3, abs=1e-6)
    assert (c.path.endswith(layer), c.call) == (True, call)


def test_the_two_calls_of_a_shared_layer_are_two_values(net, noise):
    first, second = (cw.convolution_at(net("twice"), noise(20, 20, 3), "conv", 1, 4, 4, call=i) for i in (0, 1))
    assert first.after != second.after and (first.kernel == second.kernel).all()
    maps = cw.feature_maps(net("twice"), noise(20, 20, 3), "conv", call=0)["conv"]
    np.testing.assert_allclose(second.patch, maps[3:6, 3:6], atol=1e-6)


def test_one_run_serves_every_place(net, noise):
    plan = ConvolutionSettings("conv2", 0, 0, 0).check(net("plain"), noise(20, 20, 3))
    values = plan.values()
    assert {values.at(unit, 1, 1).unit for unit in range(12)} == set(range(12))


def test_the_model_stays_as_it_was(build, snapshot_of, noise):
    model = build("with_state")
    before = snapshot_of(model)
    cw.convolution_at(model, noise(20, 20, 3), "conv", 0, 0, 0)
    assert snapshot_of(model) == before


# -- what cannot be explained


class Shifted(L.Conv2D):
    """A convolution that adds one to what a convolution computes."""

    def call(self, x):
        return super().call(x) + 1.0


def test_a_subclass_that_computes_something_else_is_refused_and_one_that_does_not_is_explained():
    class Same(L.Conv2D):
        pass

    net, picture = of_one(Shifted(3, 3, name="it"))
    with pytest.raises(BadTarget, match="The Shifted 'it' does not compute what such a layer computes.*not overridden"):
        cw.convolution_at(net, picture, "it", 0, 0, 0)
    net, picture = of_one(Same(3, 3, name="it"))
    assert cw.convolution_at(net, picture, "it", 0, 0, 0).patch.shape == (3, 3, 4)


@pytest.mark.parametrize(
    ("layer", "unit", "row", "column", "message"),
    [("gap_dense", 0, 0, 0, "no layer"), ("logits", 0, 0, 0, "is a Dense.*DepthwiseConv2D.*conv1, pool1, conv2, gap"),
     ("conv1", 8, 0, 0, "no unit 8. Its units are 0 to 7"), ("conv1", -1, 0, 0, "no unit -1"),
     ("conv1", 0, 20, 0, "row must be an integer from 0 to 19, got 20"),
     ("conv1", 0, 0, -1, "column must be an integer from 0 to 19, got -1"),
     ("conv1", 0, 1.5, 0, "row must be an integer"), ("conv1", 0, 0, None, "column must be an integer")],
)  # fmt: skip
def test_what_does_not_exist_is_refused_in_words(net, noise, layer, unit, row, column, message):
    with pytest.raises(BadTarget, match=message):
        cw.convolution_at(net("plain"), noise(20, 20, 3), layer, unit, row, column)


def test_a_call_that_does_not_exist_is_refused(net, noise):
    with pytest.raises(BadTarget, match="no call 2. Its calls are 0 to 1"):
        cw.convolution_at(net("twice"), noise(20, 20, 3), "conv", 0, 0, 0, call=2)


@pytest.mark.parametrize("layer", [L.UpSampling2D(2, name="it"), L.BatchNormalization(name="it")])
def test_a_layer_of_another_type_is_refused_and_where_nothing_works_that_is_said(layer):
    net, picture = of_one(layer)
    with pytest.raises(BadTarget, match=f"is an? {type(layer).__name__}.*this network has none"):
        cw.convolution_at(net, picture, "it", 0, 0, 0)


def test_values_that_are_not_finite_are_refused(build, noise):
    model = build("plain")
    kernel = model.get_layer("conv1").kernel
    kernel.assign(kernel.numpy() * np.float32(np.inf))
    with pytest.raises(BadModel, match="hold NaN or infinity"):
        cw.convolution_at(model, noise(20, 20, 3), "conv1", 0, 0, 0)
