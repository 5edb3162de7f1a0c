"""Maps of whole models: tokens, strips, several crops, sums; and what has no map says so."""

import functools

import numpy as np
import pytest

from cnnwidgets.activations.feature_maps import feature_maps
from cnnwidgets.activations.patches import top_patches
from cnnwidgets.activations.receptive_field import receptive_field
from cnnwidgets.errors import BadModel, BadTarget
from cnnwidgets.explain.attribution import METHODS, attribution
from cnnwidgets.explain.class_activation_map import class_activation_map
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.geometry.locations import NOWHERE, locate
from cnnwidgets.model.network import Network

L = keras.layers


def brightness(shape, dtype=None):
    value = np.zeros(shape, np.float32)
    value[..., 0] = 1 / np.prod(shape[:3])
    return tf.constant(value)


def detector(stride=4, **keywords):
    return L.Conv2D(2, stride, strides=stride, use_bias=False, kernel_initializer=brightness, name="map", **keywords)


def head(x):
    return L.Dense(2, use_bias=False, kernel_initializer="identity", name="head")(x)


def blob(row, column, size=(64, 64)):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.repeat(((rows - row) ** 2 + (columns - column) ** 2 <= 9)[..., None], 3, -1).astype(np.float32)


def middle(heat):
    return np.argwhere(heat >= 0.5 * heat.max()).mean(0)


class Positions(L.Layer):
    """A class token in front, register tokens behind, and a number for each position."""

    def __init__(self, front, behind, **keywords):
        super().__init__(**keywords)
        self.front, self.behind = front, behind

    def build(self, shape):
        self.tokens = self.add_weight(shape=(1, self.front + self.behind, shape[-1]), name="tokens")
        self.places = self.add_weight(shape=(1, shape[1] + self.front + self.behind, shape[-1]), name="places")

    def call(self, x):
        tokens = keras.ops.repeat(self.tokens, keras.ops.shape(x)[0], 0)
        x = keras.ops.concatenate([tokens[:, : self.front], x, tokens[:, self.front :]], 1)
        return x + self.places


@functools.cache
def transformer(front, behind, reads_class_token):
    keras.utils.set_random_seed(3)
    x = picture = keras.Input((32, 48, 3))
    x = L.Conv2D(8, 8, strides=8, name="patches")(x)
    x = Positions(front, behind, name="positions")(L.Reshape((24, 8), name="tokens")(x))
    for i in (1, 2):
        y = L.LayerNormalization(name=f"norm{i}")(x)
        x = L.Add(name=f"mixed{i}")([x, L.MultiHeadAttention(2, 4, name=f"attention{i}")(y, y)])
        x = L.Add(name=f"block{i}")([x, L.Dense(8, activation="gelu", name=f"dense{i}")(x)])
    x = L.Lambda(lambda x: x[:, 0])(x) if reads_class_token else L.GlobalAveragePooling1D()(x)
    return Network(keras.Model(picture, L.Dense(3, name="head")(x)), "unit")


@pytest.mark.parametrize("front, behind", [(0, 0), (1, 0), (1, 4), (0, 3)])
def test_patch_tokens_are_the_rows_and_columns_of_their_patches(noise, front, behind):
    net, picture = transformer(front, behind, False), noise(32, 48, 3)
    heat = class_activation_map(net, picture, "block1", 1, "hirescam")[0]
    assert heat.raw.shape == (4, 6) and "24 patch tokens shown as 4 x 6" in heat.note
    assert (f"{front + behind} other token" in heat.note) == bool(front + behind)
    found = locate(net, "block1", 0, 0, (32, 48))
    assert found.tokens == tuple(range(front, front + 24)) and found.seen == (0, 0, 32, 48)
    np.testing.assert_allclose([found.rows[0], found.columns[-1]], [3.5, 43.5], atol=1e-4)


def test_the_default_layer_is_the_last_whose_patch_tokens_lead_to_the_output(noise):
    picture = noise(32, 48, 3)
    assert class_activation_map(transformer(1, 0, False), picture, target=1)[0].path == "block2"
    net = transformer(1, 0, True)
    chosen = class_activation_map(net, picture, target=1, method="hirescam")[0]
    assert chosen.path == "norm2" and chosen.raw.any()
    last = class_activation_map(net, picture, "block2", 1)[0]
    assert not last.raw.any() and "choose 'norm2'" in last.note


@pytest.mark.parametrize("layer", ["attention1/query", "attention1/value", "head"])
def test_what_is_inside_attention_is_no_map_and_is_not_recommended(noise, layer):
    net = transformer(1, 0, True)
    with pytest.raises(BadTarget, match="no rows and columns.*patches") as refused:
        class_activation_map(net, noise(32, 48, 3), layer, 1)
    assert "attention" not in str(refused.value).partition("Choose")[2]


