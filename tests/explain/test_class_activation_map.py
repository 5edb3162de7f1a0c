"""Where a network looks: the right numbers for any model, and a word where there is nothing to see."""

import dataclasses
import functools

import numpy as np
import pytest

from cnnwidgets import pictures, samples
from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.explain import pass_cost
from cnnwidgets.explain.class_activation_map import MAP_METHODS, MapSettings, class_activation_map
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.methods import class_activation_maps
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.zoo import load_network
from tests.tiny_networks import fill

L, ops = keras.layers, keras.ops


def small(head, size=(16, 16, 3), conv=None, dtype=None):
    """A picture, a rectified convolution "conv", and whatever `head` makes of it, with weights of a fixed seed."""
    picture = keras.Input(size, name="picture", dtype=dtype)
    x = conv(picture) if conv else L.Conv2D(4, 3, activation="relu", name="conv")(picture)
    return fill(keras.Model(picture, head(x)))


def pooled(units, activation=None, name="logits"):
    gap = L.GlobalAveragePooling2D(name="gap" if name == "logits" else f"gap_{name}")
    return lambda x: L.Dense(units, activation=activation, name=name)(gap(x))


@functools.cache
def shared(name):
    """Networks that several tests look at."""
    heads = {
        "logits": pooled(3),
        "fused": pooled(3, "softmax"),
        "layer": lambda x: L.Softmax()(pooled(3)(x)),
        "activation": lambda x: L.Activation("softmax")(pooled(3)(x)),
        "bare": lambda x: ops.softmax(pooled(3)(x)),
        "log": pooled(3, "log_softmax"),
        "decision": pooled(1, "sigmoid"),
        "decision logit": pooled(1),
    }
    return Network(small(heads[name]), preprocess="unit")


def raws(net, picture, *arguments, **keywords):
    return [heat.raw for heat in class_activation_map(net, picture, *arguments, **keywords)]


# -- against a model split by hand


@pytest.mark.parametrize("method", class_activation_maps.RULES)
def test_a_map_is_that_of_a_model_split_by_hand(build, noise, method):
    model, picture = build("plain"), noise(24, 20, 3)
    base = keras.Model(model.inputs[0], model.get_layer("conv2").output)
    head = keras.Model(model.get_layer("conv2").output, model.get_layer("logits").output)
    activation = base(picture[None])
    with tf.GradientTape() as tape:
        tape.watch(activation)
        logit = head(activation)[:, 3]
    expected = class_activation_maps.RULES[method](activation[0].numpy(), tape.gradient(logit, activation)[0].numpy())
    (heat,) = class_activation_map(model, picture, "conv2", 3, method)
    np.testing.assert_allclose(heat.raw, expected, atol=1e-6)
    shares = pictures.resize(np.maximum(expected, 0), (24, 20))
    np.testing.assert_allclose(heat.map, shares / shares.max(), atol=1e-5)


def test_ablation_cam_is_that_of_a_model_split_by_hand(build, noise):
    model, picture = build("plain"), noise(24, 20, 3)
    activation = keras.Model(model.inputs[0], model.get_layer("conv2").output)(picture[None])[0].numpy()
    head = keras.Model(model.get_layer("conv2").output, model.get_layer("logits").output)
    expected = np.zeros(activation.shape[:2], np.float32)
    for k in range(activation.shape[-1]):
        without = activation.copy()
        without[..., k] = 0
        fall = head(activation[None])[0, 2] - head(without[None])[0, 2]
        expected += fall.numpy() * activation[..., k]
    (raw,) = raws(model, picture, "conv2", 2, "ablation_cam")
    np.testing.assert_allclose(raw, expected, atol=1e-5)


def test_layers_behind_may_have_to_know_the_size_of_what_they_get(noise):
    pixels, picture = keras.Input((12, 10, 3)), noise(12, 10, 3)
    seen = L.Conv2D(3, 3, activation="relu", name="conv")(pixels)
    scores = L.Dense(4, name="scores")(L.GlobalAveragePooling2D()(L.LayerNormalization(axis=[1, 2, 3])(seen) ** 2))
    net = Network(keras.Model(pixels, scores), "unit")
    activation, head = keras.Model(pixels, seen)(picture[None]).numpy(), keras.Model(seen, scores)
    expected = np.zeros((10, 8), np.float32)
    for k in range(3):
        without = activation * (np.arange(3) != k)
        expected += (head(activation)[0, 2] - head(without)[0, 2]).numpy() * activation[0, ..., k]
    np.testing.assert_allclose(raws(net, picture, "conv", 2, "ablation_cam")[0], expected, atol=1e-5)
    for method in ("score_cam", "grad_cam"):
        assert raws(net, picture, "conv", 2, method)[0].any()


