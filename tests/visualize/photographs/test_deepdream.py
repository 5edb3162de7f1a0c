"""A dream grows by octaves, keeps the photograph's detail, can be steered, and works or says why at any size."""

import io

import numpy as np
import pytest
from PIL import Image

from cnnwidgets import pictures, zoo
from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.samples import sample
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.photographs.deepdream import DreamSettings, _enlarged, deepdream
from cnnwidgets.visualize.photographs.dream_layers import BUNDLED, PRESETS, dream_layers
from cnnwidgets.visualize.photographs.octaves import resized

L = keras.layers


@pytest.fixture(scope="module")
def photo():
    """[60, 84, 3]: smooth, as photographs are, and away from black and white."""
    small = np.random.default_rng(5).uniform(0.25, 0.75, (8, 11, 3))
    return pictures.resize(small, (60, 84))


@pytest.fixture(scope="module")
def strided():
    """Each convolution halves the picture and takes its border off; any size, but too small ones vanish."""
    x = picture = keras.Input((None, None, 3), name="picture")
    for i in range(1, 5):
        x = L.Conv2D(6, 3, strides=2, activation="relu", name=f"conv{i}")(x)
    x = L.MaxPooling2D(3, 2, name="pool")(x)
    x = L.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(picture, L.Dense(3, name="logits")(x), name="strided")
    numbers = np.random.default_rng(1)
    for weight in model.weights:
        fan_in = int(np.prod(weight.shape[:-1]))
        weight.assign(
            numbers.normal(0, (2 / fan_in) ** 0.5, weight.shape) if fan_in > 1 else np.full(weight.shape, 0.1)
        )
    return Network(model)


# -- octaves


def test_frames_count_over_all_octaves_and_end_at_the_photographs_size(net, photo):
    frames = list(deepdream(net("plain"), photo, "conv2", octaves=3, octave_scale=1.5, steps=2))
    assert [frame.step for frame in frames] == [1, 2, 3, 4, 5, 6]
    assert {frame.steps for frame in frames} == {6}
    assert [(frame.octave, frame.octaves) for frame in frames] == [(1, 3), (1, 3), (2, 3), (2, 3), (3, 3), (3, 3)]
    sizes = [frame.pictures.shape for frame in frames[1::2]]
    assert sizes == [(1, 27, 37, 3), (1, 40, 56, 3), (1, 60, 84, 3)]


def test_each_octave_climbs_and_stays_a_picture(net, photo):
    frames = list(deepdream(net("plain"), photo, "conv2", octaves=3, steps=5, step_size=0.03))
    for first in range(0, 15, 5):
        values = [float(frame.values[0]) for frame in frames[first : first + 5]]
        assert values == sorted(values)
        assert values[-1] > 1.1 * values[0]
    for frame in frames:
        assert 0 <= frame.pictures.min() <= frame.pictures.max() <= 1


def test_without_a_step_the_photograph_comes_back_whole(net, photo):
    grain = np.random.default_rng(2).uniform(-0.2, 0.2, photo.shape).astype(np.float32)  # lost in every octave but one
    *_, last = deepdream(net("plain"), photo + grain, octaves=4, steps=1, step_size=lambda: 0.0)
    np.testing.assert_allclose(last.pictures[0], photo + grain, atol=1e-5)


def test_the_first_value_is_the_weighted_mean_square_in_several_submodels(net, photo, value_of):
    layers = {"deep.v2/conv": 2.0, "backbone/conv": -0.5}
    paths = ["backbone/deep.v2/conv", "backbone/conv"]
    first = next(deepdream(net("nested"), photo, layers, octaves=1, jitter=0))
    squares = [value_of(net("nested"), objectives.layer(path), photo[None]) for path in paths]
    np.testing.assert_allclose(first.values, 2.0 * squares[0] - 0.5 * squares[1], rtol=1e-5)


