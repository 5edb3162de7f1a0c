"""Each preprocessing is the one of keras.applications, and `auto` finds the right one and says so."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.inputs.input_info import of_model
from cnnwidgets.model.layers import by_path
from cnnwidgets.model.network import Network
from cnnwidgets.model.preprocessing.modes import MODES, Affine, Scale
from cnnwidgets.model.preprocessing.preprocess import resolve

L = keras.layers
APPLICATIONS = keras.applications


def gray_levels(noise, channels=3):
    return noise(2, 5, 4, channels) * 255


@pytest.fixture
def found():
    """What a network of a model does to pictures, and what it says of that, without a look at all of its layers."""

    def find(model):
        inputs, nesting = of_model(model)
        return resolve("auto", model, by_path(model), inputs, lambda flat: keras.tree.pack_sequence_as(nesting, flat))

    return find


def model_named(name, *layers, channels=3):
    return keras.Sequential([keras.Input((None, None, channels)), *layers, L.Conv2D(2, 3)], name=name)


@pytest.mark.parametrize("mode", ["tf", "caffe", "torch"])
def test_a_mode_equals_that_of_keras_applications(noise, mode):
    pictures = gray_levels(noise)
    expected = APPLICATIONS.imagenet_utils.preprocess_input(pictures.copy(), data_format="channels_last", mode=mode)
    np.testing.assert_allclose(MODES[mode](pictures), expected, atol=2e-4 if mode == "caffe" else 2e-6)


def test_none_and_unit_are_what_they_say(noise):
    pictures = gray_levels(noise)
    np.testing.assert_array_equal(MODES["none"](pictures), pictures)
    np.testing.assert_allclose(MODES["unit"](pictures), pictures / 255, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 7])
@pytest.mark.parametrize("mode", ["none", "unit", "tf"])
def test_modes_without_colors_take_any_number_of_channels(noise, mode, channels):
    preprocess = Network(model_named("own", channels=channels), mode).preprocess
    assert preprocess(gray_levels(noise, channels)).shape == (2, 5, 4, channels)


# Of each family the member that is quickest to build, and what else it needs.
FAMILIES = {
    "convnext": ("ConvNeXtTiny", {}),
    "densenet": ("DenseNet121", {}),
    "efficientnet": ("EfficientNetB0", {}),
    "efficientnet_v2": ("EfficientNetV2B0", {}),
    "inception_resnet_v2": ("InceptionResNetV2", {"input_shape": (75, 75, 3)}),
    "inception_v3": ("InceptionV3", {"input_shape": (75, 75, 3)}),
    "mobilenet": ("MobileNet", {"alpha": 0.25}),
    "mobilenet_v2": ("MobileNetV2", {"alpha": 0.35}),
    "mobilenet_v3": ("MobileNetV3Small", {}),
    "nasnet": ("NASNetMobile", {}),
    "resnet": ("ResNet50", {}),
    "resnet_v2": ("ResNet50V2", {}),
    "vgg16": ("VGG16", {}),
    "vgg19": ("VGG19", {}),
    "xception": ("Xception", {"input_shape": (71, 71, 3)}),
}
ALIASES = {"imagenet_utils", "resnet50"}


def of_keras(family, **more):
    name, keywords = FAMILIES[family]
    settings = {"input_shape": (32, 32, 3), "include_top": False, "weights": None, **keywords, **more}
    return getattr(APPLICATIONS, name)(**settings)


def test_every_family_of_keras_applications_is_looked_at():
    modules = {name for name in dir(APPLICATIONS) if hasattr(getattr(APPLICATIONS, name), "preprocess_input")}
    assert modules - ALIASES == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_backbone_is_recognized_whole_renamed_cut_nested_and_built_on(noise, found, family):
    model, pictures = of_keras(family), gray_levels(noise)
    expected = getattr(APPLICATIONS, family).preprocess_input(pictures.copy())
    spatial = [layer.output for layer in model.layers if len(layer.output.shape) == 4]
    cut = keras.Model(model.input, spatial[len(spatial) // 3], name="embedding")
    head = L.Dense(2)(L.GlobalAveragePooling2D()(model.output))
    inside = keras.Sequential([keras.Input(model.input.shape[1:]), keras.Sequential([cut], name="inner")])
    for mine in (model, cut, keras.Model(model.input, head, name="mine"), inside):
        preprocess, note = found(mine)
        np.testing.assert_allclose(preprocess(pictures), expected, atol=1e-5)
        assert "guess" not in note


def test_a_backbone_whose_layers_got_a_prefix_is_recognized(found):
    model = of_keras("vgg16")
    for layer in model.layers[1:]:
        layer.name = f"left_{layer.name}"
    preprocess, note = found(keras.Model(model.input, model.layers[4].output, name="left"))
    assert preprocess == MODES["caffe"]
    assert "by the convention of VGG" in note
    assert "pass preprocess= if" in note


def small_mobilenet():
    return APPLICATIONS.MobileNetV2(weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.35)


def test_a_backbone_is_recognized_where_all_of_its_layers_have_other_names(found):
    numbers = iter(range(1000))

    def numbered(layer):
        return type(layer).from_config({**layer.get_config(), "name": f"layer{next(numbers)}"})

    preprocess, note = found(keras.models.clone_model(small_mobilenet(), clone_function=numbered))
    assert preprocess == MODES["tf"]
    assert "by the convention of MobileNet" in note


class Transfer(keras.Model):
    """A backbone in a subclassed model, behind a function or a layer."""

    def __init__(self, front):
        super().__init__()
        self.front, self.backbone, self.head = front, small_mobilenet(), L.Dense(2)

    def call(self, x):
        return self.head(tf.reduce_mean(self.backbone(self.front(x), training=False), (1, 2)))


@pytest.mark.parametrize(
    "front, mode",
    [
        (APPLICATIONS.mobilenet_v2.preprocess_input, "none"),
        (L.Rescaling(1 / 255), "none"),
        (L.Rescaling(2, -1), "unit"),
        (L.RandomFlip(), "tf"),
    ],
)
def test_a_backbone_in_a_subclassed_model_is_recognized(found, front, mode):
    model = Transfer(front)
    model(np.zeros((1, 32, 32, 3), "f4"))
    assert found(model)[0] == MODES[mode]


def test_weights_in_front_of_a_backbone_hide_its_convention(found):
    picture = keras.Input((32, 32, 1))
    preprocess, note = found(keras.Model(picture, small_mobilenet()(L.Conv2D(3, 1)(picture))))
    assert preprocess == MODES["unit"]
    assert "a guess" in note


def test_a_name_alone_proves_nothing(found):
    preprocess, note = found(model_named("vgg16"))
    assert preprocess == MODES["unit"]
    assert "a guess" in note


@pytest.mark.parametrize(
    "family, mode",
    [("convnext", "torch"), ("mobilenet_v3", "tf"), ("efficientnet_v2", "torch")],
)
def test_a_family_built_without_its_scaling_gets_the_same_from_outside(noise, found, family, mode):
    whole, bare = of_keras(family), of_keras(family, include_preprocessing=False)
    preprocess, note = found(bare)
    assert note.startswith(f"{mode!r}: ")
    assert "by the convention of" in note
    bare.set_weights(whole.get_weights())
    pictures = noise(2, 32, 32, 3) * 255
    inside, outside = whole(pictures).numpy(), bare(preprocess(pictures)).numpy()
    assert np.abs(outside - inside).max() < 0.02 * np.abs(inside).max()


def test_a_backbone_rebuilt_for_other_channels_is_guessed_where_its_colors_mean_nothing(found):
    model = APPLICATIONS.VGG16(weights=None, include_top=False, input_shape=(32, 32, 1))
    preprocess, note = found(model)
    assert preprocess == MODES["unit"]
    assert "a guess for 1 channels" in note


def test_a_flip_of_colors_in_front_of_a_backbone_is_turned_back(noise, found):
    picture = keras.Input((32, 32, 3))
    vgg = of_keras("vgg16")
    preprocess, note = found(keras.Model(picture, vgg(picture[..., ::-1])))
    pictures = gray_levels(noise)
    expected = APPLICATIONS.vgg16.preprocess_input(pictures.copy())
    np.testing.assert_allclose(np.asarray(preprocess(pictures))[..., ::-1], expected, atol=1e-3)
    assert "assumed" in note


# What stands in front of the first weights, and the range that goes with it.
IMAGENET = np.array([0.485, 0.456, 0.406], "f4"), np.array([0.229, 0.224, 0.225], "f4")
FRONTS = {
    "x / 255": (lambda x: x / 255, "none"),
    "x / 255 - .5": (lambda x: x / 255 - 0.5, "none"),
    "x / 127.5 - 1": (lambda x: x / 127.5 - 1, "none"),
    "(x - 128) / 128": (lambda x: (x - 128) / 128, "none"),
    "x - 128": (lambda x: x - 128, "none"),
    "1 - x / 255": (lambda x: 1 - x / 255, "none"),
    "gamma": (lambda x: (x / 255) ** 2.2, "none"),
    "clipped": (lambda x: keras.ops.clip(x, 0, 255) / 255, "none"),
    "x / 1000": (lambda x: x / 1000, "none"),
    "2 x - 1": (lambda x: 2 * x - 1, "unit"),
    "x - .5": (lambda x: x - 0.5, "unit"),
    "x * 255": (lambda x: x * 255, "unit"),
    "by mean and deviation": (lambda x: (x - IMAGENET[0]) / IMAGENET[1], "unit"),
    "(x + 1) / 2": (lambda x: (x + 1) / 2, "tf"),
    "(x + 1) * 127.5": (lambda x: (x + 1) * 127.5, "tf"),
    "caffe": (APPLICATIONS.vgg16.preprocess_input, "none"),
    "torch": (APPLICATIONS.densenet.preprocess_input, "none"),
    "tf": (APPLICATIONS.xception.preprocess_input, "none"),
    "Rescaling(1 / 255)": (L.Rescaling(1 / 255), "none"),
    "Rescaling(1 / 127.5, -1)": (L.Rescaling(1 / 127.5, -1), "none"),
    "Rescaling(255)": (L.Rescaling(255.0), "unit"),
    "Rescaling(2, -1)": (L.Rescaling(2.0, -1), "unit"),
    "Lambda": (L.Lambda(lambda x: x / 255), "none"),
    "augmented": (lambda x: L.Rescaling(1 / 255)(L.RandomRotation(0.1)(L.RandomFlip()(x))), "none"),
    "letterboxed": (lambda x: L.Resizing(20, 28, pad_to_aspect_ratio=True)(x / 255), "none"),
    "Normalization of 0..255": (lambda x: L.Normalization(mean=[120, 115, 100], variance=[3600] * 3)(x), "none"),
    "Normalization of 0..1": (lambda x: L.Normalization(mean=[0.47, 0.45, 0.4], variance=[0.06] * 3)(x), "unit"),
    "Normalization of mean .5": (lambda x: L.Normalization(mean=0.5, variance=0.1)(x), "unit"),
    "Normalization of -1..1": (lambda x: L.Normalization(mean=-0.1, variance=0.25)(x), "tf"),
    "both": (lambda x: L.Normalization(mean=0.5, variance=0.1)(L.Rescaling(1 / 255)(x)), "none"),
    "each picture by itself": (L.Lambda(lambda x: x / keras.ops.max(x, (1, 2, 3), keepdims=True)), "none"),
    "brightness within 0..1": (lambda x: L.RandomBrightness(0.2, value_range=(0, 1))(x), "unit"),
}  # fmt: skip
SAY_NOTHING = {
    "nothing": lambda x: x,
    "flips": lambda x: L.RandomFlip()(x)[..., ::-1],
    "gray": lambda x: keras.ops.image.rgb_to_grayscale(x),
    "halved": lambda x: x * 0.5,
    "an untrained normalization": lambda x: L.BatchNormalization()(x),
    "an untrained Normalization": lambda x: L.Normalization(mean=0.0, variance=1.0)(x),
    "a layer norm": lambda x: L.LayerNormalization()(x),
}
BODIES = {
    "convolution": lambda x: L.Conv2D(4, 3, activation="relu")(x),
    "depthwise": lambda x: L.DepthwiseConv2D(3, depth_multiplier=2)(x),
    "flat": lambda x: L.Reshape((1, 1, 4))(L.Dense(4)(L.Flatten()(x))),
    "pixels": lambda x: L.Dense(4, activation="tanh")(x),
    "nested": lambda x: keras.Sequential([keras.Sequential([L.Conv2D(4, 3)]), L.Rescaling(0.1)])(x),
}


def with_front(front, body, size=(16, 24, 3), **more):
    picture = keras.Input(size, **more)
    features = L.GlobalAveragePooling2D()(BODIES[body](front(picture)))
    return keras.Model(picture, L.Dense(3)(L.Rescaling(3.0)(features)))


@pytest.mark.parametrize("number, name", list(enumerate(FRONTS)))
def test_a_network_predicts_what_its_model_does_in_the_range_that_the_front_shows(noise, number, name):
    front, mode = FRONTS[name]
    model = with_front(front, list(BODIES)[number % len(BODIES)])
    before = [weight.numpy() for weight in model.weights]
    net, pictures = Network(model), noise(1, 16, 24, 3)
    assert net.preprocess_note.startswith(f"{mode!r}: ")
    assert "a guess" not in net.preprocess_note
    expected = model.predict(np.asarray(MODES[mode](pictures * 255)), verbose=0)
    np.testing.assert_allclose(net.call([pictures])[0], expected, rtol=1e-4, atol=1e-4)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


@pytest.mark.parametrize("number, name", list(enumerate(SAY_NOTHING)))
def test_where_nothing_shows_the_range_it_is_called_a_guess(found, number, name):
    preprocess, note = found(with_front(SAY_NOTHING[name], list(BODIES)[number % len(BODIES)]))
    assert preprocess == MODES["unit"]
    assert "a guess" in note


BACKBONES = {
    "mobilenet_v2": ("MobileNetV2", {"alpha": 0.35}, "tf"),
    "vgg16": ("VGG16", {}, "caffe"),
    "densenet": ("DenseNet121", {}, "torch"),
}
BEFORE_BACKBONES = {
    "their own preprocessing": (None, "none"),
    "Rescaling(1 / 255)": (L.Rescaling(1 / 255), "none"),
    "a layer norm of 0..1": (lambda x: L.Normalization(mean=[0.5] * 3, variance=[0.07] * 3)(x), "unit"),
    "2 x - 1": (lambda x: 2 * x - 1, "unit"),
    "(x + 1) * 127.5": (lambda x: (x + 1) * 127.5, "tf"),
}


@pytest.mark.parametrize("family", BACKBONES)
def test_what_is_before_a_backbone_counts_before_its_convention(found, family):
    name, more, mode = BACKBONES[family]
    backbone = getattr(APPLICATIONS, name)(weights=None, include_top=False, input_shape=(32, 32, 3), **more)
    for front, range_ in BEFORE_BACKBONES.values():
        picture = keras.Input((32, 32, 3))
        front = front or getattr(APPLICATIONS, family).preprocess_input
        assert found(keras.Model(picture, backbone(front(picture))))[0] == MODES[range_]
    picture = keras.Input((32, 32, 3))
    bare = keras.Model(picture, backbone(L.RandomFlip()(picture)))
    assert found(bare)[0] == MODES[mode]


@pytest.mark.parametrize("steps", [3, 30, 1000])
@pytest.mark.parametrize("mode, mean, variance", [("unit", 0.45, 0.07), ("tf", -0.1, 0.28), ("none", 115, 4500)])
def test_a_batch_normalization_shows_the_range_from_its_first_steps_on(found, mode, mean, variance, steps):
    model, rest = model_named("own", L.BatchNormalization()), 0.99**steps
    model.layers[0].moving_mean.assign([(1 - rest) * mean] * 3)
    model.layers[0].moving_variance.assign([rest + (1 - rest) * variance] * 3)
    preprocess, note = found(model)
    assert preprocess == MODES[mode]
    assert "the mean and variance in" in note


def test_a_rescaling_behind_the_first_weights_is_no_preprocessing(found):
    for first in (L.Conv2D(3, 3), L.DepthwiseConv2D(3), L.SeparableConv2D(3, 3)):
        preprocess, note = found(model_named("own", first, L.Rescaling(1 / 255)))
        assert preprocess == MODES["unit"]
        assert "a guess" in note


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_whole_numbers_are_0_to_255(noise, dtype):
    model = with_front(lambda x: keras.ops.cast(x, "float32") / 127.5 - 1, "convolution", dtype=dtype)
    net, pictures = Network(model), np.round(noise(1, 16, 24, 3) * 255) / 255
    assert net.preprocess == MODES["none"]
    assert "whole numbers" in net.preprocess_note
    expected = model.predict(np.uint8(np.round(pictures * 255)), verbose=0)
    np.testing.assert_allclose(net.call([tf.constant(pictures, tf.float32)])[0], expected, atol=1e-5)


def test_int8_does_not_hold_0_to_255(noise):
    network = Network(with_front(lambda x: keras.ops.cast(x, "float32") / 127, "convolution", dtype="int8"))
    assert "-128..127" in network.preprocess_note and "a guess" in network.preprocess_note
    pictures = np.round(noise(1, 16, 24, 3) * 255)
    expected = network.model.predict(np.int8(pictures - 128), verbose=0)
    np.testing.assert_allclose(network.call([tf.constant(pictures / 255, tf.float32)])[0], expected, atol=1e-5)


def test_whole_numbers_are_0_to_255_where_no_weights_are_found():
    picture = keras.Input((8, 8, 3), dtype="uint8")
    network = Network(keras.Model(picture, keras.ops.mean(keras.ops.cast(picture, "float32"), (1, 2))))
    assert network.preprocess == MODES["none"]


def test_a_cast_that_scales_whole_numbers_is_made_good(noise):
    scaling = L.Lambda(lambda x: tf.image.convert_image_dtype(x, tf.float32), dtype="float32")
    model = with_front(scaling, "convolution", dtype="uint8")
    net, pictures = Network(model), np.round(noise(1, 16, 24, 3) * 255) / 255
    expected = model.predict(np.uint8(np.round(pictures * 255)), verbose=0)
    np.testing.assert_allclose(net.call([tf.constant(pictures, tf.float32)])[0], expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_fronts_are_followed_for_any_number_of_channels(found, channels):
    assert found(with_front(lambda x: x / 255, "convolution", (16, 16, channels)))[0] == MODES["none"]
    assert found(with_front(lambda x: x * 2 - 1, "flat", (16, 16, channels)))[0] == MODES["unit"]


def test_gray_that_becomes_three_colors_keeps_the_convention_of_the_backbone(found):
    picture = keras.Input((32, 32, 1))
    model = keras.Model(picture, small_mobilenet()(L.Concatenate()([picture] * 3)))
    assert found(model)[0] == MODES["tf"]


def test_the_front_is_followed_where_channels_come_first(found):
    picture = keras.Input((3, 16, 16))
    for front, mode in ((lambda x: x / 255, "none"), (lambda x: 2 * x - 1, "unit")):
        model = keras.Model(picture, L.Conv2D(2, 3, data_format="channels_first")(front(picture)))
        assert found(model)[0] == MODES[mode]


def test_the_front_is_followed_in_half_precision(found):
    model = with_front(APPLICATIONS.vgg16.preprocess_input, "convolution")
    assert found(model)[0] == MODES["none"]
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        assert found(with_front(APPLICATIONS.vgg16.preprocess_input, "convolution"))[0] == MODES["none"]
        assert found(with_front(lambda x: L.Rescaling(2, -1)(x), "flat"))[0] == MODES["unit"]
    finally:
        keras.mixed_precision.set_dtype_policy(policy)


class Standardizing(L.Layer):
    """A layer that keeps a mean and a deviation as weights of its own."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(1, 1, 1, 3), initializer=keras.initializers.Constant(120), trainable=False)
        self.deviation = self.add_weight(shape=(3,), initializer=keras.initializers.Constant(60), trainable=False)

    def call(self, x):
        return (x - self.mean) / self.deviation


