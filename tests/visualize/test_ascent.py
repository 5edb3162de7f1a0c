"""The one loop: it follows the true gradient, repeats itself to the byte, and leaves the model and the world alone."""

from __future__ import annotations

import gc
import random
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from cnnwidgets.errors import BadModel, BadPicture, BadTarget, CnnWidgetsError, JobFailed
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.visualize import ascent as ascent_
from cnnwidgets.visualize import objectives, optimizers, parametrizations, transforms
from cnnwidgets.visualize.ascent import ascend, maximize
from cnnwidgets.visualize.gradient_step import Ascent
from cnnwidgets.visualize.objectives import channel, class_logit, layer, neuron, unit
from cnnwidgets.visualize.terms import of_layers

L = keras.layers
PIXELS = {"parametrization": parametrizations.pixels(), "transforms": ()}


@dataclass(frozen=True)
class AlongTheGradient:
    """A step that is the gradient itself, so that a picture shows it."""

    rate: float = field(default=0.125, compare=False)

    def begin(self, variables):
        return ()

    def step(self, variables, state, gradient, count, rate):
        return variables + rate * gradient, state


@dataclass(frozen=True)
class Counting:
    """A transform that changes nothing; Python runs it once for each tracing."""

    traced: list = field(default_factory=list, compare=False)

    def __call__(self, pictures, seeds, shared):
        self.traced.append(1)
        return pictures


def last(frames):
    *_, frame = frames
    return frame


def gradient_of(net, objective, start):
    """The gradient at a picture, as the loop follows it."""
    frame = next(ascend(net, objective, start.shape[:2], 1, start=start, optimizer=AlongTheGradient(), **PIXELS))
    moved = frame.pictures[0] - start
    assert np.abs(moved).max() < 0.25, "too steep: the picture that shows it is clipped"
    return moved / AlongTheGradient().rate


# -- frames


def test_frames_count_the_steps_and_hold_pictures_and_values(net):
    frames = list(ascend(net("plain"), channel("conv2", [0, 1, 2]), size=(16, 24), steps=5))
    assert [(f.step, f.steps) for f in frames] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    for frame in frames:
        assert frame.pictures.shape == (3, 16, 24, 3) and frame.pictures.dtype == np.float32
        assert frame.pictures.min() >= 0 and frame.pictures.max() <= 1
        assert frame.values.shape == (3,) and frame.values.dtype == np.float32


def test_values_are_the_objective_before_the_step(net, value_of):
    objective = channel("conv2", [3, 8]) + 2 * layer("conv1")
    frames = list(ascend(net("plain"), objective, size=16, steps=4, optimizer=optimizers.adam(0.01), **PIXELS))
    for before, after in zip(frames, frames[1:], strict=False):
        np.testing.assert_allclose(after.values, value_of(net("plain"), objective, before.pictures), rtol=1e-4)


def test_a_frame_read_late_shows_its_own_step(net):
    frames = ascend(net("plain"), channel("conv2", 0), size=16, steps=4)
    at_once = [frame.pictures for frame in frames]
    kept = list(ascend(net("plain"), channel("conv2", 0), size=16, steps=4))
    for frame, expected in zip(reversed(kept), reversed(at_once), strict=True):
        np.testing.assert_array_equal(frame.pictures, expected)
    assert not np.array_equal(at_once[0], at_once[3])


@pytest.mark.parametrize(
    "name, size, shape",
    [
        ("linear", None, (128, 128, 3)),
        ("linear", (20, 33), (20, 33, 3)),
        ("linear", np.int64(24), (24, 24, 3)),
        ("sequential", None, (32, 32, 1)),
        ("sequential", 32, (32, 32, 1)),
        ("channels_first", None, (32, 32, 3)),
    ],
)
def test_the_size_is_what_was_asked_for_or_the_networks_own(net, name, size, shape):
    conv = next(info.path for info in net(name).layers if info.kind == "conv")
    (frame,) = ascend(net(name), channel(conv, 0), size=size, steps=1)
    assert frame.pictures.shape == (1, *shape)


def test_a_fixed_network_can_be_painted_at_another_size(net):
    frames = list(ascend(net("sequential"), class_logit(1), size=(40, 56), steps=4, resize=True, **PIXELS))
    assert frames[0].pictures.shape == (1, 40, 56, 1)
    assert frames[3].values > frames[0].values


# -- the gradient