def test_score_cam_is_the_network_asked_about_masked_pictures(noise):
    net, picture = shared("logits"), noise(16, 16, 3)
    activation = Probe(net, picture).activations("conv")[0][0].numpy()
    values = []
    for k in range(4):
        channel = activation[..., k]
        mask = np.pad((channel - channel.min()) / np.ptp(channel), 1, "edge")[..., None]  # 14 x 14 in the middle
        values.append(float(net.model((0.5 + (picture - 0.5) * mask)[None])[0, 1]))
    weights = np.exp(values) / np.exp(values).sum()
    (raw,) = raws(net, picture, "conv", 1, "score_cam")
    np.testing.assert_allclose(raw, activation @ weights, rtol=1e-3, atol=1e-5)


def test_three_methods_agree_before_global_pooling_and_a_linear_head(net, noise):
    picture = noise(24, 20, 3)
    expected = raws(net("plain"), picture, method="grad_cam")[0]
    for method in ("hirescam", "xgrad_cam"):
        np.testing.assert_allclose(raws(net("plain"), picture, method=method)[0], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["fused", "layer", "activation", "bare", "log"])
def test_a_class_is_explained_by_its_logit_wherever_the_softmax_hides(noise, name):
    picture = noise(16, 16, 3)
    for target in (0, None):
        expected = raws(shared("logits"), picture, "conv", target)
        np.testing.assert_allclose(raws(shared(name), picture, "conv", target), expected, atol=1e-6)


# -- the map


@pytest.mark.parametrize("method", MAP_METHODS)
def test_every_method_gives_a_map_of_the_pictures_own_size(noise, method):
    (heat,) = class_activation_map(shared("fused"), noise(37, 53, 3), target=2, method=method)
    assert heat.map.shape == (37, 53) and heat.map.dtype == np.float32
    assert heat.raw.shape == (14, 14) and heat.raw.dtype == np.float32
    assert heat.map.min() >= 0 and heat.map.max() in (0, 1)
    assert (heat.path, heat.call, heat.input) == ("conv", 0, "picture")


def test_a_network_of_any_size_gets_the_picture_as_it_is(net, noise):
    (heat,) = class_activation_map(net("plain"), noise(37, 53, 3))
    assert heat.map.shape == (37, 53) and heat.raw.shape == (18, 26)


def test_a_very_large_picture_keeps_its_size(net):
    (heat,) = class_activation_map(net("plain"), np.zeros((64, 1500, 3), np.uint8))
    assert heat.map.shape == (64, 1500) and heat.raw.shape == (22, 512)


def test_a_heatmap_is_a_frozen_value_that_shows_itself_in_one_line(noise):
    (heat,) = class_activation_map(shared("fused"), noise(20, 30, 3), method="eigen_cam")
    shown = "Heatmap('conv', call 0, input 'picture', 14 x 14 for 20 x 30, 'not class-specific')"
    assert repr(heat) == shown
    assert [field.name for field in dataclasses.fields(Heatmap)] == [
        "map", "raw", "path", "call", "input", "note", "placement",
    ]  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        heat.note = ""


@pytest.mark.parametrize("method", MAP_METHODS)
def test_the_same_bytes_again(noise, method):
    picture = noise(16, 16, 3)
    first, second = (raws(shared("fused"), picture, method=method)[0] for _ in range(2))
    assert first.tobytes() == second.tobytes()


# -- targets


def test_without_a_target_the_top_class_is_explained(noise):
    picture = noise(16, 16, 3)
    top = shared("fused").predict(picture)[0].index
    np.testing.assert_array_equal(raws(shared("fused"), picture), raws(shared("fused"), picture, target=top))


@pytest.mark.parametrize("method", MAP_METHODS)
def test_the_top_class_is_explained_also_where_a_trial_has_another(noise, method):
    model = small(pooled(2), size=(8, 8, 1), conv=L.Conv2D(2, 1, activation="relu", name="conv"))
    rivals = [np.array([[[[1.0, -1.0]]]]), np.array([0.0, 1.0]), np.eye(2), np.zeros(2)]  # a channel for each class
    model.set_weights(rivals)
    net, picture = Network(model, "unit"), noise(8, 8, 1)
    top = net.predict(picture)[0].index
    np.testing.assert_array_equal(raws(net, picture, method=method), raws(net, picture, target=top, method=method))


def test_a_class_may_be_named(noise):
    picture = noise(16, 16, 3)
    named = Network(shared("fused").model, "unit", ["cat", "dog", "crane"])
    np.testing.assert_array_equal(raws(named, picture, target="Dog"), raws(shared("fused"), picture, target=1))


def test_a_target_may_be_a_function_of_the_output(noise):
    picture = noise(16, 16, 3)
    found = raws(shared("logits"), picture, target=lambda output: output[:, 1] - 2 * output[:, 0])
    one, two = (raws(shared("logits"), picture, target=target)[0] for target in (1, 0))
    np.testing.assert_allclose(found[0], one - 2 * two, atol=1e-6)


