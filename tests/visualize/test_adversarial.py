"""Nudges stay inside their 8-bit budget, reach their target, and say honestly what the network makes of them."""

import numpy as np
import pytest

from cnnwidgets import pictures, zoo
from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.samples import sample
from cnnwidgets.visualize.adversarial import METHODS, AdversarialSettings, adversarial

L = keras.layers


def last_of(*arguments, **keywords):
    *_, frame = adversarial(*arguments, **keywords)
    return frame


def levels(picture):
    return np.asarray(picture, np.float64) * 255


# -- the budget


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [1, 2, 5, 255])
def test_every_frame_is_an_8_bit_picture_inside_the_budget(net, noise, method, budget):
    picture = noise(20, 24, 3)
    picture[:5], picture[5:10] = 0, 1  # black and white have one side only
    for frame in adversarial(net("plain"), picture, 0, epsilon=budget / 255, steps=4, method=method):
        np.testing.assert_allclose(levels(frame.pictures), np.round(levels(frame.pictures)), atol=1e-4)
        moved = np.abs(pictures.to_uint8(frame.pictures).astype(int) - pictures.to_uint8(picture[None]))
        assert moved.max() <= budget
        assert 0 <= frame.pictures.min() <= frame.pictures.max() <= 1
    assert moved.max() == budget or method == "random_search"  # which may find nothing better


def test_one_step_is_the_fast_gradient_sign_method(net, noise):
    picture, model = np.round(noise(20, 24, 3) * 255) / 255, net("plain").model
    x = tf.constant(picture[None], tf.float32)  # this network takes 0..1
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.math.log(model(x)[0, 3])
    expected = np.clip(picture + 3 / 255 * np.sign(tape.gradient(loss, x)[0]), 0, 1)
    frame = last_of(net("plain"), picture, 3, epsilon=3 / 255, steps=1)
    assert (np.abs(levels(frame.pictures[0]) - levels(expected)) < 0.01).mean() > 0.999


def test_the_start_is_the_picture_as_the_network_gets_it_in_8_bits(net, noise):
    frame = last_of(net("sequential"), noise(50, 40, 1), steps=1)
    fitted = pictures.to_uint8(net("sequential").arrays(noise(50, 40, 1))[0])
    np.testing.assert_array_equal(pictures.to_uint8(frame.original), fitted)
    assert frame.pictures.shape == (1, 32, 32, 1)


def test_another_budget_is_the_same_graph(build, noise):
    net = Network(build("plain"))
    for size, epsilon in ((20, 1 / 255), (33, 2 / 255), (26, 0.1)):
        list(adversarial(net, noise(size, 24, 3), 1, epsilon=epsilon, steps=2))
    graphs = [kept[0] for (kept,) in net.traces._kept.values() if isinstance(kept, tuple)]
    assert [graph.experimental_get_tracing_count() for graph in graphs] == [1]


# -- what is climbed


@pytest.mark.parametrize("method", METHODS)
def test_values_are_the_log_odds_before_each_step(net, noise, method):
    frames = list(adversarial(net("plain"), noise(20, 24, 3), 2, epsilon=4 / 255, steps=4, method=method))
    before = [net("plain").predict(frames[0].original[0])] + [frame.predictions for frame in frames]
    for frame, predictions in zip(frames, before[:-1], strict=True):
        probability = next(p.probability for p in predictions if p.index == 2)
        np.testing.assert_allclose(frame.values, [np.log(probability / (1 - probability))], atol=1e-3)
    assert frames[-1].probability > before[0][[p.index for p in before[0]].index(2)].probability


def test_a_target_is_reached(net, noise):
    picture = noise(32, 32, 1)
    for target in range(4):
        frames = list(adversarial(net("sequential"), picture, target, epsilon=0.1, steps=6))
        assert len(frames) == frames[-1].steps == 6  # never ends early
        assert frames[-1].succeeded
        assert (frames[-1].prediction.index, frames[-1].class_index) == (target, target)
        assert frames[-1].prediction.probability == frames[-1].probability > 0.5


def test_without_a_target_the_top_class_is_left(net, noise):
    picture = noise(32, 32, 1)
    top = net("sequential").predict(picture)[0].index
    frames = list(adversarial(net("sequential"), picture, epsilon=0.1, steps=6))
    assert {frame.class_index for frame in frames} == {top}
    assert frames[-1].prediction.index != top
    assert frames[-1].succeeded
    assert not frames[-1].is_targeted
    assert [frame.values[0] for frame in frames] == sorted(frame.values[0] for frame in frames)


def test_one_sigmoid_is_pushed_both_ways(net, noise):
    pair = list(noise(2, 32, 32, 3))
    for target in (0, 1):
        frames = list(adversarial(net("siamese"), pair, target, epsilon=0.2, steps=5))
        assert frames[-1].values > frames[0].values
        shares = [p.probability for p in sorted(frames[-1].predictions)]
        before = [p.probability for p in sorted(net("siamese").predict(pair))]
        assert shares[target] > before[target]


def test_other_inputs_hold_still_and_are_heard(net, noise):
    found = []
    for age in (np.zeros(4), np.full(4, 3.0)):
        frame = last_of(net("inputs_as_dict"), {"photo": noise(32, 32, 3), "age": age}, 1, steps=2)
        expected = net("inputs_as_dict").predict({"photo": frame.pictures[0], "age": age}, top=3)
        np.testing.assert_allclose([p.probability for p in frame.predictions], [p.probability for p in expected])
        found.append(frame.probability)
    assert found[0] != pytest.approx(found[1])