def test_one_graph_serves_all_octaves_and_photographs(build, photo):
    net = Network(build("plain"))
    for size in ((60, 84), (50, 33), (41, 90)):
        list(
            deepdream(
                net, pictures.resize(photo, size), {"conv1": size[0]}, octaves=4, steps=1, step_size=size[1] / 1e4
            )
        )
    graphs = [kept[0] for (kept,) in net.traces._kept.values() if isinstance(kept, tuple)]
    assert [graph.experimental_get_tracing_count() for graph in graphs] == [1]


def test_the_seed_decides_the_bytes(net, photo):
    def dream(seed):
        *_, last = deepdream(net("plain"), photo, octaves=2, steps=3, seed=seed)
        return last.pictures.tobytes()

    assert dream(1) == dream(1) != dream(2)


# -- steering


def test_weights_and_step_size_are_asked_before_each_step(net, photo, value_of):
    weights, sizes = iter([1.0, 1.0, 1.0, 2.0, 3.0, 4.0]), iter([0.0, 0.0, 0.05])
    run = deepdream(
        net("plain"),
        photo,
        {"conv2": lambda: next(weights)},
        octaves=1,
        steps=3,
        step_size=lambda: next(sizes),
        jitter=0,
    )
    frames = list(run)
    (once,) = value_of(net("plain"), objectives.layer("conv2"), photo[None])
    factors = [float(frame.values[0]) / once for frame in frames]
    assert factors[1] > factors[0] + 0.9  # the picture stands still, the weight does not
    np.testing.assert_array_equal(frames[1].pictures[0], photo)
    assert np.abs(frames[2].pictures[0] - photo).mean() > 0.01


def test_a_closed_run_keeps_its_picture_and_the_next_one_starts_anew(build, photo, snapshot_of):
    model = build("plain")
    before, net = snapshot_of(model), Network(model)
    whole = list(deepdream(net, photo, octaves=2, steps=3))
    run = deepdream(net, photo, octaves=2, steps=3)
    frame = [next(run) for _ in range(4)][-1]
    run.close()
    assert snapshot_of(model) == before
    again = list(deepdream(net, photo, octaves=2, steps=3))
    assert frame.pictures.tobytes() == whole[3].pictures.tobytes() == again[3].pictures.tobytes()
    assert snapshot_of(model) == before


# -- sizes


def test_octaves_that_are_too_small_are_dropped_and_it_is_told_beforehand(strided, photo):
    plan = DreamSettings("conv4", octaves=4, octave_scale=2, steps=3).check(strided, photo)
    assert [octave.size for octave in plan.octaves] == [(60, 84)]  # 30 x 42 leaves 14, 6, 2 and then no row
    assert plan.steps == 3
    assert "3 of 4 octaves" in plan.notes[0]
    assert "30 x 42" in plan.notes[0]
    frames = list(plan.frames())
    assert [(frame.step, frame.octave, frame.octaves) for frame in frames] == [(1, 1, 1), (2, 1, 1), (3, 1, 1)]
    assert frames[-1].notes == plan.notes


def test_what_lies_behind_the_layer_need_not_have_room(strided, photo):
    frames = list(deepdream(strided, photo, "conv2", octaves=3, octave_scale=2, steps=1))
    assert [frame.pictures.shape[1:3] for frame in frames] == [(15, 21), (30, 42), (60, 84)]


@pytest.mark.parametrize("size", [(1, 90), (20, 30)])
def test_a_photograph_without_room_is_refused_in_words(strided, size):
    with pytest.raises(BadPicture, match=rf"{size[0]} x {size[1]} pixels is too small for DeepDream on conv4"):
        deepdream(strided, np.full((*size, 3), 0.5), "conv4")