def test_one_sigmoid_speaks_for_class_1_and_against_class_0(noise):
    picture = noise(16, 16, 3)
    for_one, for_zero = (raws(shared("decision"), picture, target=t)[0] for t in (1, 0))
    np.testing.assert_array_equal(for_one, -for_zero)
    np.testing.assert_allclose(for_one, raws(shared("decision logit"), picture)[0], atol=1e-6)
    decided = int(shared("decision").model(picture[None])[0, 0] > 0.5)
    np.testing.assert_array_equal(raws(shared("decision"), picture), [(for_zero, for_one)[decided]])
    with pytest.raises(BadTarget, match="no class 2"):
        raws(shared("decision"), picture, target=2)


def test_a_segmentation_is_explained_by_its_mean_logit_or_one_pixel(noise):
    masks = Network(small(lambda x: L.Conv2D(2, 1, activation="softmax", name="mask")(x)), "unit")
    picture = noise(16, 16, 3)
    weights = masks.model.get_layer("mask").kernel.numpy()[0, 0]  # [4, 2]
    activation = Probe(masks, picture).activations("conv")[0][0].numpy()
    np.testing.assert_allclose(raws(masks, picture, target=1)[0], activation @ weights[:, 1] / 14**2, atol=1e-6)
    (pixel,) = raws(masks, picture, target=lambda output: output[:, 5, 9, 1], method="hirescam")
    assert pixel[5, 9] != 0 and np.count_nonzero(pixel) == 1


@pytest.mark.parametrize("kind", [list, dict])
def test_the_output_that_is_explained_is_picked_by_index_or_name(noise, kind):
    def heads(x):
        x = L.GlobalAveragePooling2D()(x)
        both = {"color": L.Dense(3, name="color")(x), "shape": L.Dense(2, activation="softmax", name="shape")(x)}
        return both if kind is dict else list(both.values())

    net, picture = Network(small(heads), "unit"), noise(16, 16, 3)
    first, second = raws(net, picture, target=1)[0], raws(net, picture, target=1, output=1)[0]
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(raws(net, picture, target=1, output="shape")[0], second)
    np.testing.assert_array_equal(raws(net, picture, target=1, output="color")[0], first)
    of_all = lambda outputs: outputs["color" if kind is dict else 0][:, 1]  # noqa: E731
    np.testing.assert_allclose(raws(net, picture, target=of_all)[0], first, atol=1e-6)
    np.testing.assert_allclose(raws(net, picture, target=lambda o: o[:, 1], output="color")[0], first, atol=1e-6)
    with pytest.raises(BadTarget, match="no class 2"):
        raws(net, picture, target=2, output="shape")
    with pytest.raises(BadTarget, match="no output 'size'.*color"):
        raws(net, picture, output="size")


# -- any model


@pytest.mark.parametrize(
    "name, path, shape",
    [
        ("plain", "conv2", (20, 16)), ("sequential", "pool", (15, 15)), ("nested", "backbone/conv", (36, 28)),
        ("subclassed", "block/deep_conv", (36, 28)), ("inputs_as_list", "conv", (30, 30)),
        ("inputs_as_dict", "conv", (30, 30)), ("channels_first", "conv2", (13, 13)),
        ("mixed_float16", "conv", (38, 30)), ("with_state", "relu", (38, 30)), ("linear", "conv", (40, 32)),
    ],
)  # fmt: skip
def test_the_last_layer_with_rows_and_columns_is_taken(net, noise, name, path, shape):
    (heat,) = class_activation_map(net(name), noise(40, 32, 3))
    assert (heat.path, heat.raw.shape, heat.map.shape) == (path, shape, (40, 32))
    assert heat.input == net(name).inputs[net(name).picture_inputs[0]].name


@pytest.mark.parametrize(
    "name, layer, path", [("nested", "deep.v2/conv", "backbone/deep.v2/conv"), ("subclassed", "conv", "conv"),
                          ("nested", "backbone", "backbone"), ("subclassed", "block", "block")]
)  # fmt: skip
def test_layers_are_reached_at_any_depth(net, noise, name, layer, path):
    (heat,) = class_activation_map(net(name), noise(40, 32, 3), layer)
    assert heat.path == path and heat.raw.any() and heat.map.shape == (40, 32)


def test_a_shared_encoder_gives_a_map_for_each_picture_at_its_size(net, noise):
    left, right = noise(20, 30, 3), noise(40, 50, 3, seed=1)
    found = class_activation_map(net("siamese"), [left, right], target=1)
    assert [(h.path, h.call, h.input, h.map.shape) for h in found] == [
        ("encoder/conv", 0, "left", (20, 30)), ("encoder/conv", 1, "right", (40, 50)),
    ]  # fmt: skip
    other_way = class_activation_map(net("siamese"), {"right": left, "left": right}, target=1)
    np.testing.assert_allclose(found[0].raw, -other_way[1].raw, atol=1e-6)  # the model takes a difference
    (one,) = class_activation_map(net("siamese"), [left, right], target=1, call=1)
    np.testing.assert_array_equal(one.raw, found[1].raw)


