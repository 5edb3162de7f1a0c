"""A class of a dense output as target: where it is the prediction, or inside a part of the picture."""

import functools

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.attribution import METHODS, attribution
from cnnwidgets.explain.class_activation_map import MAP_METHODS, class_activation_map
from cnnwidgets.explain.hidden_region import hide_region
from cnnwidgets.explain.targets import region
from cnnwidgets.explain.unit_attribution import unit_attribution
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from tests.tiny_networks import seeded

L = keras.layers
SIDE = 16
NAMES = ("sky", "road", "tree")


@functools.cache
def network(activation="softmax"):
    """Three classes at each of 16 x 16 positions, behind a bottom of 8 x 8."""
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    x = L.MaxPooling2D()(L.Conv2D(6, 3, padding="same", activation="relu", name="down")(picture))
    x = L.UpSampling2D()(L.Conv2D(6, 3, padding="same", activation="relu", name="bottom")(x))
    model = seeded(keras.Model(picture, L.Conv2D(3, 1, activation=activation, name="scores")(x)), 4)
    return Network(model, "unit", NAMES if activation == "softmax" else None)


@functools.cache
def scores(activation="softmax"):
    """[H, W, K] of the picture: the logits."""
    net = network(activation)
    return net.logits([tf.constant(PICTURE[None])])[0].numpy()


PICTURE = np.random.default_rng(3).random((SIDE, SIDE, 3)).astype(np.float32)


def total_of(target, activation="softmax", **keywords):
    return unit_attribution(network(activation), PICTURE, "bottom", target, **keywords)[0]


def test_a_class_is_explained_where_it_is_the_prediction():
    winners = scores().argmax(-1)
    for index in np.unique(winners):
        expected = scores()[winners == index, index].mean()
        assert total_of(int(index)).value == pytest.approx(expected, abs=1e-5)
        assert total_of(NAMES[index]).value == pytest.approx(expected, abs=1e-5)


def test_by_default_it_is_the_class_with_most_pixels():
    found = total_of(None)
    assert found.target == np.bincount(scores().argmax(-1).ravel()).argmax() == network().predict(PICTURE)[0].index


def test_a_class_that_is_nowhere_the_prediction_is_explained_everywhere_with_a_note():
    picture = keras.Input((8, 8, 3))
    model = seeded(
        keras.Model(picture, L.Conv2D(3, 1, activation="softmax", name="scores")(L.Conv2D(4, 3, name="conv")(picture)))
    )
    model.get_layer("scores").bias.assign([0, -1000, 0])
    (heat,) = class_activation_map(Network(model, "unit"), PICTURE[:8, :8], target=1)
    assert "not predicted: " in heat.note


MASK = np.zeros((SIDE, SIDE), bool)
MASK[2:6, 9:13] = True


@pytest.mark.parametrize(
    "where", [MASK, MASK.astype(float), (2, 9, 6, 13), [2, 9, 6, 13]], ids=["mask", "0 and 1", "box", "list"]
)
def test_a_region_is_the_mean_of_the_class_inside_it(where):
    assert total_of(region("road", where)).value == pytest.approx(scores()[MASK, 1].mean(), abs=1e-5)


@pytest.mark.parametrize("method", [*MAP_METHODS, *METHODS])
def test_every_method_explains_a_region_as_a_function_that_means_the_same(method):
    of = MASK.astype(np.float32)
    function = lambda y: tf.reduce_sum(tf.math.log(y[..., 1]) * of, [1, 2]) / of.sum()  # noqa: E731
    for target in (region(1, MASK), function):
        if method in MAP_METHODS:
            raw = class_activation_map(network(), PICTURE, "bottom", target, method)[0].raw
        else:
            raw = attribution(network(), PICTURE, target, method, samples=4)[0].raw
        assert np.isfinite(raw).all()
        if method in ("hirescam", "gradient", "smoothgrad", "integrated_gradients", "gradient_x_input"):
            rows, columns = np.nonzero(raw)
            step = SIDE // raw.shape[0]
            assert raw.any() and rows.max() * step <= 6 + 6 and columns.min() * step >= 9 - 6  # only its surroundings


def test_a_region_of_a_picture_of_another_size_is_fitted_to_the_output():
    large, mask = (np.repeat(np.repeat(one, 3, 0), 3, 1) for one in (PICTURE, MASK))
    logits = network().logits([tf.constant(one) for one in network().arrays(large)])[0].numpy()
    (found,) = unit_attribution(network(), large, "bottom", region("road", mask))
    assert found.value == pytest.approx(logits[MASK, 1].mean(), abs=1e-5)


def test_the_class_of_a_region_is_by_default_the_one_with_most_pixels_in_it():
    assert total_of(region(None, MASK)).target == np.bincount(scores()[MASK].argmax(-1)).argmax()


def test_sigmoids_decide_each_class_alone_and_one_channel_has_a_region_too():
    net = network("sigmoid")
    logits = scores("sigmoid")
    model = keras.Model(net.model.input, net.model.output)
    model.compile(loss="binary_crossentropy")
    multi = Network(model, "unit")
    for index in range(3):
        inside = logits[..., index] > 0
        expected = logits[inside, index].mean() if inside.any() else logits[..., index].mean()
        (found,) = unit_attribution(multi, PICTURE, "bottom", index)
        assert found.value == pytest.approx(expected, abs=1e-5)
    (found,) = unit_attribution(net, PICTURE, "bottom", region(2, MASK))  # not classes: a channel of a map
    assert found.value == pytest.approx(logits[MASK, 2].mean(), abs=1e-5)