@pytest.mark.parametrize("size", [(32, 32), (70, 50), (20, 45)], ids=str)
def test_a_network_of_one_size_dreams_at_any_size_and_says_how(net, size):
    grey = np.random.default_rng(3).uniform(0.3, 0.7, (*size, 1)).astype(np.float32)
    frames = list(deepdream(net("sequential"), grey, octaves=2, octave_scale=1.6, steps=4))
    assert frames[-1].pictures.shape == (1, *size, 1)
    assert frames[-1].values > 1.05 * frames[4].values
    assert (np.abs(frames[-1].pictures[0] - grey) > 0).all()
    assert "tiles of 32 x 32 pixels: the network takes no other size" in frames[-1].notes[0]


def test_tiles_leave_no_seam_and_no_pixel_out():
    net = zoo.load_network("squeezenet")
    gravel = 0.1 + 0.8 * sample("gravel")[:333, :500]
    *_, last = deepdream(net, gravel, "fire4_concat", octaves=1, steps=10, tile=64)
    change = np.abs(last.pictures[0] - gravel).mean(-1)
    assert (change > 0).all()
    for axis, length in ((0, 333), (1, 500)):
        pitch = -(-length // -(-length // 56))  # tiles are kept to 56 pixels at most, all alike
        line = change.mean(1 - axis)[: length // pitch * pitch]
        at_phase = line.reshape(-1, pitch).mean(0)  # were the tiles not rolled about, their borders would stand out
        assert at_phase.min() > 0.75 * at_phase.mean()
    assert "tiles of 64 x 64 pixels" in last.notes[0]


def test_large_photographs_are_read_by_tiles(net, photo):
    plan = DreamSettings(octaves=2).check(net("plain"), pictures.resize(photo, (1000, 1600)))
    assert [(octave.size, octave.windows is None) for octave in plan.octaves] == [
        ((714, 1143), True),
        ((1000, 1600), False),
    ]
    assert (plan.octaves[1].windows.height, plan.octaves[1].windows.exact) == (512, False)
    assert "512 x 512" in plan.notes[0]


# -- networks and pictures of all kinds


@pytest.mark.parametrize("channels", [1, 4, 7])
def test_any_number_of_channels(channels):
    picture = keras.Input((None, None, channels))
    net = Network(keras.Model(picture, L.Conv2D(5, 3, activation="relu", name="conv")(picture)), preprocess="unit")
    shown = np.random.default_rng(0).random((40, 30, channels)).astype(np.float32)
    frames = list(deepdream(net, shown, octaves=2, steps=3))
    assert frames[-1].pictures.shape == (1, 40, 30, channels)
    assert frames[-1].values > frames[3].values


def test_half_precision_dreams_the_same_dream(photo):
    first = {}
    for policy in ("float32", "mixed_float16"):
        picture = keras.Input((None, None, 3))
        x = L.Conv2D(6, 3, activation="relu", name="conv", dtype=policy)(picture)
        model = keras.Model(picture, L.Conv2D(8, 3, name="deep", dtype=policy)(x))
        numbers = np.random.default_rng(0)
        for weight in model.weights:
            weight.assign(numbers.normal(0, 0.2, weight.shape))
        frame = next(deepdream(Network(model, preprocess="unit"), photo, "deep", octaves=1, jitter=0))
        first[policy] = (frame.pictures[0] - photo).ravel()
    one, other = first.values()
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.99


def test_other_inputs_hold_still(net, noise):
    left, right, other = noise(3, 32, 32, 3)
    frames = [next(deepdream(net("siamese"), [left, r], "encoder/conv", octaves=1, jitter=0)) for r in (right, other)]
    np.testing.assert_array_equal(frames[0].pictures, frames[1].pictures)
    assert frames[0].pictures.shape == (1, 32, 32, 3)
    assert 0 < np.abs(frames[0].pictures[0] - left).mean() < 0.05


def test_layers_that_see_different_pictures_are_refused():
    left, right = keras.Input((None, None, 3), name="left"), keras.Input((None, None, 3), name="right")
    a, b = L.Conv2D(2, 3, padding="same", name="a")(left), L.Conv2D(2, 3, padding="same", name="b")(right)
    net, grey = Network(keras.Model([left, right], L.Add()([a, b]))), np.full((20, 20, 3), 0.5)
    with pytest.raises(BadTarget, match="different pictures: 'a', 'b'"):
        deepdream(net, [grey, grey], ["a", "b"])
    frames = list(deepdream(net, [grey, grey], "b", octaves=2, steps=1))
    assert frames[0].pictures.shape == (1, 14, 14, 3)
    assert frames[-1].values > 0


def test_layers_that_answer_nothing_are_told(photo):
    picture = keras.Input((None, None, 3))
    model = keras.Model(picture, L.Conv2D(4, 3, activation="relu", name="dead")(picture))
    model.layers[1].bias.assign([-1e4] * 4)
    frames = list(deepdream(Network(model, preprocess="unit"), photo, octaves=1, steps=2))
    assert frames[0].notes == ("",)
    assert "zero everywhere for this picture" in frames[-1].notes[0]
    np.testing.assert_array_equal(frames[-1].pictures[0], photo)


def test_a_dream_without_a_gradient_is_told(photo):
    picture = keras.Input((None, None, 3))
    dead = L.Conv2D(4, 3, activation="relu", bias_initializer=keras.initializers.Constant(-1e4))(picture)
    model = keras.Model(picture, L.Conv2D(4, 3, bias_initializer="ones", name="constant")(dead))
    frames = list(deepdream(Network(model, preprocess="unit"), photo, "constant", octaves=2, steps=2))
    assert [frame.notes[0] for frame in frames[:-1]] == [""] * 3
    assert "No gradient reaches the picture, so it did not change" in frames[-1].notes[0]
    np.testing.assert_array_equal(frames[-1].pictures[0], photo)


def encoded(image, **keywords):
    out = io.BytesIO()
    image.save(out, **keywords)
    return out.getvalue()


def test_pictures_of_all_kinds(net, photo):
    image = Image.fromarray(pictures.to_uint8(photo))
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera stood on its side
    kinds = {
        "RGBA": (encoded(image.convert("RGBA"), format="PNG"), (60, 84)),
        "grey": (encoded(image.convert("L"), format="PNG"), (60, 84)),
        "palette": (encoded(image.quantize(16), format="GIF"), (60, 84)),
        "turned": (encoded(image, format="JPEG", exif=turned), (84, 60)),
    }
    for given, size in kinds.values():
        *_, last = deepdream(net("plain"), given, octaves=2, steps=1)
        assert last.pictures.shape == (1, *size, 3)


# -- what is asked for


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_depths_of_any_network(name):
    deep = Network(
        keras.Sequential([keras.Input((None, None, 1)), *(L.Conv2D(1, 1, name=f"c{i}") for i in range(101))])
    )
    depth = {"edges": 15, "brush": 30, "ripples": 30, "eyes": 60, "animals": 70, "fur": 85}[name]
    assert dream_layers(deep, name).weights == {f"c{depth}": 1.0}


@pytest.mark.parametrize("network", BUNDLED)
def test_presets_name_layers_of_the_bundled_networks(network):
    net = zoo.load_network(network)
    chosen = [dream_layers(net, name) for name in PRESETS]
    assert all(path in net.layers_by_path for one in chosen for path in one.weights)
    assert all(0 < one.step_size <= 0.02 for one in chosen)
    assert len({tuple(one.weights) for one in chosen}) == len(PRESETS) - 1  # ripples are brush strokes


def test_what_is_not_given_is_animals(net):
    assert dream_layers(net("plain"), None) == dream_layers(net("plain"), "animals")
    assert dream_layers(net("nested"), ["deep.v2/conv"]).weights == {"backbone/deep.v2/conv": 1.0}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"layers": "no_such"}, r"no layer or preset 'no_such'.*conv1.*animals"),
        ({"layers": "anmals"}, "preset"),
        ({"layers": []}, "layers must be a path"),
        ({"layers": 3}, "layers must be a path"),
        ({"layers": {"conv1": "much"}}, "The weight of conv1 must be .*got 'much'"),
        ({"layers": {"conv1": float("nan")}}, "conv1 must be a finite number"),
        ({"octaves": 0}, "octaves must .*got 0"),
        ({"octaves": 17}, "1 to 16"),
        ({"octave_scale": 1.0}, "octave_scale must .*got 1.0"),
        ({"octave_scale": float("nan")}, "octave_scale must .*got nan"),
        ({"steps": 0}, "steps must .*got 0"),
        ({"steps": 2.5}, "steps must .*got 2.5"),
        ({"step_size": 0}, "step_size must .*got 0"),
        ({"step_size": "large"}, "step_size must .*got 'large'"),
        ({"jitter": -1}, "jitter must .*got -1"),
        ({"tile": 8}, "32 to 2048"),
        ({"seed": 1.5}, "seed must .*got 1.5"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_before_anything_is_computed(net, photo, keywords, message):
    with pytest.raises(BadTarget, match=message):
        deepdream(net("plain"), photo, **keywords)


def test_a_network_without_convolutions_wants_a_layer(net, noise):
    with pytest.raises(BadTarget, match="no convolution"):
        deepdream(net("dense_only"), noise(16, 16, 3))
    frames = list(deepdream(net("dense_only"), noise(40, 30, 3), "hidden", octaves=1, steps=3))
    assert frames[-1].values > frames[0].values


def test_a_tile_that_a_network_of_one_size_does_not_take_is_refused(net, noise):
    with pytest.raises(BadTarget, match="tile must be .* 32 x 32 pixels only, got 64"):
        deepdream(net("sequential"), noise(50, 50, 1), tile=64)


def test_a_real_network_dreams_well():
    """Bounds of what looks good: clearly changed, still the photograph, few burnt pixels."""
    photo = sample("chelsea")
    frames = list(deepdream(zoo.load_network("squeezenet"), photo, "eyes", octaves=3))
    change = frames[-1].pictures[0] - photo
    assert 0.05 < np.abs(change).mean() < 0.13
    assert ((frames[-1].pictures <= 0) | (frames[-1].pictures >= 1)).mean() < 0.08
    for first in (0, 10, 20):
        assert frames[first + 9].values > 2 * frames[first].values


def test_a_network_that_takes_large_pictures_only(photo):
    picture = keras.Input((None, None, 3))
    x = L.Conv2D(2, 9, strides=8, name="first")(picture)
    net = Network(keras.Model(picture, L.Conv2D(2, 9, name="conv")(x)), preprocess="unit")  # 73 pixels and more
    plan = DreamSettings("conv", octaves=3, octave_scale=1.2, steps=1).check(net, pictures.resize(photo, (90, 130)))
    assert [octave.size for octave in plan.octaves] == [(75, 108), (90, 130)]
    assert len(list(plan.frames())) == 2


def test_the_dream_of_a_network_for_gray_pictures_says_that_it_is_gray(net, noise):
    frames = list(deepdream(net("sequential"), noise(40, 36, 3), "conv", octaves=1, steps=1))
    assert frames[-1].pictures.shape == (1, 40, 36, 1)
    assert "the dream is gray" in frames[-1].notes[0]


def test_a_larger_octave_starts_from_the_dream_with_the_photographs_detail():
    numbers = np.random.default_rng(0)
    photograph, dream = (numbers.random((1, *size, 3), np.float32) for size in ((42, 60), (30, 43)))
    smaller = resized(photograph, (30, 43))
    detail = photograph - resized(smaller, (42, 60))
    expected = np.clip(resized(dream, (42, 60)) + detail, 0, 1)
    np.testing.assert_allclose(_enlarged(dream, smaller, photograph), expected, atol=1e-5)