def test_a_linear_convolution_follows_its_known_gradient(build, noise):
    model = build("linear")
    kernel = model.get_layer("conv").get_weights()[0]  # [3, 3, 3, 4]
    expected = np.zeros((9, 12, 3))
    for dy in range(3):
        for dx in range(3):  # which outputs a pixel reaches with this weight; the picture reaches the model in 0..1
            rows, columns = (np.arange(n) - d + 1 for n, d in ((9, dy), (12, dx)))
            inside = np.outer((rows >= 0) & (rows < 9), (columns >= 0) & (columns < 12))
            expected += inside[..., None] * kernel[dy, dx, :, 2] / (9 * 12)
    start = 0.25 + 0.5 * noise(9, 12, 3)
    found = gradient_of(model, 20 * channel("conv", 2), start)
    np.testing.assert_allclose(found, 20 * expected, atol=1e-6)


def test_a_linear_convolution_reaches_its_known_optimum(build):
    model = build("linear")
    slope = gradient_of(model, channel("conv", 1), np.full((8, 8, 3), 0.5, np.float32))
    frame = last(ascend(model, channel("conv", 1), size=8, steps=8, optimizer=optimizers.adam(0.2), **PIXELS))
    np.testing.assert_array_equal(frame.pictures[0], slope > 0)  # every pixel at the end that its sign points to


@pytest.mark.parametrize(
    "name, objective",
    [
        ("plain", 30 * channel("conv2", 3)),
        ("plain", 2 * class_logit(1) - objectives.rival_logits(1)),
        ("plain", 10 * layer("conv2")),
        ("nested", 0.2 * neuron("backbone/conv", 2)),
        ("siamese", 10 * class_logit(1)),
        ("channels_first", 10 * channel("conv2", 2)),
    ],
)
def test_the_gradient_is_that_of_finite_differences(net, noise, value_of, name, objective):
    start = 0.25 + 0.5 * noise(32, 32, 3)
    slope = gradient_of(net(name), objective, start)
    numbers = np.random.default_rng(0)
    found, expected = [], []
    for _ in range(6):
        way = (np.sign(slope) * numbers.random(slope.shape)).astype(np.float32) * 1e-3
        up, down = (value_of(net(name), objective, (start + sign * way)[None])[0] for sign in (1, -1))
        found.append((slope * way).sum())
        expected.append((up - down) / 2)
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_a_sum_follows_the_sum_of_its_gradients(net, noise):
    start, (a, b) = 0.25 + 0.5 * noise(12, 12, 3), (4 * channel("conv1", 0), 4 * channel("conv2", 5))
    along_a, along_b = gradient_of(net("plain"), a, start), gradient_of(net("plain"), b, start)
    np.testing.assert_allclose(gradient_of(net("plain"), a + 2 * b, start), along_a + 2 * along_b, atol=1e-6)
    np.testing.assert_allclose(gradient_of(net("plain"), a - b / 2, start), along_a - along_b / 2, atol=1e-6)


def test_a_cut_gradient_is_said_and_named():
    class Cut(L.Layer):
        def call(self, x):
            return tf.stop_gradient(x)

    layers = [L.Conv2D(2, 3, name="before"), Cut(), L.Conv2D(2, 3, name="after")]
    model = keras.Sequential([keras.Input((None, None, 3)), *layers])
    assert last(ascend(model, channel("before", 0), size=16, steps=2)).step == 2
    with pytest.raises(BadTarget, match="No gradient reaches the picture from 'after'.*'cut' cuts it"):
        list(ascend(model, channel("after", 0), size=16, steps=2))


def test_a_network_of_whole_numbers_is_optimized_all_the_same(build, snapshot_of):
    picture = keras.Input((16, 16, 3), dtype="uint8", name="picture")
    x = L.Conv2D(4, 3, name="conv")(L.Rescaling(1 / 255, name="scaling")(picture))
    model = keras.Model(picture, L.GlobalAveragePooling2D(name="gap")(x))
    before = snapshot_of(model)
    frames = list(ascend(model, channel("conv", 1), steps=4, optimizer=optimizers.adam(0.02), **PIXELS))
    assert frames[3].values > frames[0].values
    assert snapshot_of(model) == before


# -- the beginning


