"""Heat lies where the network looks, whatever it does to the frame of the picture on the way."""

import numpy as np
import pytest

from cnnwidgets import pictures
from cnnwidgets.explain.attribution import attribution
from cnnwidgets.explain.class_activation_map import class_activation_map
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.geometry import placement
from cnnwidgets.model.geometry.placement import Placement
from cnnwidgets.model.network import Network

L = keras.layers


def blob(size, row, column, radius=3):
    rows, columns = np.mgrid[: size[0], : size[1]]
    disc = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return np.repeat(disc[..., None], 3, -1).astype(np.float32)


def detector(stride=4, kernel=None, **keywords):
    """A convolution that measures the brightness of its window."""
    return L.Conv2D(2, kernel or stride, strides=stride, use_bias=False, kernel_initializer=brightness, **keywords)


def brightness(shape, dtype=None):
    value = np.zeros(shape, np.float32)
    value[..., 0] = 1 / np.prod(shape[:3])
    return tf.constant(value)


def network(*layers, size=(None, None)):
    """Layers, a detector named "map" unless there is one, and a head whose class 0 is brightness."""
    x = picture = keras.Input((*size, 3))
    for layer in layers:
        x = layer(x)
    if not any(getattr(layer, "name", "") == "map" for layer in layers):
        x = detector(name="map")(x)
    head = L.Dense(2, use_bias=False, kernel_initializer="identity", name="head")
    return Network(keras.Model(picture, head(L.GlobalAveragePooling2D()(x))), "unit")


def middle(heat):
    return np.argwhere(heat >= 0.5 * heat.max()).mean(0)


def image(function):
    return L.Lambda(function)


def boxed(x, box):
    count = tf.shape(x)[0]
    return tf.image.crop_and_resize(x, tf.repeat([box], count, 0), tf.range(count), [32, 32])


def case(*layers, size=(None, None), given=(60, 80), place=(20, 50), cell=4):
    """Layers, the input's size, the picture's size, the blob's middle, and how many pixels a cell is wide."""
    return layers, size, given, place, cell


def ones(kernel, **keywords):
    return L.DepthwiseConv2D(kernel, depthwise_initializer="ones", **keywords)


def deconvolution():
    return L.Conv2DTranspose(2, 4, 2, "same", kernel_initializer=brightness, name="map")


def inner():
    return keras.Sequential([keras.Input((None, None, 3)), L.Cropping2D(8), L.ReLU()])


REFLECT = [[0, 0], [8, 8], [8, 8], [0, 0]]
FIXED = (60, 80)
GEOMETRIES = {
    "nothing": case(),
    "stride 2": case(detector(2, 3, padding="same", name="map"), cell=2),
    "even kernel": case(detector(2, 4, padding="same", name="map"), cell=2),
    "center crop": case(L.CenterCrop(32, 40), size=FIXED, place=(24, 50)),
    "cropping": case(L.Cropping2D(((10, 4), (20, 8)))),
    "crop to aspect": case(L.Resizing(32, 32, crop_to_aspect_ratio=True), given=(60, 90), cell=8),
    "letterbox": case(L.Resizing(32, 32, pad_to_aspect_ratio=True), given=(60, 90), cell=12),
    "letterbox, fixed": case(L.Resizing(32, 32, pad_to_aspect_ratio=True), size=FIXED, cell=12),
    "slices": case(lambda x: x[:, 6:-10, 12:70]),
    "tf crop": case(image(lambda x: tf.image.central_crop(x, 0.5)), size=FIXED, place=(24, 50)),
    "tf box": case(image(lambda x: tf.image.crop_to_bounding_box(x, 4, 8, 40, 60)), size=FIXED),
    "tf crop or pad": case(image(lambda x: tf.image.resize_with_crop_or_pad(x, 100, 40)), size=FIXED),
    "tf with pad": case(image(lambda x: tf.image.resize_with_pad(x, 64, 64)), size=FIXED, cell=6),
    "crop and resize": case(image(lambda x: boxed(x, [0.0, 0.5, 1.0, 1.0])), size=FIXED, place=(20, 58), cell=8),
    "zero padding": case(L.ZeroPadding2D(((30, 6), (0, 22)))),
    "reflected": case(image(lambda x: tf.pad(x, REFLECT, "REFLECT"))),
    "valid convolutions": case(ones(9), ones(5)),
    "dilated": case(ones(3, dilation_rate=4), cell=8),
    "pooling": case(L.MaxPooling2D(3, 2), L.AveragePooling2D(2, 2, padding="same"), place=(24, 42), cell=16),
    "permuted": case(L.Permute((2, 1, 3))),
    "upside down": case(lambda x: x[:, ::-1]),
    "mirrored": case(image(lambda x: tf.reverse(x, [2]))),
    "turned": case(image(lambda x: tf.image.rot90(x))),
    "compiled": case(image(tf.function(lambda x: x[:, 20:, :60] * 2.0, autograph=False)), place=(32, 50)),
    "grouped": case(L.Conv2D(6, 5, groups=3, kernel_initializer="ones")),
    "rolled": case(image(lambda x: tf.roll(x, [20, 24], [1, 2])), size=FIXED, place=(24, 50)),
    "nested": case(inner()),
    "upsampled": case(detector(4), L.UpSampling2D(2), deconvolution()),
}