@pytest.mark.parametrize(
    "name", ["nested", "subclassed", "channels_first", "mixed_float16", "with_state", "dense_only"]
)
def test_models_of_all_shapes_are_nudged_and_stay_as_they_were(build, noise, snapshot_of, name):
    model = build(name)
    before, net = snapshot_of(model), Network(model)
    rows, columns = net.inputs[0].size
    picture = noise(rows or 20, columns or 24, net.inputs[0].channels)
    run = adversarial(net, picture, 0, epsilon=0.2, steps=4)
    frames = [next(run) for _ in range(3)]
    run.close()
    assert frames[-1].values > frames[0].values
    assert snapshot_of(model) == before


# -- the baseline


def test_random_search_keeps_the_best_draw_and_its_seed(net, noise):
    picture = noise(20, 24, 3)

    def search(seed):
        return list(adversarial(net("plain"), picture, 0, epsilon=0.1, steps=12, method="random_search", seed=seed))

    frames = search(1)
    values = [float(frame.values[0]) for frame in frames]
    assert values == sorted(values)
    assert values[-1] > values[0]
    assert frames[-1].pictures.tobytes() == search(1)[-1].pictures.tobytes() != search(2)[-1].pictures.tobytes()


def test_the_gradient_beats_random_search(net, noise):
    ends = {m: last_of(net("plain"), noise(20, 24, 3), 0, epsilon=0.1, steps=6, method=m) for m in METHODS}
    start = ends["random_search"].values
    assert ends["momentum_sign"].probability > ends["random_search"].probability
    assert np.isfinite(start)


# -- what cannot be


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"target": 5}, "no class 5"),
        ({"target": "goldfish"}, "no class names"),
        ({"epsilon": 0}, "epsilon must .*got 0"),
        ({"epsilon": 1.5}, "epsilon must .*got 1.5"),
        ({"epsilon": float("nan")}, "epsilon must .*got nan"),
        ({"epsilon": "2/255"}, "epsilon must .*got '2/255'"),
        ({"epsilon": 0.001}, "at least one gray level"),
        ({"steps": 0}, "steps must .*got 0"),
        ({"method": "magic"}, "no method 'magic'.*momentum_sign, random_search"),
        ({"method": ["momentum_sign"]}, "no method"),
        ({"output": "other"}, "no output 'other'"),
        ({"seed": None}, "seed must .*got None"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_before_anything_is_computed(net, noise, keywords, message):
    with pytest.raises(BadTarget, match=message):
        adversarial(net("plain"), noise(20, 24, 3), **keywords)


def test_a_network_without_classes_is_refused(noise):
    picture = keras.Input((16, 16, 3))
    net = Network(keras.Model(picture, L.Dense(1, name="price")(L.Flatten()(picture))), preprocess="unit")
    with pytest.raises(BadTarget, match="'price' gives plain values, not class scores"):
        adversarial(net, noise(16, 16, 3))


def test_a_picture_without_room_is_refused(noise):
    picture = keras.Input((None, None, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(2, 9, strides=2)(L.Conv2D(2, 9, strides=2)(picture)))
    with pytest.raises(BadPicture, match="10 x 12 pixels are too small"):
        adversarial(Network(keras.Model(picture, L.Dense(3)(x)), preprocess="unit"), noise(10, 12, 3), 0)


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_are_not_finite_are_told(build, noise, method):
    model = build("plain")
    model.get_layer("logits").bias.assign(np.full(5, np.nan))
    with pytest.raises(BadModel, match="logits/bias"):
        list(adversarial(Network(model), noise(20, 24, 3), 1, method=method))


def test_a_picture_that_no_gradient_moves_is_told(build, noise):
    model = build("plain")
    model.get_layer("conv1").bias.assign([-1e6] * 8)
    frames = list(adversarial(Network(model), noise(20, 24, 3), 1, steps=2))
    assert frames[0].notes == ()
    assert "did not move" in frames[-1].notes[0]
    np.testing.assert_allclose(frames[-1].pictures, frames[-1].original, atol=1e-6)


# -- a real network


def test_a_nudge_fools_its_network_but_neither_the_other_one_nor_survives_jpeg():
    net, other = (zoo.load_network(name) for name in ("squeezenet", "efficientnet_lite0"))
    cat = pictures.resize(sample("chelsea"), (224, 224))
    frame = last_of(net, cat, "goldfish", epsilon=2 / 255, steps=10)
    assert frame.prediction.name == "goldfish"
    assert frame.probability > 0.5
    assert net.predict(pictures.to_png(frame.pictures[0]))[0].name == "goldfish"
    assert net.predict(pictures.to_jpeg(frame.pictures[0], quality=75))[0].name != "goldfish"
    assert "cat" in other.predict(frame.pictures[0])[0].name
    noise = last_of(net, cat, "goldfish", epsilon=8 / 255, steps=3, method="random_search")
    assert noise.prediction.index == net.predict(cat)[0].index


def test_a_plan_knows_its_picture_and_class_beforehand(net, noise):
    plan = AdversarialSettings(epsilon=2.4 / 255).check(net("sequential"), noise(32, 32, 1))
    assert plan.levels == 2
    assert plan.class_index == net("sequential").predict(noise(32, 32, 1))[0].index
    assert plan.predict(plan.original)[0].index == plan.class_index
