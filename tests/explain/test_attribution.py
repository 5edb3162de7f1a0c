"""Which pixels a number depends on: checked against models whose attribution is known."""

import functools

import numpy as np
import pytest

from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.explain import pass_cost
from cnnwidgets.explain.attribution import METHODS, AttributionSettings, attribution
from cnnwidgets.explain.methods import perturbation_attribution
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from tests.tiny_networks import fill

L, ops = keras.layers, keras.ops
FEW = {"rise": 24, "smoothgrad": 4, "integrated_gradients": 8}  # samples: enough to see that it works


def seeded(model):
    return fill(model, gain=1, bias=0.3)


@functools.cache
def linear(size=(6, 5, 3)):
    """A weighted sum of the pixels, 0..255, and a bias."""
    picture = keras.Input(size, name="picture")
    return Network(seeded(keras.Model(picture, L.Dense(2, name="logits")(L.Flatten()(picture)))), "none")


@functools.cache
def curved(activation="tanh"):
    """Two layers, so that the gradient is another one at every picture."""
    picture = keras.Input((8, 8, 3), name="picture")
    x = L.Flatten()(L.Conv2D(5, 3, activation=activation, name="conv")(picture))
    return Network(seeded(keras.Model(picture, L.Dense(3, activation="softmax")(x))), "unit")


@functools.cache
def watching():
    """The mean of one place: rows 4 to 7, columns 16 to 23 of a picture of 24 x 32; class 0 is for darkness there."""
    picture = keras.Input((24, 32, 1), name="picture")
    place = L.Cropping2D(((4, 16), (16, 8)))(picture)
    model = keras.Model(picture, L.Dense(2, use_bias=False)(L.GlobalAveragePooling2D()(place)))
    model.set_weights([np.array([[-4.0, 4.0]])])
    return Network(model, "unit")


@functools.cache
def two_pictures():
    """The difference of what one encoder sees in two pictures of any size; a third picture has no part in it."""
    given = [keras.Input((None, None, 3), name=name) for name in ("left", "right", "unused")]
    conv, mean = L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D()
    left, right, unused = (mean(conv(one)) for one in given)
    head = L.Dense(1, activation="sigmoid", name="same")(L.Subtract()([left, right]))
    return Network(seeded(keras.Model(given, [head, L.Dense(2, name="other")(unused)])), "unit")


def raw_of(net, picture, *arguments, **keywords):
    (heat,) = attribution(net, picture, *arguments, **keywords)
    return heat.raw


def weights_of(net, unit):
    """By pixels 0..1, [H, W, C]."""
    size = net.model.inputs[0].shape[1:]
    return net.model.layers[-1].kernel.numpy()[:, unit].reshape(size) * 255


# -- by gradients


def test_the_gradient_is_that_of_finite_differences(noise):
    net, picture = curved(), noise(8, 8, 3)
    logits = keras.Model(net.model.inputs[0], net.model.layers[-1].input)
    kernel, bias = (w.numpy().astype(np.float64) for w in net.model.layers[-1].weights)
    value = lambda p: logits(p[None]).numpy().astype(np.float64)[0] @ kernel[:, 1] + bias[1]  # noqa: E731
    expected = np.zeros((8, 8))
    for y in range(8):
        for x in range(8):
            up, down = picture.copy(), picture.copy()
            up[y, x] += 5e-3
            down[y, x] -= 5e-3
            expected[y, x] = (value(up) - value(down)) / 1e-2  # all channels of the pixel together
    np.testing.assert_allclose(raw_of(net, picture, 1, "gradient"), expected, atol=2e-4)