@pytest.mark.parametrize("parametrization", [parametrizations.pixels(), parametrizations.fourier()], ids=repr)
def test_a_run_begins_at_the_picture_that_it_is_given(net, noise, parametrization):
    start = 0.1 + 0.8 * noise(16, 16, 3)
    still = {"parametrization": parametrization, "optimizer": optimizers.adam(0.0), "transforms": ()}
    frame = next(ascend(net("plain"), channel("conv2", [0, 1]), 16, 1, start=start, **still))
    np.testing.assert_allclose(frame.pictures, [start, start], atol=1e-3)


def test_a_start_of_another_size_is_resized(net, noise):
    still = {"start": np.full((40, 50, 3), 0.25, np.float32), "optimizer": optimizers.adam(0.0)}
    frame = next(ascend(net("plain"), channel("conv2", 0), 16, 1, **still, **PIXELS))
    np.testing.assert_allclose(frame.pictures, np.full((1, 16, 16, 3), 0.25), atol=1e-5)


# -- determinism


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_picture(net):
    def picture(seed):
        shaken = (transforms.jitter(4), transforms.noise())
        frames = ascend(net("plain"), channel("conv2", [0, 1]), 16, 6, transforms=shaken, seed=seed)
        return last(frames).pictures.tobytes()

    assert picture(3) == picture(3)
    assert len({picture(0), picture(3), picture(4)}) == 3


def test_two_runs_at_once_do_not_disturb_each_other(net):
    def run(k):
        return ascend(net("plain"), channel("conv2", k), size=16, steps=5)

    alone = [last(run(k)).pictures for k in (0, 1)]
    together = list(zip(run(0), run(1), strict=True))[-1]
    for frame, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(frame.pictures, expected)


def test_a_pictures_noise_comes_from_its_own_unit(net):
    noisy = {"transforms": (transforms.noise(0.2),), "size": 16, "steps": 1}
    of = [next(ascend(net("plain"), channel("conv2", units), **noisy)) for units in ([4, 5], [5, 4])]
    np.testing.assert_array_equal(of[0].pictures, of[1].pictures[::-1])
    np.testing.assert_array_equal(of[0].values, of[1].values[::-1])


def test_random_numbers_of_the_user_are_neither_read_nor_moved(net):
    _ = net("with_state").layers  # building models draws from Python's generator: not ours to forbid

    def world():
        generator = tf.random.get_global_generator()
        return random.getstate(), [*map(str, np.random.get_state())], generator.state.numpy().tobytes()

    def run():
        return last(ascend(net("with_state"), channel("relu", 0), 16, 3, transforms=(transforms.noise(),))).pictures

    tf.random.set_seed(1)
    random.seed(1)
    np.random.seed(1)
    before, expected = world(), tf.random.uniform([3])
    first = run()
    assert world() == before
    tf.random.set_seed(1)
    run()
    np.testing.assert_array_equal(tf.random.uniform([3]), expected)
    tf.random.set_seed(2)
    random.seed(2)
    np.random.seed(2)
    np.testing.assert_array_equal(run(), first)


# -- graphs


def test_fifty_runs_over_one_layer_are_traced_once(build):
    network, counting = Network(build("plain")), Counting()
    for k in range(50):
        objective = 0.1 * k * neuron("conv2", k % 12, k % 5, k % 7)
        rate = optimizers.adam(0.01 * k)
        list(ascend(network, objective, size=16, steps=2, seed=k, transforms=(counting,), optimizer=rate))
    assert len(counting.traced) == 1
    list(ascend(network, neuron("conv1", 0), size=16, steps=1, transforms=(counting,)))
    assert len(counting.traced) == 2  # another layer is another graph: the counter counts


def test_two_hundred_runs_leave_nothing_behind(build):
    network = Network(build("plain"))

    def render(k):
        last(ascend(network, k % 7 * channel("conv2", k % 12), size=16, steps=1 + k % 2, seed=k))

    def held():
        gc.collect()
        return len(gc.get_objects())

    for k in range(20):
        render(k)
    before, kept = held(), len(network.traces)
    for k in range(180):
        render(k)
    assert len(network.traces) == kept
    assert held() - before < 180  # less than one object a run