def test_another_region_traces_nothing_new():
    total_of(region(1, MASK))
    before = len(network().traces)
    total_of(region(2, (0, 0, 3, 3)))
    assert len(network().traces) == before


def test_copies_of_the_picture_are_asked_for_the_same_pixels():
    (heat,) = attribution(network(), PICTURE, "road", "occlusion")
    assert np.isfinite(heat.raw).all() and heat.raw.any()


@pytest.mark.parametrize(
    "where",
    [
        np.zeros((SIDE, SIDE), bool),
        (4, 4, 4, 9),
        (5, 3, 2, 9),
        (-1, 0, 4, 4),
        (0, 0, 4),
        "box",
        None,
        MASK * 3.0,
        MASK[None],
    ],
)
def test_an_empty_region_and_what_is_none_is_refused(where):
    with pytest.raises(BadTarget):
        region("road", where)


@pytest.mark.parametrize("where", [np.ones((8, 8), bool), (0, 0, SIDE + 1, 4), (20, 20, 30, 30)])
def test_a_region_outside_the_picture_is_refused(where):
    for verb in (class_activation_map, attribution, unit_attribution):
        with pytest.raises(BadTarget, match="picture"):
            verb(network(), PICTURE, target=region("road", where))


def test_a_region_is_for_dense_outputs_and_classes_that_exist(net):
    with pytest.raises(BadTarget, match=r"\[H, W, C\]"):
        class_activation_map(net("plain"), PICTURE, target=region(0, MASK))
    with pytest.raises(BadTarget, match="no class"):
        class_activation_map(network(), PICTURE, target=region("sea", MASK))
    with pytest.raises(BadTarget, match="class index or name"):
        region(lambda y: y, MASK)


@functools.cache
def valid(first=False, stride=1, activation="softmax"):
    """Three classes at positions that begin two pixels inside the picture."""
    order = "channels_first" if first else "channels_last"
    picture = keras.Input((3, SIDE, SIDE) if first else (SIDE, SIDE, 3), name="picture")
    x = L.Conv2D(6, 5, stride, activation="relu", data_format=order, name="bottom")(picture)
    x = L.Conv2D(3, 1, data_format=order, name="scores")(x)
    x = L.Softmax(axis=1 if first else -1)(x) if activation else x
    return Network(seeded(keras.Model(picture, x), 4), "unit", NAMES)


@pytest.mark.parametrize("first", [False, True])
def test_a_mask_is_at_the_pixels_of_the_picture_where_the_output_is_smaller(first):
    logits = valid(first).logits([tf.constant(PICTURE[None])])[0].numpy()
    expected = logits[2 - 2 : 6 - 2, 9 - 2 : 13 - 2, 1].mean()
    (found,) = unit_attribution(valid(first), PICTURE, "bottom", region("road", MASK))
    assert logits.shape == (SIDE - 4, SIDE - 4, 3) and found.value == pytest.approx(expected, abs=1e-5)
    large, mask = (np.repeat(np.repeat(one, 3, 0), 3, 1) for one in (PICTURE, MASK))
    (heat,) = class_activation_map(valid(first), large, "bottom", region("road", mask), "hirescam")
    rows, columns = np.nonzero(heat.raw)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 3, 7, 10)


def test_positions_two_pixels_apart_count_by_the_share_of_their_pixels_inside():
    picture = PICTURE
    logits = valid(stride=2).logits([tf.constant(picture[None])])[0].numpy()  # at rows 2, 4, ..., 12
    (found,) = unit_attribution(valid(stride=2), picture, "bottom", region("road", (4, 0, 8, SIDE)))
    shares = np.array([0, 0.75, 1, 0.25, 0, 0])  # row 4 has the pixels 3.5 to 5.5 between the middles, and so on
    assert found.value == pytest.approx(np.average(logits[..., 1].mean(1), weights=shares), abs=1e-5)


def test_a_region_where_the_output_has_no_position_is_refused_with_where_they_lie():
    for verb in (class_activation_map, attribution, unit_attribution):
        with pytest.raises(BadTarget, match="no position inside .* rows 2 to 13 and columns 2 to 13"):
            verb(valid(), PICTURE, target=region("road", (0, 0, 1, SIDE)))


@pytest.mark.parametrize("activation", ["softmax", None])
def test_a_part_of_the_picture_is_hidden_and_the_class_is_read_in_the_region(activation):
    net = valid(activation=activation)
    found = hide_region(net, PICTURE, (11 / SIDE, 4 / SIDE), region("road", MASK))
    left, top, right, bottom = (round(edge * SIDE) for edge in found.square)
    covered = PICTURE.copy()
    covered[top:bottom, left:right] = 0.5

    def softmax(picture):
        logits = net.logits([tf.constant(picture[None])])[0].numpy()[0:4, 7:11]
        return tf.nn.softmax(logits).numpy(), logits

    before, after = softmax(PICTURE)[0][..., 1].mean(), softmax(covered)[0][..., 1].mean()
    assert (found.before, found.after) == (pytest.approx(before, abs=1e-5), pytest.approx(after, abs=1e-5))
    assert before != after and found.name == "road"
    assert found.top == NAMES[np.bincount(softmax(covered)[1].argmax(-1).ravel(), minlength=3).argmax()]
    assert hide_region(net, PICTURE, (0.1, 0.1), region(None, MASK)).name in NAMES