@pytest.fixture(scope="module", params=GEOMETRIES)
def seen(request):
    layers, size, given, place, cell = GEOMETRIES[request.param]
    return network(*layers, size=size), blob(given, *place), place, cell


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam", "gradient_x_input"])
def test_the_hottest_region_covers_the_blob(seen, method):
    net, picture, place, cell = seen
    if method == "gradient_x_input":
        (heat,) = attribution(net, picture, 0, method)
        cell = 3
    else:
        (heat,) = class_activation_map(net, picture, "map", 0, method)
    assert np.abs(middle(heat.map) - place).max() <= cell, heat.note
    assert heat.map.max() == 1


@pytest.mark.parametrize("size", [(32, 48), (33, 49)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_same_padding_counts_as_even_on_both_sides(size, kernel):
    net = network(detector(2, kernel, padding="same", name="map"))
    (heat,) = class_activation_map(net, blob(size, 12, 30), "map", 0)
    rows, columns = heat.placement.rows, heat.placement.columns
    np.testing.assert_allclose([rows[0] + rows[-1], columns[0] + columns[-1]], [n - 1 for n in size], atol=1e-3)
    if size == (32, 48):  # then plain stretching is right
        plain = pictures.resize(heat.raw, size)
        np.testing.assert_allclose(heat.map, plain / plain.max(), atol=1e-6)


def patches_by_reshaping(x):
    x = keras.ops.reshape(x, (-1, 4, 8, 6, 8, 3))
    return keras.ops.reshape(keras.ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 4, 6, 192))


def every_second(x):
    return L.Concatenate()([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])


@pytest.mark.parametrize(
    ("cut", "side"),
    [(image(lambda x: tf.nn.space_to_depth(x, 8)), 8), (patches_by_reshaping, 8), (every_second, 2)],
    ids=["space_to_depth", "reshaped", "every second pixel"],
)
@pytest.mark.parametrize("kernel", [1, 3])
def test_cells_lie_in_the_middle_of_the_patches_that_became_their_channels(cut, side, kernel):
    given = keras.Input((32, 48, 3))
    x = L.Conv2D(3, kernel, padding="same", kernel_initializer="ones", name="map")(cut(given))
    net = Network(keras.Model(given, L.Dense(2)(L.GlobalAveragePooling2D()(x))), preprocess="unit")
    (heat,) = class_activation_map(net, blob((32, 48), 12, 30), "map", 0)
    for middles, length in ((heat.placement.rows, 32), (heat.placement.columns, 48)):
        np.testing.assert_allclose(middles, np.arange((side - 1) / 2, length, side), atol=1e-4)


# Maps over pictures: products of matrices a few rows at a time are the products at once.


@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7)], ids=["one map", "several maps"])
@pytest.mark.parametrize("alone", [1, 5000, 2**17])
def test_a_map_is_laid_over_a_picture_a_few_rows_at_a_time(shape, alone, noise, monkeypatch):
    rows, columns = 10 + 13.0 * np.arange(5), 4 + 11.5 * np.arange(7)
    place, raw = Placement((90, 110), rows, columns, (0, 0, 90, 110)), noise(*shape)
    down = np.stack([np.interp(np.arange(90), rows, one) for one in np.eye(5)], 1)
    across = np.stack([np.interp(np.arange(110), columns, one) for one in np.eye(7)], 1)
    monkeypatch.setattr(placement, "ALONE", alone)
    np.testing.assert_allclose(place.lay(raw), down @ raw @ across.T, atol=1e-5)
    assert place.lay(raw).dtype == np.float32