def test_of_a_linear_model_the_attribution_is_weight_times_pixel(noise):
    picture = noise(6, 5, 3)
    weights = weights_of(linear(), 1)
    np.testing.assert_allclose(raw_of(linear(), picture, 1, "gradient"), weights.sum(-1), rtol=1e-4)
    np.testing.assert_allclose(raw_of(linear(), picture, 1, "smoothgrad", samples=3), weights.sum(-1), rtol=1e-4)
    parts = (weights * picture).sum(-1)
    np.testing.assert_allclose(raw_of(linear(), picture, 1, "gradient_x_input"), parts, rtol=1e-4, atol=1e-3)
    for samples in (1, 7, 32):
        found = raw_of(linear(), picture, 1, "integrated_gradients", samples=samples)
        np.testing.assert_allclose(found, parts, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_integrated_gradients_add_up_to_the_rise_from_black(noise, activation):
    net, picture = curved(activation), noise(8, 8, 3)
    probe = Probe(net, picture)
    *_, last = AttributionSettings(2, "integrated_gradients").check(probe).frames()
    logit = keras.Model(net.model.inputs[0], net.model.layers[-1].input)
    kernel, bias = net.model.layers[-1].get_weights()
    rise = np.subtract(*((logit(p[None]).numpy() @ kernel + bias)[0, 2] for p in (picture, picture * 0)))
    (heat,) = last.result()
    assert heat.raw.sum() == pytest.approx(rise, rel=0.02) and heat.note == ""


def test_too_few_steps_are_told_with_both_sums():
    picture = keras.Input((4, 4, 1))
    steep = L.Activation(lambda x: tf.sigmoid(200 * (x - 0.9)))(picture)  # rises at the very end of the way
    net = Network(keras.Model(picture, L.Lambda(lambda x: tf.reduce_sum(x, (1, 2)))(steep)), "unit")
    white = np.ones((4, 4), np.float32)
    white[0] = 0.5
    (heat,) = attribution(net, white, 0, "integrated_gradients", samples=3)
    assert "incomplete: the parts add up to" in heat.note and "rises by 12" in heat.note
    assert "samples=12 may bring them closer" in heat.note
    (heat,) = attribution(net, white, 0, "integrated_gradients", samples=1500)
    assert heat.note == "" and heat.raw.sum() == pytest.approx(12, rel=0.05)


def test_integrated_gradients_do_not_advise_more_steps_without_end():
    picture = keras.Input((4, 4, 1))

    def jump(x):  # a jump that no gradient sees
        return x + tf.where(x > 0.5, 10.0, 0.0)

    summed = L.Lambda(lambda x: tf.reduce_sum(jump(x), (1, 2)))(picture)
    net, white = Network(keras.Model(picture, summed), "unit"), np.ones((4, 4), np.float32)
    notes = [attribution(net, white, 0, "integrated_gradients", samples=n)[0].note for n in (64, 200, 512)]
    assert "samples=256 may" in notes[0] and "samples=512 may" in notes[1] and "hardly help" in notes[2]


def test_smoothgrad_is_the_mean_over_its_noisy_copies(noise):
    picture = noise(8, 8, 3)
    plain = raw_of(curved(), picture, 1, "gradient")
    np.testing.assert_allclose(raw_of(curved(), picture, 1, "smoothgrad", noise=0, samples=3), plain, atol=1e-5)
    some, more, other = (
        raw_of(curved(), picture, 1, "smoothgrad", samples=n, seed=s) for n, s in ((2, 0), (64, 0), (64, 1))
    )
    assert np.abs(more - other).max() < np.abs(some - other).max()
    assert not np.array_equal(more, other) and np.abs(more - plain).max() > 1e-3


def test_guided_backprop_lets_positive_gradients_pass_open_relus_only(noise):
    picture, net = noise(8, 8, 3), curved("relu")
    conv, dense = net.model.get_layer("conv"), net.model.layers[-1]
    out = conv(picture[None])
    back = np.reshape(dense.kernel.numpy()[:, 1], out.shape[1:]) * (out[0].numpy() > 0)
    with tf.GradientTape() as tape:
        tape.watch(given := tf.constant(picture[None]))
        linear_part = tf.nn.convolution(given, conv.kernel)
    expected = tape.gradient(linear_part, given, output_gradients=tf.constant(np.maximum(back, 0)[None]))[0]
    (heat,) = attribution(net, picture, 1, "guided_backprop")
    np.testing.assert_allclose(heat.raw, expected.numpy().sum(-1), atol=1e-5)
    assert heat.note.startswith("not class-specific: ")
    plain = tape_gradient(net, picture, 1)
    np.testing.assert_allclose(raw_of(net, picture, 1, "gradient"), plain, atol=1e-5)  # guides nothing else
    assert not np.allclose(plain, heat.raw, atol=1e-3)


def tape_gradient(net, picture, unit):
    logits = keras.Model(net.model.inputs[0], net.model.layers[-1].input)
    with tf.GradientTape() as tape:
        tape.watch(given := tf.constant(picture[None]))
        value = tf.linalg.matmul(logits(given), net.model.layers[-1].kernel)[:, unit]
    return tape.gradient(value, given)[0].numpy().sum(-1)


@pytest.mark.parametrize(
    "layer", [L.ReLU(), L.ReLU(6.0), L.LeakyReLU(), L.Activation("relu6"), L.Activation("elu"), L.Activation("selu")]
)
def test_every_kind_of_relu_is_guided(noise, layer):
    given = keras.Input((6, 6, 3))
    net = Network(seeded(keras.Model(given, L.Dense(2)(L.Flatten()(layer(L.Conv2D(4, 3)(given)))))), "unit")
    (guided,), (plain,) = (attribution(net, noise(6, 6, 3), 0, m) for m in ("guided_backprop", "gradient"))
    assert guided.note.startswith("not class-specific: ") and not np.allclose(guided.raw, plain.raw)


def test_without_a_relu_guided_backprop_says_that_it_is_the_gradient(noise):
    (heat,) = attribution(curved("tanh"), noise(8, 8, 3), 1, "guided_backprop")
    assert heat.note.startswith("not guided: ")
    np.testing.assert_allclose(heat.raw, raw_of(curved("tanh"), noise(8, 8, 3), 1, "gradient"), atol=1e-6)


# -- by covering


def test_occlusion_finds_the_place_and_nothing_else():
    white = np.ones((24, 32), np.float32)
    raw = raw_of(watching(), white, 1, "occlusion")
    side = 5  # 48 / 224 of 24
    inside = np.zeros((24, 32), bool)
    inside[4 - side + 1 : 8 + side - 1, 16 - side + 1 : 24 + side - 1] = True  # where a square can touch the place
    y, x = np.unravel_index(raw.argmax(), raw.shape)
    assert (raw[~inside] == 0).all() and 4 <= y < 8 and 16 <= x < 24
    np.testing.assert_allclose(raw_of(watching(), white, 0, "occlusion"), -raw, atol=1e-6)


@pytest.mark.parametrize("size", [(224, 224), (24, 32), (7, 30), (1, 1), (3, 2)])
def test_occlusion_covers_every_pixel(size):
    covered = np.zeros(size, int)
    for place in perturbation_attribution.places(size):
        assert covered[place].shape == covered[perturbation_attribution.places(size)[0]].shape  # no square is cut
        covered[place] += 1
    assert (covered > 0).all()
    assert size != (224, 224) or (len(perturbation_attribution.places(size)) == 144 and covered[100, 100] == 9)


def test_rise_finds_the_place_and_its_sign():
    white = np.ones((24, 32), np.float32)
    for_light, for_dark = (raw_of(watching(), white, unit, "rise") for unit in (1, 0))
    y, x = np.unravel_index(for_light.argmax(), for_light.shape)
    assert 3 <= y <= 8 and 15 <= x <= 24
    np.testing.assert_allclose(for_dark, -for_light, atol=1e-5)
    assert np.abs(for_light[18:, :8]).max() < 0.25 * for_light.max()


def test_masks_of_rise_are_half_open_and_differ():
    masks = perturbation_attribution._random_masks(3, 0, range(100, 160), (30, 50))
    assert masks.shape == (60, 30, 50) and masks.min() >= 0 and masks.max() <= 1
    assert masks.mean() == pytest.approx(0.5, abs=0.05)
    assert len({m.tobytes() for m in masks}) == 60
    np.testing.assert_array_equal(perturbation_attribution._random_masks(3, 0, range(110, 112), (30, 50)), masks[10:12])


# -- any method


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_signed_map_of_the_pictures_own_size(noise, method):
    (heat,) = attribution(curved("relu"), noise(11, 13, 3), 1, method, samples=FEW.get(method))
    assert heat.raw.shape == heat.map.shape == (11, 13) and heat.raw.dtype == heat.map.dtype == np.float32
    assert heat.map.min() >= 0 and heat.map.max() == 1
    assert (heat.path, heat.call, heat.input) == ("", 0, "picture")
    shown = np.abs(heat.raw) if METHODS[method].by_gradient else np.maximum(heat.raw, 0)
    np.testing.assert_allclose(heat.map, shown / shown.max(), atol=1e-6)


@pytest.mark.parametrize("method", [name for name, how in METHODS.items() if how.by_gradient])
def test_a_map_of_gradients_shows_where_the_target_falls_too(noise, method):
    given = keras.Input((6, 6, 1))
    net = Network(keras.Model(given, L.Dense(1)(L.Flatten()(given))), "unit")
    net.model.set_weights([np.full((36, 1), -1.0), np.zeros(1)])
    picture = noise(6, 6) + np.float32(0.1)
    (heat,) = attribution(net, picture / picture.max(), 0, method, samples=FEW.get(method))
    assert (heat.raw <= 0).all() and heat.map.max() == 1
    assert "no positive" not in heat.note and "sparse" not in heat.note
    assert ("mostly negative: 0.0% of the evidence" in heat.note) == (METHODS[method].kind == "parts")


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bytes_and_moves_no_generator(noise, method):
    tf.random.set_seed(1)
    np.random.seed(1)
    before = np.random.get_state()[1].tobytes()
    expected = tf.random.uniform([3]).numpy()
    tf.random.set_seed(1)
    picture, samples = noise(8, 8, 3), FEW.get(method)
    first, second = (raw_of(curved("relu"), picture, 1, method, samples=samples, seed=5) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert np.random.get_state()[1].tobytes() == before
    np.testing.assert_array_equal(tf.random.uniform([3]), expected)
    other = raw_of(curved("relu"), picture, 1, method, samples=samples, seed=6)
    assert np.array_equal(first, other) == (method not in ("smoothgrad", "rise"))


@pytest.mark.parametrize("method", METHODS)
def test_the_top_class_of_the_picture_is_explained_also_where_a_copy_has_another(noise, method):
    def top(picture):
        return linear().predict(picture)[0].index

    black = np.zeros((6, 5, 3), np.float32)
    dim = next(p for seed in range(99) if top(p := 0.05 * noise(6, 5, 3, seed=seed)) != top(black))
    found = raw_of(linear(), dim, None, method, samples=FEW.get(method))
    np.testing.assert_array_equal(found, raw_of(linear(), dim, top(dim), method, samples=FEW.get(method)))


def test_the_sum_stays_when_a_map_is_stretched_to_the_picture(noise):
    small = noise(6, 5, 3)
    large = np.kron(small, np.ones((4, 4, 1), np.float32))
    parts = raw_of(linear(), small, 1, "gradient_x_input")
    stretched = raw_of(linear(), large, 1, "gradient_x_input")
    assert stretched.shape == (24, 20)
    fed = Probe(linear(), large).pictures[0][0]
    assert stretched.sum() == pytest.approx((weights_of(linear(), 1) * fed).sum(), rel=0.05)
    assert parts.sum() == pytest.approx((weights_of(linear(), 1) * small).sum(), rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_each_picture_input_has_its_own_map(noise, method):
    given = {"left": noise(9, 12, 3), "right": noise(15, 10, 3, seed=2), "unused": noise(8, 8, 3)}
    found = attribution(two_pictures(), given, 1, method, samples=FEW.get(method))
    assert [(h.input, h.map.shape) for h in found] == [("left", (9, 12)), ("right", (15, 10)), ("unused", (8, 8))]
    left, right, unused = found
    assert left.raw.any() and right.raw.any()
    if METHODS[method].by_gradient:
        assert unused.note.startswith("off the path: ") and not unused.raw.any()
    against = attribution(two_pictures(), given, 0, method, samples=FEW.get(method))
    if method != "guided_backprop":
        np.testing.assert_allclose(against[0].raw, -left.raw, atol=1e-5)
        np.testing.assert_allclose(against[1].raw, -right.raw, atol=1e-5)


def test_a_table_is_held_as_it_was_given(net, noise):
    given = {"photo": noise(32, 32, 3), "age": np.array([1.0, 2, 3, 4])}
    first = raw_of(net("inputs_as_dict"), given, 0, "gradient")
    np.testing.assert_array_equal(raw_of(net("inputs_as_list"), [given["age"], given["photo"]], 0, "gradient"), first)
    assert first.shape == (32, 32)


@pytest.mark.parametrize("name", ["sequential", "nested", "subclassed", "twice", "channels_first", "mixed_float16"])
def test_any_model(net, noise, name):
    for method in ("gradient", "occlusion"):
        (heat,) = attribution(net(name), noise(30, 20, 3), method=method)
        assert heat.raw.shape == (30, 20) and np.isfinite(heat.raw).all() and heat.raw.any()


def test_a_model_that_takes_whole_numbers(noise):
    given = keras.Input((8, 8, 3), dtype="uint8", name="picture")
    x = L.Conv2D(3, 3, activation="relu")(L.Rescaling(1 / 255)(given))
    net = Network(seeded(keras.Model(given, L.Dense(2)(L.GlobalAveragePooling2D()(x)))))
    assert raw_of(net, noise(8, 8, 3), 0, "gradient").any()


def test_a_target_may_be_a_function_of_the_output(noise):
    picture = noise(6, 5, 3)
    found = raw_of(linear(), picture, lambda output: output[:, 0] + 2 * output[:, 1], "gradient")
    expected = weights_of(linear(), 0) + 2 * weights_of(linear(), 1)
    np.testing.assert_allclose(found, expected.sum(-1), rtol=1e-4)


def test_the_output_is_picked_by_name(noise):
    given = [noise(9, 9, 3)] * 3
    left, _, unused = attribution(two_pictures(), given, 1, "gradient", output="other")
    assert not left.raw.any() and unused.raw.any() and unused.note == ""


def test_frames_come_step_by_step_and_end_with_the_verbs_result(noise, monkeypatch):
    monkeypatch.setattr(pass_cost, "MOST_COPIES", 5)
    for method, steps in (("smoothgrad", 4), ("integrated_gradients", 13), ("rise", 103), ("gradient", 1)):
        frames = list(AttributionSettings(1, method).check(Probe(curved("relu"), noise(8, 8, 3))).frames())
        assert [f.step for f in frames] == list(range(1, steps + 1)) and {f.steps for f in frames} == {steps}
        assert all(np.isfinite(f.heatmaps[0].raw).all() and np.isfinite(f.values).all() for f in frames)
    frames = list(AttributionSettings(1, "occlusion").check(Probe(watching(), np.ones((24, 32), np.float32))).frames())
    assert frames[-1].step == frames[-1].steps == len(frames) > 1


def test_a_saturated_decision_is_told(noise):
    given = keras.Input((6, 6, 3))
    net = Network(seeded(keras.Model(given, L.Dense(1, activation="sigmoid")(L.Flatten()(given)))), "none")
    (heat,) = attribution(net, noise(6, 6, 3), method="gradient")
    assert heat.note.startswith("saturated: ") and heat.map.max() == 1


# -- what cannot be


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"method": "grad_cam"}, "no attribution method 'grad_cam'.*nearest: gradient"),
        ({"method": "smooth_grad"}, "no attribution method.*nearest: smoothgrad"),
        ({"target": 2}, "no class 2"),
        ({"output": "mask"}, "no output 'mask'"),
        ({"samples": 0}, "samples must .*1 to 8192, got 0"),
        ({"samples": 10**6}, "samples must .*got 1000000"),
        ({"samples": True}, "samples must .*got True"),
        ({"samples": 2.5}, "samples must .*got 2.5"),
        ({"noise": -0.1}, "noise must .*got -0.1"),
        ({"noise": float("nan")}, "noise must .*got nan"),
        ({"noise": "much"}, "noise must .*got 'much'"),
        ({"seed": "x"}, "seed must .*got 'x'"),
        ({"target": lambda output: output[0], "method": "occlusion"}, "2 numbers for 1 picture"),
        ({"target": lambda output: tf.constant([1.0])}, "The picture does not lead to your target function"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_in_a_sentence(noise, keywords, message):
    with pytest.raises(BadTarget, match=message):
        attribution(linear(), noise(6, 5, 3), **keywords)


def test_what_is_no_picture_is_refused(noise):
    for thing in (noise(6, 5, 3) * 255, None, "nowhere.png"):
        with pytest.raises(BadPicture):
            attribution(linear(), thing)


def test_a_cut_gradient_names_the_place_and_covering_still_works(noise):
    given = keras.Input((8, 8, 3))
    x = L.Lambda(tf.stop_gradient, name="wall")(L.Conv2D(3, 3, name="conv")(given))
    net = Network(seeded(keras.Model(given, L.Dense(2, name="logits")(L.Flatten()(x)))), "unit")
    for method in ("gradient", "smoothgrad", "integrated_gradients", "guided_backprop", "gradient_x_input"):
        with pytest.raises(
            BadTarget, match="'logits' to the picture: it is blocked at or just before the layer 'wall'.*occlusion"
        ):
            attribution(net, noise(8, 8, 3), 0, method)
    assert raw_of(net, noise(8, 8, 3), 0, "occlusion").any()
    assert raw_of(net, noise(8, 8, 3), 0, "rise", samples=16).any()


def test_weights_that_are_not_finite_are_told(noise):
    net = Network(seeded(keras.Sequential([keras.Input((6, 6, 3)), L.Flatten(), L.Dense(2, name="logits")])))
    net.model.layers[-1].bias.assign([np.nan, 0])
    for method in ("gradient", "occlusion"):
        with pytest.raises(BadModel, match="'logits/bias'|logits.*NaN"):
            attribution(net, noise(6, 6, 3), 0, method)


# -- the user's model, and time


def test_the_users_model_is_untouched_after_success_and_error(build, noise, snapshot_of):
    model = build("with_state")
    before = snapshot_of(model)
    net = Network(model)

    def broken(_output):
        raise ZeroDivisionError

    for method in METHODS:
        attribution(net, noise(16, 16, 3), method=method, samples=FEW.get(method))
        assert snapshot_of(model) == before
        with pytest.raises(BadTarget, match="raised ZeroDivisionError"):
            attribution(net, noise(16, 16, 3), broken, method)
        assert snapshot_of(model) == before


def test_another_class_picture_or_seed_traces_nothing_anew(build, noise):
    model, runs = build("plain"), []
    net = Network(model)
    for method in METHODS:
        attribution(net, noise(20, 24, 3), 0, method, samples=FEW.get(method))
    kept, call = len(net.traces), model.call
    model.call = lambda *arguments, **keywords: runs.append(1) or call(*arguments, **keywords)
    for method in METHODS:
        attribution(net, noise(20, 24, 3), 1, method, samples=5, noise=0.2, seed=3)
        attribution(net, noise(130, 140, 3), None, "gradient")
    assert runs == [] and len(net.traces) == kept