def test_weights_that_mix_no_pixels_are_part_of_the_front(found):
    assert found(model_named("own", Standardizing()))[0] == MODES["none"]
    assert found(model_named("own", L.PReLU(shared_axes=(1, 2)), L.Rescaling(1 / 255)))[0] == MODES["none"]


class OwnWeights(keras.Model):
    """A subclassed model that holds its kernel itself."""

    def __init__(self, factor):
        super().__init__()
        self.factor, self.kernel = factor, self.add_weight(shape=(3, 3, 3, 2), name="kernel")

    def call(self, x):
        return tf.reduce_mean(tf.nn.conv2d(x * self.factor, self.kernel, 1, "SAME"), (1, 2))


@pytest.mark.parametrize("factor, mode", [(1 / 255, "none"), (255.0, "unit"), (1.0, "unit")])
def test_the_front_of_a_subclassed_model_is_followed(found, factor, mode):
    model = OwnWeights(factor)
    model(np.zeros((1, 16, 16, 3), "f4"))
    assert found(model)[0] == MODES[mode]


class Counting(L.Layer):
    """A layer that counts its calls in a variable and draws random numbers whenever it runs."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x):
        self.count.assign_add(1.0)
        return x / 255 + 1e-4 * keras.random.normal(keras.ops.shape(x), seed=self.seeds)


def test_looking_at_the_front_changes_nothing(found):
    model = model_named("own", Counting())
    before = [variable.numpy() for variable in model.variables]
    drawn = tf.random.get_global_generator().state.numpy()
    assert found(model)[0] == MODES["none"]
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    np.testing.assert_array_equal(tf.random.get_global_generator().state.numpy(), drawn)


def two_inputs(first, second):
    photo, mask = keras.Input((16, 16, 3), name="photo"), keras.Input((16, 16, 1), name="mask")
    parts = [L.GlobalAveragePooling2D()(L.Conv2D(2, 3)(front(x))) for front, x in ((first, photo), (second, mask))]
    return keras.Model([photo, mask], L.Dense(2)(L.Concatenate()(parts)))


def test_each_picture_input_gets_its_own_range(noise):
    model = two_inputs(lambda x: x / 255, lambda x: 2 * x - 1)
    net, photo, mask = Network(model), noise(1, 16, 16, 3), noise(1, 16, 16, 1, seed=1)
    expected = model.predict([photo * 255, mask], verbose=0)
    np.testing.assert_allclose(net.call([photo, mask])[0], expected, atol=1e-5)
    assert net.preprocess_note.startswith("'photo' 'none': the network takes 0..255")
    assert "; 'mask' 'unit': the network takes 0..1" in net.preprocess_note
    again = Network(model, net.preprocess)
    np.testing.assert_allclose(again.call([photo, mask])[0], expected, atol=1e-5)
    assert again.fingerprint() == net.fingerprint() != Network(model, "unit").fingerprint()


def test_inputs_may_be_told_their_preprocessings_by_name(noise):
    model = two_inputs(lambda x: x, lambda x: x)
    net, photo, mask = Network(model, {"photo": "caffe", "mask": "unit"}), noise(1, 16, 16, 3), noise(1, 16, 16, 1)
    expected = model.predict([np.asarray(MODES["caffe"](photo * 255)), mask], verbose=0)
    np.testing.assert_allclose(net.call([photo, mask])[0], expected, atol=1e-4)
    with pytest.raises(BadTarget, match="No picture input is called 'foto'. Name these: photo, mask"):
        Network(model, {"foto": "unit"})
    with pytest.raises(BadTarget, match="for 3 channels and the input 'mask' takes 1"):
        Network(model, "caffe")


class Converter(L.Layer):
    """An image converter as keras_hub's."""

    def __init__(self, scale, offset, image_size=(16, 16)):
        super().__init__()
        self.scale, self.offset, self.image_size = scale, offset, image_size

    def call(self, x):
        x = tf.image.resize(x, self.image_size)
        return x * (1 if self.scale is None else self.scale) + (0 if self.offset is None else self.offset)