@pytest.mark.parametrize("method", ["ablation_cam", "score_cam", "grad_cam"])
def test_every_kind_of_method_explains_tokens(noise, method):
    heat = class_activation_map(transformer(1, 4, True), noise(32, 48, 3), "mixed1", 2, method)[0]
    assert heat.raw.shape == (4, 6) and np.isfinite(heat.raw).all() and heat.raw.any()


def test_each_strip_has_its_own_map():
    part = keras.Input((16, 64, 3))
    inner = keras.Model(part, L.GlobalAveragePooling2D()(detector()(part)), name="inner")
    picture = keras.Input((64, 64, 3))
    strips = L.TimeDistributed(inner, name="each")(L.Reshape((4, 16, 64, 3))(picture))
    net = Network(keras.Model(picture, head(L.GlobalAveragePooling1D()(strips))), "unit")
    heats = class_activation_map(net, blob(40, 20), target=0)
    assert [heat.path for heat in heats] == ["each/inner/map"] * 4
    assert [bool(heat.map.any()) for heat in heats] == [False, False, True, False]
    assert np.abs(middle(heats[2].map) - (40, 20)).max() <= 2
    assert not heats[2].map[:32].any() and not heats[2].map[48:].any() and "rows 32 to 47" in heats[2].note


def test_each_crop_has_its_own_map():
    picture, measure = keras.Input((64, 64, 3)), detector()
    corners = [((top, 32 - top), (left, 32 - left)) for top in (0, 32) for left in (0, 32)]
    pooled = [L.GlobalAveragePooling2D()(measure(L.Cropping2D(corner)(picture))) for corner in corners]
    net = Network(keras.Model(picture, head(L.Average()(pooled))), "unit")
    heats = class_activation_map(net, blob(40, 20), target=0)
    (found,) = [heat for heat in heats if heat.map.any()]
    assert np.abs(middle(found.map) - (40, 20)).max() <= 2 and found.placement.seen == (32, 0, 64, 32)


@pytest.mark.parametrize("method", METHODS)
def test_a_pixel_that_is_not_seen_has_no_part(noise, method):
    picture = keras.Input((24, 32, 3))
    x = detector()(L.CenterCrop(16, 16)(picture))
    net = Network(keras.Model(picture, head(L.GlobalAveragePooling2D()(x))), "unit")
    heat = attribution(net, noise(48, 64, 3), 0, method, samples=8)[0]
    outside = np.ones((48, 64), bool)
    outside[8:40, 16:48] = False
    assert not heat.raw[outside].any() and not heat.map[outside].any() and heat.raw.any()
    assert "rows 8 to 39 and columns 16 to 47" in heat.note


@pytest.mark.parametrize("size", [(32, 48), (20, 28), (36, 44)])
def test_a_mirrored_picture_has_the_mirrored_map(noise, size):
    picture = keras.Input((None, None, 3))
    net = Network(keras.Model(picture, head(L.GlobalAveragePooling2D()(detector()(picture)))), "unit")
    given = noise(*size, 3)
    there, back = (class_activation_map(net, one, "map", 0)[0].map for one in (given, given[:, ::-1].copy()))
    np.testing.assert_allclose(there, back[:, ::-1], atol=1e-5)


def test_a_permuted_layer_is_never_the_default_and_its_map_is_turned_back():
    picture = keras.Input((32, 48, 3))
    x = L.Permute((2, 1, 3), name="turned")(detector()(picture))
    net = Network(keras.Model(picture, head(L.GlobalAveragePooling2D()(x))), "unit")
    assert class_activation_map(net, blob(10, 30, (32, 48)), target=0)[0].path == "map"
    heat = class_activation_map(net, blob(10, 30, (32, 48)), "turned", 0)[0]
    assert heat.raw.shape == (12, 8) and np.abs(middle(heat.map) - (10, 30)).max() <= 4
    assert heat.evidence_at(10, 30) == heat.raw[7, 2]
    field = receptive_field(net, "turned")
    assert field.is_transposed and field.box(7, 2) == (8, 28, 12, 32)


def test_a_branch_of_a_bare_sum_says_so(noise):
    picture = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, padding="same", name="stem")(picture)
    x = x + L.Conv2D(4, 3, padding="same", name="branch")(x)
    net = Network(keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(x))), "unit")
    heat = class_activation_map(net, noise(16, 16, 3))[0]
    assert heat.path == "branch" and "one branch: 'branch' is added to another branch" in heat.note