def test_the_input_that_a_call_sees_is_found_by_gradient(noise):
    pair = [keras.Input((12, 12, 3), name="first"), keras.Input((12, 12, 3), name="second")]
    encoder = keras.Sequential(
        [keras.Input((12, 12, 3)), L.Conv2D(3, 3, activation="relu", name="conv")], name="encoder"
    )
    right, left = encoder(pair[1]), encoder(pair[0])  # the second input is encoded first
    mixed = L.Conv2D(3, 1, name="mixed")(L.Concatenate()([left, right]))
    head = L.Dense(2)(L.GlobalAveragePooling2D()(mixed))
    net = Network(keras.Model(pair, head))
    found = class_activation_map(net, [noise(12, 12, 3), noise(9, 8, 3)], "encoder/conv")
    assert {heat.input: heat.map.shape for heat in found} == {"second": (9, 8), "first": (12, 12)}
    activations = Probe(net, [noise(12, 12, 3), noise(9, 8, 3)]).activations("encoder/conv")
    for heat, activation in zip(found, activations, strict=True):
        given = {"first": noise(12, 12, 3), "second": pictures.resize(noise(9, 8, 3), (12, 12))}[heat.input]
        np.testing.assert_allclose(activation, encoder.layers[0](given[None]), atol=1e-5)
    (both,) = class_activation_map(net, [noise(12, 12, 3), noise(9, 8, 3)], "mixed")
    assert both.input is None and both.map.shape == (12, 12)
    default = class_activation_map(net, [noise(12, 12, 3), noise(9, 8, 3)])
    assert [heat.path for heat in default] == ["encoder/conv"] * 2  # the deepest that sees one picture each


def test_a_layer_that_is_called_twice_gives_two_maps_in_the_order_of_the_calls(net, noise):
    picture = noise(20, 16, 3)
    first, second = class_activation_map(net("twice"), picture, "conv", 1, "hirescam")
    assert (first.call, second.call) == (0, 1)
    conv, dense = net("twice").model.get_layer("conv"), net("twice").model.get_layer("logits")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(once := conv(picture[None]))
        tape.watch(again := conv(once))
        logit = dense(tf.reduce_mean(again, (1, 2)))[:, 1]
    np.testing.assert_allclose(first.raw, (once * tape.gradient(logit, once))[0].numpy().sum(-1), atol=1e-6)
    np.testing.assert_allclose(second.raw, (again * tape.gradient(logit, again))[0].numpy().sum(-1), atol=1e-6)


def test_a_table_beside_the_picture_is_held_as_it_was_given(net, noise):
    given = {"photo": noise(32, 32, 3), "age": np.array([1.0, 2, 3, 4])}
    (heat,) = class_activation_map(net("inputs_as_dict"), given, target=0)
    (listed,) = class_activation_map(net("inputs_as_list"), [given["age"], given["photo"]], target=0)
    np.testing.assert_array_equal(heat.raw, listed.raw)
    assert heat.input == "photo"


def test_a_channels_first_model_gives_the_map_of_its_twin(noise):
    picture, found = noise(32, 32, 3), []
    for order in ("channels_first", "channels_last"):
        given = keras.Input((3, 32, 32) if order == "channels_first" else (32, 32, 3))
        x = L.Conv2D(5, 3, strides=(1, 2), activation="relu", data_format=order, name="conv")(given)
        x = L.GlobalAveragePooling2D(data_format=order)(L.ReLU(name="relu")(x))
        model = keras.Model(given, L.Dense(3)(x))
        numbers = np.random.default_rng(0)
        model.set_weights([numbers.normal(0, 0.3, w.shape) for w in model.get_weights()])
        net = Network(model, "unit")
        found.append([raws(net, picture, "relu", 1, method)[0] for method in MAP_METHODS])
    assert found[0][0].shape == (30, 15)
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


@functools.cache
def faint(dtype):
    """A network with gradients so small that they would vanish in half precision."""
    given = keras.Input((96, 96, 3))
    x = L.Conv2D(4, 3, activation="relu", dtype=dtype, name="conv")(given)
    x = L.GlobalAveragePooling2D(dtype=dtype)(L.Conv2D(4, 3, activation="relu", dtype=dtype)(x))
    model = keras.Model(given, L.Activation("softmax", dtype="float32")(L.Dense(3, dtype=dtype)(x)))
    numbers = np.random.default_rng(0)
    model.set_weights([numbers.normal(0, 0.02, w.shape) for w in model.get_weights()])
    return Network(model, "unit")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("method", ["grad_cam", "layer_cam", "ablation_cam"])