class Keeping(keras.Model):
    """A functional model that keeps a preprocessor, and uses it in a call or not."""

    def __init__(self, preprocessor, uses=False):
        picture = keras.Input((16, 16, 3))
        x = preprocessor(picture) if uses else picture
        super().__init__(picture, L.GlobalAveragePooling2D()(L.Conv2D(3, 3)(x)))
        self.preprocessor = preprocessor


@pytest.mark.parametrize(
    "scale, offset, kind",
    [
        (1 / 255, 0.0, Scale),
        (1 / 255, None, Scale),
        (None, None, Scale),
        (1 / 127.5, -1.0, Scale),
        ([0.017, 0.018, 0.019], [-2.1, -2.0, -1.8], Affine),
    ],
)
def test_a_preprocessor_kept_with_a_model_is_used(noise, scale, offset, kind):
    model, pictures = Keeping(Converter(scale, offset)), noise(1, 16, 16, 3)
    net = Network(model)
    expected = model.predict(np.asarray(model.preprocessor(pictures * 255)), verbose=0)
    np.testing.assert_allclose(net.call([pictures])[0], expected, atol=1e-4)
    assert isinstance(net.preprocess, kind)
    assert "preprocessor kept with the model" in net.preprocess_note


def test_a_preprocessor_that_is_more_than_numbers_is_used_too(noise):
    class Own:
        def __call__(self, x):
            return (x / 255.0) ** 2

    model, pictures = Keeping(Own()), noise(1, 16, 16, 3)
    expected = model.predict(pictures**2, verbose=0)
    net = Network(model)
    np.testing.assert_allclose(net.call([pictures])[0], expected, atol=1e-4)
    assert "preprocessor kept with the model" in net.preprocess_note