def test_a_run_that_is_interrupted_while_it_is_traced_starts_again_as_new(build, monkeypatch):
    network, usual = Network(build("plain")), of_layers.Unit.value

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(of_layers.Unit, "value", interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(ascend(network, channel("conv2", 0), size=16, steps=2))
    monkeypatch.setattr(of_layers.Unit, "value", usual)
    again = last(ascend(network, channel("conv2", 0), size=16, steps=2))
    fresh = last(ascend(Network(build("plain")), channel("conv2", 0), size=16, steps=2))
    assert again.pictures.tobytes() == fresh.pictures.tobytes()


def test_new_weights_are_used_without_another_trace(build):
    model = build("plain")
    network, counting = Network(model), Counting()

    def run():
        return last(ascend(network, channel("conv2", 0), size=16, steps=3, transforms=(counting,)))

    first, weights = run(), model.get_weights()
    model.set_weights([-w for w in weights])
    assert not np.array_equal(run().pictures, first.pictures)
    model.set_weights(weights)
    np.testing.assert_array_equal(run().pictures, first.pictures)
    assert len(counting.traced) == 1


def test_an_objective_and_a_rate_can_be_steered_during_a_run(net):
    rate, sign, counting = [0.05], [1.0], Counting()
    way = Ascent(transforms=(counting,), optimizer=optimizers.adam(lambda: rate[0]))
    run = maximize(net("plain"), lambda: sign[0] * channel("conv2", 2), Canvas((16, 16, 3)), 6, way)
    frames = [next(run), next(run)]
    rate[0] = 0.0
    frames += [next(run)]
    np.testing.assert_array_equal(frames[2].pictures, frames[1].pictures)
    sign[0] = -1.0
    frames += [next(run)]
    assert np.sign(frames[3].values) == -np.sign(frames[2].values)
    assert len(counting.traced) == 1


# -- failure


def test_a_run_that_diverges_fails_and_its_last_frame_was_finite(build):
    model, frames = build("plain"), []
    with pytest.raises(JobFailed, match="diverged at step 4 of 6.*lower the step size"):
        for frame in ascend(model, channel("conv2", [0, 1]), size=16, steps=6):
            frames.append(frame)
            if frame.step == 3:
                model.set_weights([w * np.nan for w in model.get_weights()])
    assert [f.step for f in frames] == [1, 2, 3]
    assert np.isfinite(frames[-1].pictures).all() and np.isfinite(frames[-1].values).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named_at_the_first_step(build, value):
    model = build("plain")
    model.get_layer("conv2").bias.assign([value] * 12)
    with pytest.raises(BadModel, match="'conv2/bias' of 'plain' hold NaN or infinity"):
        list(ascend(model, channel("conv2", 0), size=16, steps=2))


BAD = [
    ({"objective": channel("conv3", 0)}, "no layer 'conv3'"),
    ({"objective": channel("conv2", 12)}, "no unit 12. Its units are 0 to 11"),
    ({"objective": channel("conv2", [0, -1])}, "no unit -1"),
    ({"objective": channel("conv2", 0, call=1)}, "no call 1. Its calls are 0 to 0"),
    ({"objective": channel("gap", 0)}, "no rows and columns.*objectives.unit"),
    ({"objective": neuron("logits", 0)}, "no rows and columns"),
    ({"objective": unit("picture", 0)}, "never called"),
    ({"objective": class_logit(5)}, "no class 5. Choose an index from 0 to 4"),
    ({"objective": class_logit(0, output=1)}, "no output 1"),
    ({"objective": channel("conv1", [0, 1]) + channel("conv2", [0, 1, 2])}, r"\[2, 3\] pictures"),
    ({"objective": "conv2"}, "Expected an objective from cw.objectives, got 'conv2'"),
    ({"objective": None}, "Expected an objective from cw.objectives, got None"),
    *[({"steps": steps}, "steps must") for steps in (0, -1, 2049, 1.5, True, "3", None, np.nan)],
    *[({"size": size}, "size must") for size in (7, 1025, 0, -64, 16.5, True, "64", (16,), (16, 16, 3), (16, 7), [])],
    *[({"seed": seed}, "seed must") for seed in ("x", 1.5, True, None)],
]


@pytest.mark.parametrize("wrong, words", BAD, ids=str)
def test_a_wrong_setting_is_refused_in_words_before_any_computing(net, monkeypatch, wrong, words):
    network = net("plain")
    monkeypatch.setattr(ascent_, "maximize", lambda *_: pytest.fail("it was begun"))
    settings = {"objective": channel("conv2", 0), "size": 16, "steps": 2, **wrong}
    with pytest.raises(BadTarget, match=words):
        ascend(network, **settings)  # at the call: not only when the first frame is asked for


def test_a_size_that_a_fixed_network_does_not_take_is_refused_with_what_helps(net):
    with pytest.raises(BadTarget, match="takes 32 x 32, not 64 x 64. Leave size out"):
        ascend(net("sequential"), class_logit(0), size=64)


def test_pictures_that_are_too_small_for_the_layers_are_refused():
    pools = [part for _ in range(3) for part in (L.Conv2D(4, 3), L.MaxPooling2D(3, 2))]
    model = keras.Sequential([keras.Input((None, None, 3)), *pools, L.Conv2D(2, 1, name="conv")])
    with pytest.raises(BadTarget, match="Pictures of 16 x 16 pixels are too small.*larger"):
        list(ascend(model, channel("conv", 0), size=16, steps=1))


def test_a_bad_start_or_a_bare_thing_is_refused(net):
    with pytest.raises(BadPicture):
        ascend(net("plain"), channel("conv2", 0), size=16, start="nowhere.png")
    with pytest.raises(BadModel):
        ascend("plain", channel("conv2", 0))


# -- several inputs


def test_the_input_that_the_layers_call_sees_is_optimized(net, value_of):
    for call in (0, 1):
        frames = list(ascend(net("siamese"), channel("encoder/conv", 1, call=call), steps=4, **PIXELS))
        assert frames[3].values > frames[0].values
    with pytest.raises(BadTarget, match="No gradient"):
        ascend(net("inputs_as_list"), unit("table", 0))


def test_the_values_of_other_inputs_change_the_pictures(net, noise):
    held = [None, {"right": noise(32, 32, 3)}, {"right": noise(32, 32, 3, seed=8)}]
    values = [next(ascend(net("siamese"), class_logit(1), steps=1, held=h)).values[0] for h in held]
    assert len(set(values)) == 3
    with pytest.raises(BadModel, match="no input 'middle'.*left, right"):
        ascend(net("siamese"), class_logit(1), held={"middle": noise(32, 32, 3)})


# -- the user's model


@pytest.mark.parametrize("name", ["nested", "siamese", "subclassed", "with_state"])
def test_the_model_is_untouched_at_every_moment_that_the_user_can_look(build, monkeypatch, snapshot_of, name):
    model = build(name)
    network = Network(model)
    conv = next(info.path for info in network.layers if info.kind == "conv")
    fixed = network.inputs[0].is_fixed
    settings = {"size": None if fixed else 16, "steps": 3}
    before = snapshot_of(model)
    unfinished = ascend(network, channel(conv, 0), **settings)
    next(unfinished)
    assert snapshot_of(model) == before  # while it stands between two steps
    last(unfinished)
    assert snapshot_of(model) == before
    abandoned = ascend(network, class_logit(0), **settings)
    next(abandoned)
    abandoned.close()
    assert snapshot_of(model) == before

    monkeypatch.setattr(of_layers.Layer, "value", lambda *_: 1 / 0)  # inside the recording
    with pytest.raises(ZeroDivisionError):
        list(ascend(network, layer(conv), **settings))
    assert snapshot_of(model) == before

    weight = next(v for v in model.variables if v.path.endswith("kernel"))
    kept = weight.numpy()
    weight.assign(kept * np.nan)
    with pytest.raises(CnnWidgetsError):
        list(ascend(network, channel(conv, 0), **settings))
    weight.assign(kept)
    assert snapshot_of(model) == before


def test_layers_that_train_otherwise_are_run_as_in_use(net, noise, value_of):
    pictures = noise(1, 16, 16, 3)
    values = {float(value_of(net("with_state"), class_logit(0), pictures)[0]) for _ in range(4)}
    assert len(values) == 1  # neither flipped nor dropped out
    logits = net("with_state").model(pictures, training=False)
    assert values.pop() == pytest.approx(float(logits[0, 0]), rel=1e-5)


def test_the_model_can_be_used_in_another_thread_during_a_run(build, noise):
    model, pictures = build("plain"), noise(2, 16, 16, 3)
    expected, wrong, done = model(pictures).numpy(), [], threading.Event()

    def use():
        while not done.is_set():
            if not np.array_equal(model(pictures), expected):
                wrong.append(1)

    alone = last(ascend(Network(model), channel("conv2", 0), size=16, steps=3)).pictures
    thread = threading.Thread(target=use)
    thread.start()
    try:
        for _ in range(2):  # a Network of its own each time, so that it is traced while the other uses the model
            beside = last(ascend(Network(model), channel("conv2", 0), size=16, steps=3)).pictures
            np.testing.assert_array_equal(beside, alone)
    finally:
        done.set()
        thread.join()
    assert not wrong