def test_half_precision_gives_the_map_of_full_precision(noise, policy, method):
    picture = noise(96, 96, 3)
    found = [raws(faint(dtype), picture, "conv", 1, method)[0].ravel() for dtype in (policy, "float32")]
    assert np.isfinite(found[0]).all()
    assert np.corrcoef(*found)[0, 1] > 0.9


def test_gradients_that_half_precision_cannot_hold_are_found_all_the_same(noise):
    picture, found = noise(96, 96, 3), []
    for dtype in ("mixed_float16", "float32"):
        given = keras.Input((96, 96, 3))
        x = L.Conv2D(4, 3, activation="relu", dtype=dtype, name="conv")(given)
        x = L.GlobalAveragePooling2D(dtype=dtype)(L.Conv2D(4, 3, dtype=dtype)(x))
        model = keras.Model(given, L.Dense(3, dtype=dtype)(x))
        numbers = np.random.default_rng(0)
        spreads = [0.2, 0, 0.002, 0, 0.002, 0]  # so the gradient at the first layer is some 1e-9, and 6e-8 the least
        model.set_weights([numbers.normal(0, s, w.shape) for s, w in zip(spreads, model.get_weights(), strict=True)])
        found.append(raws(Network(model, "unit"), picture, "conv", 1, "hirescam")[0].ravel())
    assert np.corrcoef(*found)[0, 1] > 0.9


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_pictures_of_any_number_of_channels(noise, channels):
    net = Network(small(pooled(3), (28, 28, channels)))
    (heat,) = class_activation_map(net, noise(28, 28, channels))
    assert heat.map.shape == (28, 28) and heat.raw.any()


def test_a_model_that_takes_whole_numbers(noise):
    def conv(picture):
        return L.Conv2D(4, 3, activation="relu", name="conv")(L.Rescaling(1 / 255)(picture))

    whole, floats = (Network(small(pooled(3), conv=conv, dtype=dtype)) for dtype in ("uint8", "float32"))
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_allclose(raws(whole, picture, target=1), raws(floats, picture, target=1), atol=1e-6)


def test_layers_that_cannot_be_cloned_are_passed_through(noise):
    net = Network(small(lambda x: pooled(2)(L.Lambda(lambda y: y * 2)(x))), "unit")
    assert raws(net, noise(16, 16, 3), "conv")[0].any()


