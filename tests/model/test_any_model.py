"""Every kind of model that users bring: each can be listed, climbed, asked, and is left as it was."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras, tf

L = keras.layers
MODELS = {}


def model(function):
    MODELS[function.__name__] = function
    return function


def encoder(name="backbone", channels=3, size=None):
    picture = L.Input((size, size, channels))
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv1")(picture)
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv2")(L.MaxPooling2D()(x))
    return keras.Model(picture, x, name=name)


def scores(x, classes=4, activation="softmax"):
    return L.Dense(classes, activation=activation, name="out")(L.GlobalAveragePooling2D()(x))


@model
def rescaling_then_nested():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(encoder()(L.Rescaling(1 / 255)(picture)))), "backbone/conv2"


@model
def sequential_around_a_backbone():
    return keras.Sequential([L.Input((32, 32, 3)), encoder(), L.GlobalAveragePooling2D(), L.Dense(3)]), "conv2"


@model
def sequential_built_late():
    made = keras.Sequential([L.Conv2D(4, 3, name="c"), L.Flatten(), L.Dense(3)])
    made.build((None, 32, 32, 3))
    return made, "c"


@model
def two_levels_deep():
    inside, picture = L.Input((32, 32, 3)), L.Input((32, 32, 3))
    middle = keras.Model(inside, L.Conv2D(4, 1, name="post")(encoder("inner")(inside)), name="middle")
    return keras.Model(picture, scores(middle(picture))), "middle/inner/conv2"


@model
def two_branches_with_layers_of_one_name():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(L.Add()([encoder("left")(picture), encoder("right")(picture)]))), "right/conv2"


@model
def backbone_with_dots_in_its_name():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(encoder("mobilenetv2_1.00_224")(picture))), "mobilenetv2_1.00_224/conv2"


@model
def siamese():
    first, second = L.Input((32, 32, 3), name="first"), L.Input((32, 32, 3), name="second")
    shared = encoder()
    apart = L.Subtract()([L.GlobalAveragePooling2D()(shared(second)), L.GlobalAveragePooling2D()(shared(first))])
    return keras.Model([first, second], L.Dense(1, activation="sigmoid")(apart)), "conv2"


@model
def one_convolution_used_twice():
    picture = L.Input((32, 32, 3))
    twice = L.Conv2D(3, 3, padding="same", name="c")
    return keras.Model(picture, scores(twice(L.ReLU()(twice(picture))))), "c"


@model
def subclassed_with_a_bare_softmax():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.c, self.d = L.Conv2D(4, 3, activation="relu", name="c"), L.Dense(3)
            self.pool = L.GlobalAveragePooling2D()

        def call(self, x):
            return keras.ops.softmax(self.d(self.pool(self.c(x))))

    made = Net()
    made(np.zeros((1, 32, 32, 3), np.float32))
    return made, "c"


@model
def picture_and_table_by_name():
    picture, table = L.Input((32, 32, 3), name="picture"), L.Input((5,), name="table")
    both = L.Concatenate()([L.GlobalAveragePooling2D()(encoder()(picture)), L.Dense(4)(table)])
    return keras.Model({"table": table, "picture": picture}, L.Dense(3, activation="softmax")(both)), "conv2"


@model
def two_pictures_of_different_size():
    small, large = L.Input((32, 32, 3), name="small"), L.Input((48, 40, 3), name="large")
    pooled = [L.GlobalAveragePooling2D()(encoder("a")(small)), L.GlobalAveragePooling2D()(encoder("b")(large))]
    return keras.Model([small, large], L.Dense(3, activation="softmax")(L.Concatenate()(pooled))), "b/conv2"


@model
def outputs_by_name():
    picture = L.Input((32, 32, 3))
    x = L.GlobalAveragePooling2D()(encoder()(picture))
    return keras.Model(picture, {"kind": L.Dense(3, activation="softmax")(x), "box": L.Dense(4)(x)}), "conv2"


@model
def grey_pictures():
    picture = L.Input((28, 28, 1))
    return keras.Model(picture, scores(encoder(channels=1)(picture), 10)), "conv2"


@model
def seven_channels():
    picture = L.Input((28, 28, 7))
    return keras.Model(picture, scores(encoder(channels=7)(picture), 10)), "conv2"


@model
def whole_numbers():
    picture = L.Input((32, 32, 3), dtype="uint8")
    return keras.Model(picture, scores(encoder()(L.Rescaling(1 / 255)(picture)))), "conv2"


@model
def mixed_float16():
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        picture = L.Input((32, 32, 3))
        return keras.Model(picture, scores(encoder()(picture))), "conv2"
    finally:
        keras.config.set_dtype_policy(with_policy)


@model
def lambda_layer():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(encoder()(L.Lambda(lambda t: t * 2)(picture)))), "conv2"


@model
def segmentation():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, L.Conv2D(5, 1, activation="softmax", name="out")(encoder()(picture))), "conv2"


@model
def regression():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(encoder()(picture), 1, None)), "conv2"


@model
def softmax_as_its_own_layer():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, L.Softmax()(scores(encoder()(picture), 4, None))), "conv2"


@model
def augmentation_inside():
    picture = L.Input((32, 32, 3))
    x = encoder()(L.Dropout(0.5)(L.RandomFlip()(picture)))
    return keras.Model(picture, scores(L.BatchNormalization()(x))), "conv2"


@model
def channels_first():
    picture = L.Input((3, 32, 32))
    x = L.Conv2D(6, 3, data_format="channels_first", name="conv2", activation="relu")(picture)
    x = L.GlobalAveragePooling2D(data_format="channels_first")(x)
    return keras.Model(picture, L.Dense(3, activation="softmax")(x)), "conv2"


@model
def any_size():
    picture = L.Input((None, None, 3))
    return keras.Model(picture, scores(encoder()(picture))), "conv2"


@model
def one_squeezed_number():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, keras.ops.squeeze(scores(encoder()(picture), 1, "sigmoid"), -1)), "conv2"


@model
def one_number_without_a_layer():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, keras.ops.mean(encoder()(picture), (1, 2, 3))), "conv2"


@model
def upsampling_between_pixels():
    picture = L.Input((None, None, 3))
    x = L.UpSampling2D(2, interpolation="bilinear", name="larger")(encoder()(picture))
    return keras.Model(picture, L.Conv2D(5, 1, activation="softmax", name="out")(x)), "larger"


@model
def separable_convolutions_only():
    picture = L.Input((32, 32, 3))
    x = L.DepthwiseConv2D(3, depth_multiplier=2)(L.SeparableConv2D(6, 3)(picture))
    return keras.Model(picture, scores(L.Activation("relu", name="act")(x))), "act"


@model
def frozen_backbone_under_two_heads():
    picture, frozen = L.Input((32, 32, 3)), encoder()
    frozen.trainable = False
    x = L.GlobalAveragePooling2D()(frozen(picture))
    return keras.Model(picture, [L.Dense(3, activation="softmax")(x), L.Dense(2, activation="softmax")(x)]), "conv2"


@model
def hard_swish_everywhere():
    picture = L.Input((32, 32, 3))
    x = L.Conv2D(8, 3, name="conv")(picture)
    for _ in range(2):
        x = L.Activation("hard_swish")(L.BatchNormalization()(L.Conv2D(8, 3)(x)))
    return keras.Model(picture, scores(x)), "conv"


@model
def made_for_several_devices():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        picture = L.Input((32, 32, 3))
        made = keras.Model(picture, scores(encoder()(picture)))
        made.compile("adam", "categorical_crossentropy", jit_compile=True)
    return made, "conv2"


def a_picture(info):
    if not info.is_picture:
        return np.ones(info.shape, np.float32)
    return np.random.default_rng(0).random((40, 37, info.channels), np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_climbed_and_asked_and_left_as_it_was(name):
    made, layer = MODELS[name]()
    before = [np.array(w) for w in made.get_weights()]
    net = cw.Network(made)
    units = cw.visualize_units(net, layer, [0, 1], steps=3)
    assert np.isfinite(units.pictures).all()
    assert units.pictures.std() > 0
    scores = next((info.name for info in net.outputs if info.is_class_scores), None)
    if scores is not None:
        assert np.isfinite(cw.visualize_classes(net, [0], steps=3, output=scores).values).all()
    else:
        with pytest.raises(cw.BadTarget, match="not class scores"):
            cw.visualize_classes(net, [0], steps=3)
    given = [a_picture(info) for info in net.inputs]
    all_given, given = given, given if len(given) > 1 else given[0]
    best = net.predict(given, top=1)[0]
    assert np.isfinite(best.probability)
    sizes = {info.name: one.shape[:2] for info, one in zip(net.inputs, all_given, strict=True)}
    for heat in [*cw.class_activation_map(net, given, layer), *cw.attribution(net, given, method="gradient")]:
        assert np.isfinite(heat.map).all() and heat.raw.any()
        assert heat.map.shape == sizes[heat.input]
    for old, new in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any("call" in part.__dict__ for part in made._flatten_layers())


def test_a_sequential_is_as_good_as_its_functional_twin_however_it_was_made(tmp_path):
    def layers():
        return [L.Conv2D(4, 3, activation="relu", name="c"), L.GlobalAveragePooling2D(), L.Dense(3, "softmax")]

    x = picture = L.Input((32, 32, 3))
    for layer in layers():
        x = layer(x)
    twin = keras.Model(picture, x)
    with_input, late = keras.Sequential([L.Input((32, 32, 3)), *layers()]), keras.Sequential(layers())
    late.build((None, 32, 32, 3))
    late.set_weights(twin.get_weights())
    late.save(tmp_path / "late.keras")
    photo = np.random.default_rng(3).random((40, 30, 3), np.float32)
    heat, pictures = cw.class_activation_map(twin, photo, "c", 1)[0], cw.visualize_classes(twin, [1], steps=3)
    for made in (with_input, late, keras.models.load_model(tmp_path / "late.keras")):
        made.set_weights(twin.get_weights())
        np.testing.assert_allclose(cw.class_activation_map(made, photo, "c", 1)[0].raw, heat.raw, atol=1e-6)
        np.testing.assert_allclose(cw.visualize_classes(made, [1], steps=3).pictures, pictures.pictures, atol=1e-5)


def test_a_frozen_backbone_hands_gradients_on_from_each_head():
    made, layer = frozen_backbone_under_two_heads()
    photo = np.random.default_rng(3).random((32, 32, 3), np.float32)
    maps = [cw.class_activation_map(made, photo, layer, 0, output=head)[0].raw for head in (0, 1)]
    assert maps[0].any() and maps[1].any() and not np.allclose(*maps)
    assert not made.get_layer("backbone").trainable


def test_a_regression_is_explained_by_its_value():
    made, layer = regression()
    photo = np.random.default_rng(3).random((32, 32, 3), np.float32)
    heat = cw.class_activation_map(made, photo, layer, method="hirescam")[0]
    value = made(photo[None], training=False)[0, 0] - made.get_layer("out").bias[0]
    assert heat.raw.sum() == pytest.approx(float(value), rel=1e-4)  # a mean and a dense layer add up what is there


def test_hard_swish_networks_get_a_smooth_picture_by_default():
    keras.utils.set_random_seed(0)
    whole = keras.applications.MobileNetV3Small((32, 32, 3), include_top=False, weights=None)
    made = keras.Model(whole.input, whole.get_layer("expanded_conv_4_expand").output)  # what follows is not traced
    pics = cw.visualize_units(made, "expanded_conv_3_expand", [0, 1])
    assert pics.notes == ("", "") and pics.pictures.std() > 0.05
    light = pics.pictures.mean(-1)
    power = np.abs(np.fft.fft2(light - light.mean((1, 2), keepdims=True))) ** 2
    fine = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32))) > 0.25
    assert power[:, fine].sum() < 0.25 * power.sum()  # noise has four fifths of its power there


def test_a_reloaded_model_is_as_good_as_the_saved_one(tmp_path):
    made, layer = any_size()
    pictures = cw.visualize_units(made, layer, [1], steps=4).pictures
    for name in ("net.keras", "net.h5"):
        made.save(tmp_path / name)
        again = cw.visualize_units(keras.models.load_model(tmp_path / name, compile=False), layer, [1], steps=4)
        np.testing.assert_array_equal(again.pictures, pictures)


def test_one_squeezed_sigmoid_tells_two_classes():
    made, _ = one_squeezed_number()
    net, picture = cw.Network(made), np.full((32, 32, 3), 0.4, np.float32)
    told = {p.index: p.probability for p in net.predict(picture)}
    assert told == pytest.approx({1: float(made(net.preprocess(picture[None] * 255))[0]), 0: 1 - told[1]})
    for_one, for_zero = (cw.class_activation_map(net, picture, target=t)[0].raw for t in (1, 0))
    np.testing.assert_array_equal(for_one, -for_zero)


def test_one_number_for_the_whole_batch_is_refused():
    picture = L.Input((32, 32, 3))
    with pytest.raises(cw.BadModel, match="one number for the whole batch"):
        cw.Network(keras.Model(picture, keras.ops.mean(encoder()(picture))))


def test_upsampling_between_pixels_is_kerass_own_at_any_size():
    made, _ = upsampling_between_pixels()
    net, whole = cw.Network(made, "unit"), keras.Model(made.input, made.get_layer("larger").output)
    for size in ((20, 26), (33, 18)):
        picture = np.random.default_rng(0).random((*size, 3), np.float32)
        np.testing.assert_allclose(
            cw.feature_maps(net, picture, "larger")["larger"], whole(picture[None])[0], atol=1e-6
        )
    assert "_resize_images" not in made.get_layer("larger").__dict__


def test_a_layer_that_must_know_the_size_is_refused_with_the_remedy():
    def build(size):
        picture = L.Input((size, size, 3))
        return keras.Model(picture, L.Conv2D(2, 3)(L.RandomCrop(8, 8)(picture)))

    with pytest.raises(cw.BadModel, match=r"must know the size beforehand. Rebuild it for one size"):
        cw.Network(build(None)).layers  # noqa: B018
    assert cw.Network(build(32)).layers


def test_the_logit_is_found_wherever_the_softmax_hides():
    for name, squashed in (("softmax_as_its_own_layer", "softmax"), ("subclassed_with_a_bare_softmax", "softmax"),
                           ("siamese", "sigmoid"), ("regression", "")):  # fmt: skip
        assert cw.Network(MODELS[name]()[0]).outputs[0].squashed_by == squashed, name


def test_a_shared_layer_sees_each_input_at_one_of_its_calls():
    net = cw.Network(siamese()[0])
    seen = [net.sees("backbone/conv2", call) for call in (0, 1)]
    assert sorted(seen) == [(0,), (1,)]


def test_one_sigmoid_tells_two_classes_that_pull_apart():
    net = cw.Network(siamese()[0])
    pictures = cw.visualize_classes(net, [0, 1], steps=4, seed=3)
    assert np.abs(pictures.pictures[0] - pictures.pictures[1]).mean() > 1e-3


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: keras.Sequential([L.Conv2D(4, 3)]), cw.BadModel, "not built"),
        (lambda: keras.Sequential([L.Input((32, 3)), L.Conv1D(4, 3)]), cw.BadModel, "takes no picture"),
        (lambda: keras.Sequential([L.Input((8, 32, 32, 3)), L.Conv3D(4, 3)]), cw.BadModel, "takes no picture"),
        (lambda: "squeezenet", cw.BadModel, "Expected a keras.Model, got the path"),
    ],
)
def test_what_cannot_work_says_why(build, error, words):
    with pytest.raises(error, match=words):
        cw.Network(build())


def test_a_cut_gradient_names_the_layer_that_cuts():
    picture = L.Input((32, 32, 3))
    x = L.Lambda(tf.stop_gradient, name="scissors")(encoder()(picture))
    with pytest.raises(cw.BadTarget, match="'scissors' cuts it"):
        cw.visualize_units(keras.Model(picture, scores(x)), "out", [0])


def test_an_argmax_output_is_refused_before_anything_runs():
    picture = L.Input((32, 32, 3))
    made = keras.Model(picture, keras.ops.argmax(scores(encoder()(picture)), -1))
    with pytest.raises(cw.BadTarget, match="whole numbers"):
        cw.visualize_classes(made, [0])


def test_spoiled_weights_are_named():
    made, layer = any_size()
    weights = made.get_weights()
    weights[0][:] = np.nan
    made.set_weights(weights)
    with pytest.raises(cw.BadModel, match="conv1/kernel"):
        cw.visualize_units(made, layer, [0])
    weights = [np.full_like(w, np.nan) for w in weights]
    made.set_weights(weights)
    with pytest.raises(cw.BadModel, match="hold NaN"):
        cw.Network(made).predict(np.zeros((32, 32, 3), np.uint8))


def test_a_fixed_size_is_refused_by_name_or_resized_into():
    made, layer = rescaling_then_nested()
    with pytest.raises(cw.BadTarget, match="takes 32 x 32, not 48 x 48"):
        cw.visualize_units(made, layer, [0], size=48)
    assert cw.visualize_units(made, layer, [0], size=48, steps=3, resize=True).pictures.shape == (1, 48, 48, 3)


def test_a_held_input_changes_what_is_painted():
    net = cw.Network(picture_and_table_by_name()[0])
    grey = cw.visualize_classes(net, [1], steps=6)
    held = cw.visualize_classes(net, [1], steps=6, held={"table": np.full(5, 50.0)})
    assert held.values[0] != pytest.approx(grey.values[0], abs=1.0)
    with pytest.raises(cw.BadModel, match="no input 'tabel'"):
        cw.visualize_classes(net, [1], held={"tabel": np.zeros(5)})


@pytest.mark.parametrize("batch", [1, 2])
def test_a_stateful_layer_is_looked_at_and_keeps_its_state(batch):
    picture = keras.Input(batch_shape=(batch, 8, 8, 3))
    rows = keras.layers.Reshape((8, 16))(keras.layers.Conv2D(2, 3, padding="same", name="conv")(picture))
    lstm = keras.layers.LSTM(4, stateful=True)
    made = keras.Model(picture, keras.layers.Dense(3, activation="softmax")(lstm(rows)))
    net, seen = cw.Network(made, "unit"), np.random.default_rng(0).random((8, 8, 3), np.float32)
    probabilities = made.predict(np.repeat(seen[None], batch, 0), batch_size=batch, verbose=0)[0]
    before = [np.array(state) for state in lstm.states]
    first, second = net.predict(seen), net.predict(seen)
    assert first == second and sorted(p.probability for p in first) == pytest.approx(sorted(probabilities))
    assert cw.visualize_units(net, "conv", [0, 1], steps=1).pictures.shape == (2, 8, 8, 3)
    assert cw.class_activation_map(net, seen, "conv", target=1)[0].map.shape == (8, 8)
    for state, was in zip(lstm.states, before, strict=True):
        assert np.array_equal(state, was)
