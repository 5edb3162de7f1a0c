"""The receptive field is the one that can be computed by hand, on any model, whatever its numbers are."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.activations.receptive_field import receptive_field
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network

L = keras.layers


def stack(*layers, size=(None, None), channels=3):
    return Network(keras.Sequential([keras.Input((*size, channels)), *layers], name="stack"))


def last(net):
    return net.layers[-1].path


def conv(units=4, kernel=3, **keywords):
    return L.Conv2D(units, kernel, **keywords)


def seen_by_trying(model, height, width):
    """For each cell the pixels that change it, found by switching on one pixel after the other."""
    pixels = np.eye(height * width, dtype=np.float32).reshape(-1, height, width, 1)
    changed = np.abs(model.predict(pixels, verbose=0) - model.predict(0 * pixels[:1], verbose=0)).max(-1) > 1e-9
    return changed.reshape(height, width, *changed.shape[1:])  # [H, W, h, w]


def box_of(seen):
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


@pytest.mark.parametrize(
    "layers, side, size, stride, start",
    [
        ([conv()], 32, 3, 1, 0),
        ([conv(), conv(), conv()], 32, 7, 1, 0),
        ([conv(padding="same"), conv(padding="same")], 32, 5, 1, -2),
        ([conv(strides=2, padding="same")], 32, 3, 2, 0),  # TensorFlow pads an even side below only,
        ([conv(strides=2, padding="same")], 33, 3, 2, -1),  # and an odd one on both
        ([conv(padding="same"), L.MaxPooling2D(2), conv(padding="same")], 32, 8, 2, -3),
        ([conv(), L.ReLU(), L.AveragePooling2D(3, 2), conv(strides=2), L.MaxPooling2D(2)], 64, 13, 8, 0),
        ([conv(dilation_rate=1), conv(dilation_rate=2), conv(dilation_rate=4)], 48, 15, 1, 0),
        ([conv(dilation_rate=3, padding="same")], 32, 7, 1, -3),
        ([L.DepthwiseConv2D(5, strides=2), L.SeparableConv2D(4, 3)], 48, 9, 2, 0),
        ([conv(kernel=1, strides=4)], 32, 1, 4, 0),
        ([L.ZeroPadding2D(((2, 0), (2, 0))), conv()], 32, 3, 1, -2),
        ([L.Cropping2D(5), conv()], 32, 3, 1, 5),
        ([conv(activation="silu"), L.BatchNormalization(), L.LayerNormalization(), L.Softmax()], 32, 3, 1, 0),
        ([L.Rescaling(1 / 255), L.Normalization(mean=[1, 2, 3], variance=[4, 5, 6]), conv()], 32, 3, 1, 0),
    ],
)
def test_size_stride_and_start_are_those_computed_by_hand(layers, side, size, stride, start):
    net = stack(*layers)
    field = receptive_field(net, last(net), size=side)
    assert (field.size, field.stride, field.start) == ((size, size), (stride, stride), (start, start))
    assert not field.is_whole


def test_rows_and_columns_may_differ():
    net = stack(conv(kernel=(1, 5), strides=(1, 2)))
    field = receptive_field(net, last(net), size=(20, 40))
    assert (field.size, field.stride, field.cells) == ((1, 5), (1, 2), (20, 18))
    assert field.box(3, 4) == (3, 8, 4, 13)
    assert str(field) == "a cell sees 1 x 5 pixels, 1 x 2 apart"


@pytest.mark.parametrize(
    "layers",
    [
        [conv(2, padding="same", strides=2), conv(2, padding="same"), L.AveragePooling2D(2)],
        [conv(2, dilation_rate=2), conv(2, 1, strides=3)],
        [conv(2, 4, padding="same", strides=2), L.ZeroPadding2D(1), conv(2, 2, strides=2)],
    ],
)
def test_the_box_of_every_cell_is_what_changes_it(layers):
    net = stack(*layers, channels=1)
    field = receptive_field(net, last(net), size=(17, 22))
    seen = seen_by_trying(net.model, 17, 22)
    for row, column in np.ndindex(*field.cells):
        assert field.box(row, column) == box_of(seen[:, :, row, column]), (row, column)


@pytest.mark.parametrize(
    "layers",
    [
        [conv(2, 3, strides=2, padding="same"), L.Conv2DTranspose(2, 3, strides=2, padding="same")],
        [conv(2, 3, strides=4, padding="same"), L.UpSampling2D(4, interpolation="bilinear"), conv(1, padding="same")],
        [L.Resizing(30, 30), conv(2, 3, strides=2)],
    ],
)
def test_the_box_holds_at_least_what_a_cell_sees_where_a_map_is_not_regular(layers):
    net = stack(*layers, size=(16, 16), channels=1)
    field = receptive_field(net, last(net), size=16)
    seen = seen_by_trying(net.model, 16, 16)
    for row, column in np.ndindex(*field.cells):
        top, left, bottom, right = field.box(row, column)
        above, before, below, after = box_of(seen[:, :, row, column])
        assert top <= above < below <= bottom and left <= before < after <= right, (row, column)
        assert max(bottom - top, right - left) <= 12, "but not the whole picture"


@pytest.mark.parametrize("spoil", ["dead", "zero", "tied"])
def test_numbers_hide_no_pixel(spoil):
    net = stack(conv(activation="relu"), L.MaxPooling2D(2), conv(activation="relu6"), conv(activation="relu"))
    for weight in net.model.weights:
        shape = weight.shape
        weight.assign(np.full(shape, {"dead": -1e9, "zero": 0.0, "tied": 1.0}[spoil]))
    field = receptive_field(net, last(net), size=40)
    assert (field.size, field.stride) == ((12, 12), (2, 2))


@pytest.mark.parametrize("function", [tf.cos, tf.sin, lambda x: tf.tan(x) * tf.math.erfc(x)], ids=["cos", "sin", "tan"])
def test_functions_whose_slope_may_be_zero_hide_no_pixel(function):
    net = stack(conv(kernel=5, use_bias=False), L.Lambda(function), conv(kernel=3), size=(20, 20))
    assert receptive_field(net, last(net)).size == (7, 7)


def test_a_branch_counts_by_its_widest_way():
    picture = keras.Input((None, None, 3))
    x = L.Conv2D(4, 5, padding="same", name="wide")(picture)
    y = L.Conv2D(4, 3, padding="same", name="narrow")(picture)
    net = Network(keras.Model(picture, L.Concatenate(name="both")([L.Subtract(name="difference")([x, y]), y])))
    assert [receptive_field(net, p, size=32).size[0] for p in ("narrow", "wide", "difference", "both")] == [3, 5, 5, 5]
    assert [receptive_field(net, "both", unit, size=32).size[0] for unit in (0, 3, 4, 7)] == [5, 5, 3, 3]


def test_branches_do_not_cancel():
    picture = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, name="conv")(picture)
    net = Network(keras.Model(picture, L.Subtract(name="cut_off")([L.ReLU(name="relu")(x), x])))
    assert receptive_field(net, "cut_off", size=32).size == (3, 3)


def test_bare_operations_with_paddings_and_holes_of_their_own():
    class Bare(keras.Layer):
        def call(self, x):
            return tf.nn.conv2d(x, tf.zeros([3, 3, 3, 2]), 2, [[0, 0], [4, 1], [2, 1], [0, 0]], dilations=2)

    field = receptive_field(stack(Bare(name="bare")), "bare", size=(32, 48))
    assert (field.size, field.stride, field.start) == ((5, 5), (2, 2), (-4, -2))


def test_what_pools_over_everything_sees_the_whole_picture():
    x = picture = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, padding="same", name="before")(x)
    gate = L.Dense(4, activation="sigmoid", name="gate")(L.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x))
    x = L.Conv2D(4, 3, padding="same", name="after")(L.Multiply(name="excited")([x, gate]))
    net = Network(keras.Model(picture, L.Dense(3, name="logits")(L.GlobalMaxPooling2D(name="gap")(x))))
    fields = {p: receptive_field(net, p, size=(32, 48)) for p in ("before", "gate", "after", "logits")}
    assert [path for path, field in fields.items() if not field.is_whole] == ["before"]
    assert fields["after"].box(31, 0) == fields["logits"].box(0, 0) == (0, 0, 32, 48)
    assert fields["logits"].cells == (1, 1) and fields["after"].cells == (32, 48)
    assert str(fields["after"]) == "every cell sees the whole picture"


def test_what_a_stride_leaves_over_is_not_seen():
    net = stack(conv(strides=2), L.GlobalAveragePooling2D())
    field = receptive_field(net, last(net), size=32)
    assert field.box(0, 0) == (0, 0, 31, 31) and not field.is_whole
    assert str(field) == "a cell sees 31 x 31 of the 32 x 32 pixels"


@pytest.mark.parametrize(
    "name, layer, call, size",
    [
        ("nested", "deep.v2/conv", 0, 3), ("nested", "backbone/conv", 0, 5), ("twice", "conv", 0, 3),
        ("twice", "conv", 1, 5), ("subclassed", "deep_conv", 0, 5), ("channels_first", "conv1", 0, 3),
        ("channels_first", "relu1", 0, 3), ("channels_first", "conv2", 0, 8), ("mixed_float16", "conv", 0, 3),
        ("with_state", "relu", 0, 3), ("inputs_as_list", "conv", 0, 3), ("inputs_as_dict", "conv", 0, 3),
        ("siamese", "encoder/conv", 1, 3), ("sequential", "pool", 0, 4), ("whole_numbers", "conv", 0, 3),
    ],
)  # fmt: skip
def test_every_kind_of_model(net, build, name, layer, call, size):
    model = integers() if name == "whole_numbers" else net(name)
    assert receptive_field(model, layer, call=call).size == (size, size)


def integers():
    picture = keras.Input((None, None, 3), dtype="uint8", name="picture")
    return Network(keras.Model(picture, L.Conv2D(4, 3, name="conv")(L.Rescaling(1 / 255)(picture))))


def test_a_model_with_operations_of_its_own():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = conv(name="first"), conv(name="second"), conv(name="third")

        def call(self, x):
            x = tf.stop_gradient(tf.nn.relu(self.first(x)) - 1e9)
            x = keras.ops.where(x > 0, keras.ops.maximum(x, 7.0), keras.ops.relu(-x))
            x = self.second(x)
            return self.third(tf.pad(keras.ops.clip(x, -1, 1), [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"))

    model = Own()
    model(np.zeros((1, 32, 32, 3), np.float32))
    assert receptive_field(model, "third").size == (7, 7)


def test_a_model_that_compiles_its_own_call():
    class Compiled(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = conv(8, activation="relu", name="first"), conv(8, groups=2, name="second")

        @tf.function
        def inner(self, x):
            return tf.nn.relu(self.first(x))

        def call(self, x):
            return self.second(self.inner(x))

    keras.utils.set_random_seed(0)
    model = Compiled()
    model(np.zeros((1, 32, 32, 3), np.float32))
    field = receptive_field(model, "second")
    assert (field.size, field.stride) == ((5, 5), (1, 1))


def test_a_real_network_has_the_field_computed_by_hand():
    """3 + pool 2 * 2, two 3 x 3, pool, two 3 x 3, pool, four 3 x 3; only the middle box is inside the picture."""
    field = receptive_field(cw.load_network("squeezenet"), "fire9_concat")
    by_hand = 3 + 2 * 2 + 2 * 2 * 4 + 2 * 4 + 2 * 2 * 8 + 2 * 8 + 4 * 2 * 16
    assert (field.size, field.stride) == ((by_hand, by_hand), (16, 16)) == ((207, 207), (16, 16))


def test_a_box_larger_than_the_picture_is_known_from_the_edges_inside_it():
    net = stack(*[conv(padding="same") for _ in range(6)])
    field = receptive_field(net, last(net), size=8)
    assert field.size == (13, 13) and field.box(0, 7) == (0, 1, 7, 8) and field.box(3, 3) == (0, 0, 8, 8)


def test_a_box_is_cut_off_at_the_pictures_border():
    net = stack(conv(padding="same"), conv(padding="same"))
    field = receptive_field(net, last(net), size=16)
    assert field.box(0, 8) == (0, 6, 3, 11)
    assert field.box(15, 15) == (13, 13, 16, 16)
    with pytest.raises(BadTarget, match="row must be an integer from 0 to 15, got 16"):
        field.box(16, 0)


def test_the_model_is_untouched_and_nothing_is_traced_twice(build, snapshot_of):
    model = build("nested")
    before = snapshot_of(model)
    net = Network(model)
    first = receptive_field(net, "backbone/conv", size=24)
    kept = len(net.traces)
    assert receptive_field(net, "backbone/conv", size=24) == first
    assert len(net.traces) == kept
    assert snapshot_of(model) == before


@pytest.mark.parametrize(
    "name, layer, keywords, words",
    [
        ("plain", "nope", {}, "no layer 'nope'"),
        ("plain", "conv1", {"call": 1}, "no call 1. Its calls are 0 to 0"),
        ("plain", "conv1", {"size": 3}, "size must .*got 3"),
        ("plain", "conv1", {"unit": 8}, "no unit 8. Its units are 0 to 7"),
        ("plain", "picture", {}, "never called"),
        ("sequential", "conv", {"size": 64}, "takes 32 x 32"),
        ("inputs_as_list", "table", {}, "cannot be followed back to a picture"),
    ],
)
def test_what_cannot_be_is_refused_in_words(net, name, layer, keywords, words):
    with pytest.raises(BadTarget, match=words):
        receptive_field(net(name), layer, **keywords)


def test_a_picture_that_is_too_small_is_refused_in_words():
    net = stack(conv(), L.MaxPooling2D(4), L.MaxPooling2D(4))
    with pytest.raises(BadTarget, match="8 x 8 pixels are too small"):
        receptive_field(net, last(net), size=8)