def test_layers_that_are_otherwise_in_training_are_at_rest(net, noise):
    picture = noise(20, 20, 3)
    first, second = (raws(net("with_state"), picture)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_model_that_runs_in_a_graph_of_its_own_is_looked_into_from_outside(noise):
    model = small(pooled(3))
    model.compile(jit_compile=True)
    np.testing.assert_allclose(
        raws(Network(model, "unit"), noise(16, 16, 3), target=1), raws(shared("logits"), noise(16, 16, 3), target=1)
    )


# -- which layer, if none is named


def test_a_layer_of_class_scores_is_passed_over(noise):
    net = Network(small(lambda x: L.Softmax()(L.GlobalAveragePooling2D()(L.Conv2D(3, 1, name="scores")(x)))))
    assert class_activation_map(net, noise(16, 16, 3))[0].path == "conv"
    assert class_activation_map(net, noise(16, 16, 3), "scores")[0].path == "scores"


def test_as_many_channels_as_classes_are_no_scores_while_weights_follow(noise):
    net = Network(small(lambda x: pooled(3)(L.Conv2D(3, 1, name="mixed")(x))))
    assert class_activation_map(net, noise(16, 16, 3))[0].path == "mixed"


def test_what_hands_on_the_same_map_or_has_one_place_only_is_passed_over(noise):
    def head(x):
        x = L.GlobalAveragePooling2D(keepdims=True)(L.Dropout(0.5)(x))
        return L.Flatten()(L.Conv2D(3, 1)(L.Conv2D(5, 1, activation="relu")(x)))

    assert class_activation_map(Network(small(head)), noise(16, 16, 3))[0].path == "conv"


def test_a_branch_that_leads_elsewhere_is_passed_over(noise):
    def heads(x):
        side = L.Conv2D(2, 3, name="side")(x)
        return [pooled(3)(x), L.Flatten()(side)]

    net = Network(small(heads))
    assert class_activation_map(net, noise(16, 16, 3))[0].path == "conv"
    assert class_activation_map(net, noise(16, 16, 3), output=1)[0].path == "side"


# -- notes


def head_of(weights):
    """The mean of two channels, rows of brightness and darkness, weighed."""
    model = small(pooled(1), size=(8, 8, 1), conv=L.Conv2D(2, 1, activation="relu", name="conv"))
    model.set_weights([np.array([[[[1.0, -1.0]]]]), np.array([0.0, 0.5]), np.array(weights)[:, None], np.zeros(1)])
    return Network(model, "unit")


def note_of(net, picture, **keywords):
    (heat,) = class_activation_map(net, picture, **keywords)
    assert np.isfinite(heat.map).all() and np.isfinite(heat.raw).all()
    return heat


def test_a_map_of_negative_evidence_is_empty_and_says_where_to_look(noise):
    heat = note_of(head_of([-1.0, -2.0]), noise(8, 8, 1))
    assert heat.note.startswith("no positive evidence: ") and "`raw`" in heat.note
    assert not heat.map.any() and heat.raw.max() < 0
    layer_cam = note_of(head_of([-1.0, -2.0]), noise(8, 8, 1), method="layer_cam")
    assert layer_cam.note.startswith("no positive evidence: ") and not layer_cam.map.any()


def test_a_layer_that_is_off_says_dead(noise):
    net = head_of([1.0, 1.0])
    net.model.get_layer("conv").bias.assign([-1e4, -1e4])
    for method in MAP_METHODS:
        heat = note_of(net, noise(8, 8, 1), method=method)
        assert heat.note.startswith("dead: ") and not heat.map.any()


def test_a_target_that_does_not_answer_says_zero(noise):
    heat = note_of(head_of([0.0, 0.0]), noise(8, 8, 1))
    assert heat.note.startswith("zero: ") and not heat.map.any()


def test_a_map_without_differences_says_flat():
    heat = note_of(head_of([1.0, 1.0]), np.full((8, 8, 1), 0.25, np.float32))
    assert heat.note.startswith("flat: ") and (heat.map == 1).all()


@functools.cache
def ending_in(side):
    """A network whose last map has side x side positions."""
    return Network(small(lambda x: pooled(2)(L.ReLU(name="end")(L.AveragePooling2D(14 // side)(x)))), "unit")


@pytest.mark.parametrize("method", MAP_METHODS)
@pytest.mark.parametrize("side", [1, 2])
def test_maps_of_few_places_are_smooth_and_never_nan(noise, method, side):
    heat = note_of(ending_in(side), noise(40, 40, 3), layer="end", method=method, target=0)
    assert heat.raw.shape == (side, side) and heat.map.shape == (40, 40)
    if side == 1:
        assert heat.note.startswith(("flat: the layer has only one position", "no positive", "zero"))


def test_a_saturated_softmax_is_told_and_changes_nothing(noise):
    net, picture = Network(small(pooled(3, "softmax")), "unit"), noise(16, 16, 3)
    top = net.predict(picture)[0].index
    before = raws(net, picture, target=top)[0]
    dense = net.model.get_layer("logits")
    dense.set_weights([weight * 1e4 for weight in dense.get_weights()])
    heat = note_of(net, picture, target=top)
    assert heat.note.startswith("saturated: ")
    np.testing.assert_allclose(heat.raw / 1e4, before, rtol=1e-3)
    assert note_of(shared("fused"), picture).note == ""


def test_eigen_cam_says_that_it_knows_no_class(noise):
    heats = [note_of(shared("fused"), noise(16, 16, 3), target=t, method="eigen_cam") for t in (0, 1)]
    np.testing.assert_array_equal(heats[0].raw, heats[1].raw)
    assert heats[0].note.startswith("not class-specific: ")


def test_a_call_that_leads_elsewhere_says_so(noise):
    def heads(x):
        conv = L.Conv2D(4, 3, padding="same", activation="relu", name="again")
        once = conv(x)
        return [pooled(2, name="a")(once), pooled(2, name="b")(conv(once))]

    net = Network(small(heads), "unit")
    here, elsewhere = class_activation_map(net, noise(16, 16, 3), "again", 0, output="a")
    assert not here.note.startswith("off the path") and here.raw.any()
    assert elsewhere.note.startswith("off the path: ") and not elsewhere.map.any()
    with pytest.raises(BadTarget, match="'again' does not lead to the output 'a'"):
        class_activation_map(net, noise(16, 16, 3), "again", 0, output="a", call=1)


# -- what cannot be


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"layer": "conv9"}, "no layer 'conv9'.*nearest: conv"),
        ({"layer": "logits"}, "'logits' has no rows and columns: its output has the shape .3,.*Choose one.*conv"),
        ({"layer": "picture"}, "'picture' is never called"),
        ({"layer": 3}, "no layer 3"),
        ({"target": 3}, "no class 3.*0 to 2"),
        ({"target": "cat"}, "no class names"),
        ({"method": "gradcam"}, "no class activation map method 'gradcam'.*nearest: grad_cam"),
        ({"method": "occlusion"}, "no class activation map method 'occlusion'"),
        ({"method": None}, "method None"),
        ({"call": 1}, "has no call 1. Its calls are 0 to 0"),
        ({"call": -1}, "has no call -1"),
        ({"call": True}, "has no call True"),
        ({"output": 1}, "no output 1"),
        ({"seed": 0.5}, "seed must .*got 0.5"),
        ({"target": lambda output: output}, "shape .*3.*one number for each picture"),
        ({"target": lambda output: output[0]}, "3 numbers for 1 picture"),
        ({"target": lambda output: "high"}, "one number for each picture"),
        ({"target": lambda output: None}, "None, which is not a number"),
        ({"target": lambda output: tf.cast(tf.argmax(output, -1), tf.float32)}, "blocked behind the last layer, by ar"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_in_a_sentence(noise, keywords, message):
    with pytest.raises(BadTarget, match=message):
        class_activation_map(shared("logits"), noise(16, 16, 3), **keywords)


def test_what_is_no_picture_is_refused(noise):
    for thing in ("nowhere.png", None, noise(16, 16, 3) * 255, np.full((16, 16, 3), np.nan)):
        with pytest.raises(BadPicture):
            class_activation_map(shared("logits"), thing)


def test_a_picture_that_is_too_small_is_refused():
    with pytest.raises(BadPicture, match="9 x 9 pixels are too small"):
        class_activation_map(load_network("squeezenet"), np.zeros((9, 9, 3), np.uint8), size="picture")


def test_a_model_without_rows_and_columns_is_sent_to_attribution(net, noise):
    with pytest.raises(BadTarget, match="No layer of 'dense_only'.*attribution"):
        class_activation_map(net("dense_only"), noise(16, 16, 3))


def test_a_layer_off_the_path_is_named_with_the_output(noise):
    net = Network(small(lambda x: [pooled(3, name="a")(x), pooled(3, name="b")(L.Conv2D(2, 3, name="side")(x))]))
    for method in ("grad_cam", "score_cam", "ablation_cam"):
        with pytest.raises(BadTarget, match="'side' does not lead to the output 'a'.*'a', 'b'"):
            class_activation_map(net, noise(16, 16, 3), "side", method=method)


@pytest.mark.parametrize(
    "cut, message",
    [
        (lambda x: L.Lambda(tf.stop_gradient, name="wall")(x), "blocked at or just before .* 'wall'.*stop_gradient"),
        (ops.stop_gradient, "blocked at or just before the layer 'gap', by stop_gradient"),
        (lambda x: ops.round(x), "blocked at or just before the layer 'gap', by rounding"),
    ],
)
def test_a_cut_gradient_names_the_place(noise, cut, message):
    net = Network(small(lambda x: pooled(3)(cut(x))))
    with pytest.raises(BadTarget, match=f"to the layer 'conv'.*{message}.*score_cam"):
        class_activation_map(net, noise(16, 16, 3), "conv")
    for method in ("score_cam", "ablation_cam", "eigen_cam"):
        assert class_activation_map(net, noise(16, 16, 3), "conv", method=method)[0].raw.any()


def test_where_no_layer_has_a_gradient_the_last_one_is_taken_and_the_cut_told(noise):
    net = Network(small(lambda x: pooled(3)(ops.stop_gradient(x))))
    assert class_activation_map(net, noise(16, 16, 3), method="score_cam")[0].path == "conv"
    with pytest.raises(BadTarget, match="to the layer 'conv': it is blocked"):
        class_activation_map(net, noise(16, 16, 3))


def test_a_gradient_that_is_cut_before_the_layer_is_no_matter(noise):
    net = Network(small(pooled(3), conv=lambda p: L.Conv2D(4, 3, name="conv")(ops.stop_gradient(p))), "unit")
    (heat,) = class_activation_map(net, noise(16, 16, 3))
    assert heat.raw.any() and heat.input == "picture"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("layer", ["conv", "logits"])
def test_weights_that_are_not_finite_are_told(noise, value, layer):
    model = small(pooled(3))
    model.get_layer(layer).bias.assign(np.full(model.get_layer(layer).bias.shape, value))
    for method in ("grad_cam", "score_cam"):
        with pytest.raises(BadModel, match=f"'{layer}/bias'.*NaN or infinity"):
            class_activation_map(Network(model), noise(16, 16, 3), method=method)


# -- the user's model, and time


@pytest.mark.parametrize("name", ["with_state", "siamese"])
def test_the_users_model_is_untouched_after_success_and_error(build, noise, snapshot_of, name):
    model = build(name)
    given = [noise(32, 32, 3)] * 2 if name == "siamese" else noise(16, 16, 3)
    before = snapshot_of(model)
    net = Network(model)

    def broken(_output):
        raise ZeroDivisionError

    for method in MAP_METHODS:
        class_activation_map(net, given, method=method)
        assert snapshot_of(model) == before
        with pytest.raises(BadTarget, match="raised ZeroDivisionError"):
            class_activation_map(net, given, target=broken, method="hirescam" if method == "eigen_cam" else method)
        assert snapshot_of(model) == before


def test_the_losses_of_the_users_last_call_stay(noise):
    model = small(pooled(2), conv=lambda x: L.Conv2D(3, 3, activity_regularizer="l2", name="conv")(x))
    model(noise(1, 16, 16, 3))
    before = [loss.numpy() for loss in model.losses]
    class_activation_map(model, noise(16, 16, 3))
    assert before and [loss.numpy() for loss in model.losses] == before


def test_another_class_or_picture_traces_nothing_anew(build, noise):
    model, runs = build("plain"), []
    net = Network(model)
    for method in MAP_METHODS:
        class_activation_map(net, noise(20, 24, 3), "conv1", 0, method)
    kept, call = len(net.traces), model.call
    model.call = lambda *arguments, **keywords: runs.append(1) or call(*arguments, **keywords)
    for method in MAP_METHODS:
        class_activation_map(net, noise(20, 24, 3), "conv1", 1, method)
        class_activation_map(net, noise(140, 150, 3), "conv1", None, method)
    assert runs == [] and len(net.traces) == kept


def test_a_probe_runs_what_lies_before_the_layer_only_once(net, noise):
    seen = Probe(net("plain"), noise(20, 24, 3))
    (first,) = seen.activations("conv2")
    for target in range(5):
        *_, last = MapSettings("conv2", target).check(seen).frames()
        np.testing.assert_array_equal(last.result()[0].raw, raws(net("plain"), noise(20, 24, 3), "conv2", target)[0])
    assert seen.activations("conv2")[0] is first


def test_a_layer_of_2048_channels_is_tried_in_parts_that_fit(noise, monkeypatch):
    net = Network(small(pooled(2), (64, 64, 3), lambda x: L.Conv2D(2048, 1, strides=2, name="conv")(x)), "unit")
    seen, parts, copies = Probe(net, noise(64, 64, 3)), [], []
    without, values = Probe.without, Probe.values
    monkeypatch.setattr(Probe, "without", lambda self, *a: parts.append(len(a[-1])) or without(self, *a))
    monkeypatch.setattr(
        Probe, "values", lambda self, *a: copies.append(len(a[-1][0]) if a[1:] else 1) or values(self, *a)
    )
    first = next(MapSettings("conv", 0, "ablation_cam").check(seen).frames())
    assert parts[0] * 32 * 32 * 2048 <= pass_cost.MOST_NUMBERS and first.steps * parts[0] == 2048
    *_, last = MapSettings("conv", 0, "score_cam").check(seen).frames()
    assert sum(copies[2:]) == 48 and max(copies) <= 16 and last.result()[0].raw.any()


def test_a_slow_method_yields_its_steps(noise, monkeypatch):
    monkeypatch.setattr(pass_cost, "MOST_COPIES", 3)
    frames = list(MapSettings(method="score_cam").check(Probe(shared("fused"), noise(16, 16, 3))).frames())
    assert [(f.step, f.steps) for f in frames] == [(1, 2), (2, 2)]
    assert all(np.isfinite(f.heatmaps[0].raw).all() and np.isfinite(f.values).all() for f in frames)
    assert repr(frames[0]) == "HeatmapFrame(step 1 of 2, 1 heatmaps)"


# -- real networks


@pytest.mark.parametrize("name, path", [("squeezenet", "fire9_concat"), ("efficientnet_lite0", "head_relu")])
def test_the_evidence_is_found_in_the_half_that_shows_the_class(name, path):
    net = load_network(name)
    cat, cup = (pictures.resize(samples.sample(n), (160, 160)) for n in ("chelsea", "coffee"))
    for halves in ([cat, cup], [cup, cat]):
        seen = Probe(net, np.clip(np.concatenate(halves, 1), 0, 1))
        for target, side in (("Egyptian cat", halves[0] is cup), ("espresso", halves[0] is cat)):
            *_, last = MapSettings(target=target).check(seen).frames()
            (heat,) = last.result()
            assert heat.path == path
            column = np.unravel_index(heat.map.argmax(), heat.map.shape)[1]
            assert (column >= 160) == side


def test_behind_an_operation_without_any_gradient_the_default_layer_says_what_blocks_it(noise):
    class Suppress(L.Layer):
        def call(self, boxes, classes):
            found = tf.image.combined_non_max_suppression(boxes[:, :, None], classes, 3, 3, score_threshold=0.0)
            return {"scores": found.nmsed_scores, "boxes": found.nmsed_boxes}

        def compute_output_spec(self, boxes, classes):
            return {"scores": keras.KerasTensor((None, 3)), "boxes": keras.KerasTensor((None, 3, 4))}

    picture = keras.Input((16, 16, 3))
    x = L.Conv2D(8, 4, strides=4, activation="relu", name="backbone")(picture)
    boxes, classes = (L.Reshape((16, n))(L.Conv2D(n, 1)(x)) for n in (4, 5))
    net = Network(keras.Model(picture, Suppress(name="suppress")(boxes, classes)), preprocess="unit")
    with pytest.raises(BadModel, match="no gradient.*suppress"):
        class_activation_map(net, noise(16, 16, 3), target=lambda y: y[:, 0], output="scores")