def test_cells_of_padding_see_nothing_and_are_no_patches():
    picture = keras.Input((32, 32, 3))
    x = L.Conv2D(1, 4, strides=4, kernel_initializer="zeros", name="map")(L.ZeroPadding2D(16)(picture))
    net = Network(keras.Model(picture, L.GlobalAveragePooling2D()(x)), "unit")
    field = receptive_field(net, "map")
    assert (field.size, field.stride, field.start) == ((4, 4), (4, 4), (-16, -16))
    assert field.box(0, 0) == (0, 0, 0, 0) and field.box(15, 15) == (32, 32, 32, 32)
    net.model.get_layer("map").set_weights([np.full((4, 4, 3, 1), -1.0), np.ones(1)])
    patches = top_patches(net, [np.ones((32, 32, 3), np.float32) * 0.5 + blob(9, 9, (32, 32)) * 0.1], "map", 0, 3)
    assert all(patch.pixels.size for patch in patches)


@pytest.mark.parametrize("shape, message", [((8, 16, 16, 3), "clip"), ((64, 2), "Conv1D")])
def test_clips_and_signals_are_refused_with_what_can_be_done(shape, message):
    given = keras.Input(shape)
    convolution = L.Conv1D(2, 3) if len(shape) == 2 else L.Conv3D(2, 3)
    with pytest.raises(BadModel, match=message):
        Network(keras.Model(given, L.Dense(2)(L.Flatten()(convolution(given)))))


def test_a_clip_of_frames_names_the_network_inside():
    frame, clip = keras.Input((16, 16, 3)), keras.Input((8, 16, 16, 3))
    inner = keras.Model(frame, L.GlobalAveragePooling2D()(L.Conv2D(2, 3)(frame)))
    model = keras.Model(clip, L.LSTM(2)(L.TimeDistributed(inner, name="each")(clip)))
    with pytest.raises(BadModel, match=r"model.get_layer\('each'\).layer"):
        Network(model)
    assert Network(model.get_layer("each").layer).picture_inputs == (0,)


def test_one_number_in_the_shape_of_a_picture_is_no_picture(noise):
    picture, number = keras.Input((16, 16, 3), name="picture"), keras.Input((1, 1, 1), name="number")
    x = L.Concatenate()([L.Conv2D(2, 3, padding="same", name="conv")(picture), L.UpSampling2D(16)(number)])
    net = Network(keras.Model([picture, number], L.Dense(2)(L.GlobalAveragePooling2D()(x))), "unit")
    assert net.picture_inputs == (0,) and len(class_activation_map(net, noise(16, 16, 3), "conv")) == 1


def test_the_maps_of_a_layer_are_worked_out_once(noise):
    net = transformer(1, 0, False)
    class_activation_map(net, noise(32, 48, 3), "block1", 1)
    kept = len(net.traces)
    class_activation_map(net, noise(32, 48, 3, seed=5), "block1", 2)
    assert len(net.traces) == kept
    assert locate(net, "block1", 0, 0, (32, 48)) is locate(net, "block1", 0, 0, (32, 48))
    assert locate(net, "attention1/query", 0, 0, (32, 48)).kind == NOWHERE


def test_feature_maps_of_tokens_have_rows_and_columns(noise):
    net, picture = transformer(1, 4, True), noise(32, 48, 3)
    maps = feature_maps(net, picture, ["block1", "patches", "tokens"])
    assert maps["block1"].shape == (4, 6, 8)
    np.testing.assert_array_equal(maps["tokens"], maps["patches"])


def scores_of(picture, name):
    x = L.Conv2D(4, 3, activation="relu", name=name)(picture)
    return L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x))


def ensemble(picture):
    return L.Average()([scores_of(picture, "first"), scores_of(picture, "second")])


def two_depths(picture):
    early = L.Conv2D(4, 3, name="early")(picture)
    late = L.Conv2D(4, 3, activation="relu", name="late")(early)
    return L.Dense(3)(L.Concatenate()([L.GlobalAveragePooling2D()(x) for x in (early, late)]))


def residual(picture):
    x = L.Conv2D(4, 3, padding="same", name="stem")(picture)
    x = L.Add(name="sum")([x, L.Conv2D(4, 3, padding="same", name="branch")(x)])
    gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    return L.Dense(3)(L.GlobalAveragePooling2D()(L.Multiply(name="gated")([x, gate])))


@pytest.mark.parametrize(("build", "is_branch"), [(ensemble, True), (two_depths, True), (residual, False)])
def test_a_default_layer_that_is_one_way_of_several_says_so(noise, build, is_branch):
    picture = keras.Input((16, 16, 3))
    net = Network(keras.Model(picture, build(picture)), preprocess="unit")
    (heat,) = class_activation_map(net, noise(16, 16, 3), target=1)
    assert ("is not the only way from the picture to the target" in heat.note) == is_branch
    (named,) = class_activation_map(net, noise(16, 16, 3), heat.path, target=1)
    assert "only way" not in named.note  # who names a layer knows