def test_a_preprocessor_that_the_model_calls_itself_is_not_used_twice(noise):
    model, pictures = Keeping(Converter(1 / 255, 0.0), uses=True), noise(1, 16, 16, 3)
    net = Network(model)
    assert net.preprocess == MODES["none"]
    np.testing.assert_allclose(net.call([pictures])[0], model.predict(pictures * 255, verbose=0), atol=1e-5)


def test_auto_says_that_it_guesses(net):
    assert net("plain").preprocess_note.startswith("'unit': the network takes 0..1 (a guess")


def test_a_function_gets_gray_levels_and_its_answer_goes_to_the_model(build, noise, run):
    seen = []

    def mine(pictures):
        seen.append(pictures)
        return pictures / 255 - 0.25

    network, pictures = Network(build("plain"), preprocess=mine), noise(1, 8, 8, 3)
    np.testing.assert_allclose(run(network, pictures), network.model(pictures - 0.25), atol=1e-6)
    np.testing.assert_allclose(seen[-1], pictures * 255, rtol=1e-6)
    assert "your own" in network.preprocess_note


def test_an_asked_for_mode_wins_over_what_is_recognised():
    network = Network(of_keras("vgg16"), preprocess="tf")
    assert network.preprocess is MODES["tf"]
    assert "as you asked" in network.preprocess_note


@pytest.mark.parametrize("name", ["cafe", "", "AUTO", None, 3, ["tf"]])
def test_an_unknown_preprocessing_is_refused_with_the_choices(net, name):
    with pytest.raises(BadTarget, match="There is no preprocessing .*auto, none, unit, tf, caffe, torch"):
        Network(net("plain").model, preprocess=name)


@pytest.mark.parametrize("mode", ["caffe", "torch"])
def test_a_preprocessing_of_colors_is_refused_for_other_channels(mode):
    with pytest.raises(BadTarget, match="for 3 channels and this network takes 1"):
        Network(model_named("own", channels=1), preprocess=mode)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: np.asarray(x) / 255, "raised NotImplementedError.*use TensorFlow operations"),
        (lambda x: x / 255 if tf.reduce_max(x) > 1 else x, "raised OperatorNotAllowed.*use TensorFlow operations"),
        (lambda x, mean: x - mean, "raised TypeError.*'mean'"),
        (lambda _: None, "returned None.*whole batch"),
        (lambda x: x[0] / 255, "made the shape .8, 8, 3. of .1, 8, 8, 3.*3 channels"),
        (lambda x: tf.reduce_mean(x, -1, keepdims=True), "made the shape .1, 8, 8, 1. of"),
    ],
    ids=["numpy", "if", "two arguments", "nothing", "no batch", "gray"],
)
def test_a_function_that_cannot_preprocess_is_named_with_what_it_did(build, noise, function, said):
    network = Network(build("plain"), preprocess=function)
    with pytest.raises(BadTarget, match=f"The preprocess function {said}"):
        network.predict(noise(8, 8, 3))


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: tf.image.resize(x / 255, (6, 6)), "1, 6, 6, 3"),
        (lambda x: tf.pad(x / 255, [[0, 0], [1, 1], [1, 1], [0, 0]]), "1, 10, 10, 3"),
        (lambda x: tf.concat([x, x], 0) / 255, "2, 8, 8, 3"),
    ],
    ids=["resized", "padded", "two"],
)
def test_a_function_that_makes_other_pictures_than_the_network_takes_is_named(noise, function, shape):
    picture = keras.Input((8, 8, 3))
    network = Network(keras.Model(picture, keras.layers.Conv2D(2, 3, name="conv")(picture)), preprocess=function)
    said = f"function made the shape .{shape}. of .1, 8, 8, 3.*takes 8 x 8 pixels and 3 channels"
    with pytest.raises(BadTarget, match=said):
        network.predict(noise(8, 8, 3))
    with pytest.raises(BadTarget, match=said):
        next(cw.ascend(network, cw.objectives.channel("conv", 0), steps=1))
