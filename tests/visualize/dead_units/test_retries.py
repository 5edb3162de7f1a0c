"""A unit that fires has no note, however it was reached; one that never fires says so and why."""

import numpy as np
import pytest

from cnnwidgets.frame import Frame
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.dead_units import retries
from cnnwidgets.visualize.dead_units.unit_activity import Activity, measuring
from cnnwidgets.visualize.units import visualize_units

L = keras.layers


def with_biases(biases, make, brightness=0.1):
    """A convolution with these biases, then what `make` puts behind it.

    Its weights sum to 27 times `brightness`: with none, a unit sees edges, and no even color moves it.
    """
    picture = keras.Input((None, None, 3), name="picture")
    outputs, convs = make(picture)
    numbers = np.random.default_rng(0)
    for conv in convs:
        kernel = numbers.normal(0, 0.1, (3, 3, 3, 4))
        conv.set_weights([kernel - kernel.mean((0, 1, 2)) + brightness, np.array(biases)])
    return keras.Model(picture, outputs)


def fused(picture):
    conv = L.Conv2D(4, 3, activation="relu", name="unit")
    return conv(picture), [conv]


def separate(activation, *settings):
    def make(picture):
        conv = L.Conv2D(4, 3)
        return activation(*settings, name="unit")(conv(picture)), [conv]

    return make


def concatenated(picture):
    first, second = L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(4, 3, padding="same")
    x = L.Concatenate(name="unit")([first(picture), L.ReLU()(second(picture))])
    return x, [first, second]


HIDDEN = {
    "fused": fused,
    "relu6 layer": separate(L.ReLU, 6.0),
    "concatenation": concatenated,
}


def answers(model, pictures, units):
    """What the real network answers to the pictures as they would be saved."""
    eight_bits = (np.round(pictures * 255) / 255).astype(np.float32)
    layer = keras.Model(model.input, model.get_layer("unit").output)
    return layer(eight_bits).numpy()[np.arange(len(units)), :, :, units]


BEYOND_GREY = [-2.0, 0.5, -1.8, 0.5]  # units 0 and 2 are silent at mid-grey (1.35), and fire at white (2.7)


@pytest.mark.parametrize("make", HIDDEN.values(), ids=HIDDEN)
def test_a_unit_that_noise_leaves_inactive_is_reached_and_has_no_note(make, noise):
    model = with_biases(BEYOND_GREY, make)
    some = [0, 2, 6] if make is concatenated else [0, 2]
    assert answers(model, np.repeat(0.45 + 0.1 * noise(1, 16, 16, 3), len(some), 0), some).max() == 0
    pics = visualize_units(model, "unit", some, size=16, steps=24)
    assert pics.notes == ("",) * len(some)
    assert (answers(model, pics.pictures, some).max((1, 2)) > 0).all()
    assert (pics.pictures.std((1, 2, 3)) > 0.02).all()


def test_a_unit_behind_a_layer_that_is_off_around_gray_is_reached():
    first = keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer="zeros")
    second = keras.layers.Conv2D(3, 3, activation="relu", kernel_initializer="ones", name="second")
    model = keras.Sequential([keras.Input((24, 24, 3)), first, second])
    edges = np.zeros((3, 3, 3, 4), np.float32)
    edges[0, 0], edges[2, 2] = 1, -1.1  # off on every gray picture, on at an edge
    first.set_weights([edges, np.zeros(4)])
    (frame, *_, last) = ascend(model, objectives.unit("second", 0), size=24, steps=3)
    assert frame.values == last.values == 0 and "no gradient at the start" in last.notes[0]
    pictures = visualize_units(model, "second", range(3), size=24, steps=4)
    assert (pictures.values > 0).all() and pictures.notes == ("", "", "")


def test_a_unit_that_a_few_steps_do_not_reach_is_retried():
    model = with_biases(BEYOND_GREY, fused)
    pics = visualize_units(model, "unit", [0, 1, 2], size=16, steps=1)
    assert pics.notes == ("", "", "")
    assert (answers(model, pics.pictures, [0, 1, 2]).max((1, 2)) > 0).all()


@pytest.mark.parametrize("make", [fused, concatenated])
def test_a_unit_that_sees_edges_is_reached_though_its_mean_says_nothing(make):
    model = with_biases([-0.4, 0.5, -0.4, 0.5], make, brightness=0)
    pics = visualize_units(model, "unit", [0, 1, 2], size=16, steps=8)
    assert pics.notes == ("", "", "")
    assert (answers(model, pics.pictures, [0, 1, 2]).max((1, 2)) > 0).all()


def test_a_unit_saturated_at_its_upper_end_fires_and_is_called_constant(build):
    model = with_biases([50.0] * 4, HIDDEN["relu6 layer"])
    pics = visualize_units(model, "unit", [0], size=16, steps=4)
    assert pics.notes == ("constant: always 6, whatever the picture",) and pics.values[0] > 6


@pytest.mark.parametrize("make", [fused, concatenated])
def test_a_dead_unit_is_noted_and_its_neighbour_is_not(make):
    model = with_biases([-1e4, 0.5, 0.5, 0.5], make)
    pics = visualize_units(model, "unit", [0, 1], size=16, steps=4)
    assert pics.notes[0].startswith("never fires: ") and pics.notes[1] == ""
    assert np.isfinite(pics.pictures).all() and pics.values[0] < -9e3


def test_a_unit_without_weights_is_noted_with_its_bias():
    model = with_biases([-1.8, 0.5, 0.5, 0.5], fused)
    kernel, bias = model.get_layer("unit").get_weights()
    kernel[..., 0] = 0
    model.get_layer("unit").set_weights([kernel, bias])
    pics = visualize_units(model, "unit", [1, 0], size=16, steps=4)
    assert pics.notes == ("", "never fires: weights ~0, bias -1.8")
    assert pics.values[1] == pytest.approx(-1.8, rel=1e-5)


def test_a_hidden_unit_of_a_dense_network_is_reached(build):
    """A weight for each position: pictures that are shifted about have no gradient here."""
    model = build("dense_only")
    model.get_layer("hidden").bias.assign([-0.5] * 7)
    assert visualize_units(model, "hidden", range(7), steps=16).notes == ("",) * 7


def test_a_retried_picture_is_the_same_bytes_whichever_other_units_are_dead():
    model = with_biases([-1.8, -1.8, -1.8, 0.5], fused)
    alone = visualize_units(model, "unit", [1], size=16, steps=1)
    among = visualize_units(model, "unit", [0, 3, 1, 2], size=16, steps=1)
    np.testing.assert_array_equal(among.pictures[2], alone.pictures[0])
    assert among.values[2] == alone.values[0]


# -- measuring


def test_activity_is_that_of_the_real_network_on_the_8_bit_picture(net, noise):
    network, pictures = net("plain"), noise(5, 12, 12, 3)
    some = [3, 0, 7, 3, 11]
    found = measuring(network, network.layer("conv2"), 2, 0, Canvas((12, 12, 3)))(pictures, some)
    eight_bits = (np.round(pictures * 255) / 255).astype(np.float32)
    recorded = keras.Model(network.model.input, network.model.get_layer("pool1").output)(eight_bits)
    conv = network.model.get_layer("conv2")
    before = keras.ops.conv(recorded, conv.kernel, padding="same").numpy() + conv.bias.numpy()
    for row, (activity, which) in enumerate(zip(found, some, strict=True)):
        own = before[row, :, :, which]
        assert activity.maximized == pytest.approx(own.mean(), abs=1e-5)
        assert activity.highest_before == pytest.approx(own.max(), abs=1e-5)
        assert activity.mean == pytest.approx(np.maximum(own, 0).mean(), abs=1e-5)
        assert activity.highest == pytest.approx(max(own.max(), 0), abs=1e-5)


# -- trying again


def fakes(levels):
    """Fakes of a run and its measurement: `levels[unit]` is the value before the activation, by seed and step."""
    runs = []

    def optimized(units, extra_seed):
        runs.append((tuple(units), extra_seed))
        for step in range(1, retries.STEPS + 1):
            pictures = np.zeros((len(units), 1, 1, 3), np.float32)
            pictures[..., 0], pictures[..., 1] = extra_seed, step
            yield Frame(pictures, step, retries.STEPS, np.zeros(len(units)))

    def measured(pictures, units):
        def one(picture, unit):
            level = levels[unit](int(picture[0, 0, 0]), int(picture[0, 0, 1]))
            return Activity(max(level, 0), level, max(level, 0), level, 1.0)

        return [one(picture, unit) for picture, unit in zip(pictures, units, strict=True)]

    return optimized, measured, runs


def outcomes_of(tries):
    """Run all attempts, each until it is over."""
    for attempt in tries.attempts():
        for frame in attempt:
            if frame.step in tries.checks and tries.is_over(frame):
                break
    return tries.outcomes


def retried(units, levels):
    optimized, measured, runs = fakes(levels)
    return outcomes_of(retries.Retries(units, optimized, measured)), runs


def test_a_dead_unit_that_fires_later_has_a_picture_and_no_note():
    outcomes, _ = retried([5], {5: lambda seed, step: step - 40.0})
    assert outcomes[5].note == "" and outcomes[5].activity.highest > 0
    assert outcomes[5].picture[0, 0, 1] == 64  # the first check after it fired


def test_a_unit_that_only_the_second_seed_reaches_is_reached():
    outcomes, runs = retried([5], {5: lambda seed, step: step - 40.0 if seed else -50.0 - step})
    assert outcomes[5].note == "" and outcomes[5].picture[0, 0, 0] == 1
    assert [seed for _, seed in runs] == [0, 1]


def test_a_unit_that_never_fires_is_retried_with_both_seeds_and_its_note_says_what_was_reached():
    outcomes, runs = retried([5], {5: lambda seed, step: -100.0 + step - seed})
    assert outcomes[5].picture is None
    assert outcomes[5].note == "never fires: at best -4 before its activation"
    assert [seed for _, seed in runs] == [0, 1]


def test_a_unit_that_is_too_far_away_is_given_up_after_the_first_check_of_each_seed():
    made = []

    def counted(units, extra_seed):
        for frame in optimized(units, extra_seed):
            made.append((extra_seed, frame.step))
            yield frame

    optimized, measured, _ = fakes({5: lambda seed, step: -1000.0 + step, 6: lambda seed, step: -20.0 - step})
    outcomes = outcomes_of(retries.Retries([5, 6], counted, measured))
    assert max(step for _, step in made) == retries.CHECK_EVERY and len(made) == 2 * retries.CHECK_EVERY
    assert outcomes[5].note == "never fires: at best -9.7e+02 before its activation"


def test_what_becomes_of_a_unit_does_not_depend_on_the_others():
    levels = {5: lambda seed, step: -40.0 if step < 90 else 1.0, 6: lambda seed, step: -95.0 + step}
    both, alone = retried([5, 6], levels)[0], retried([5], levels)[0]
    assert both[5].note == alone[5].note and (both[5].picture is None) == (alone[5].picture is None)


def test_a_unit_that_does_not_move_at_all_is_given_up_early():
    outcomes, runs = retried([5], {5: lambda seed, step: -1.75})
    assert outcomes[5].note == "never fires: weights ~0, bias -1.8"
    assert len(runs) == 1


def test_dead_units_are_retried_in_batches_of_one_shape_and_only_those_left_a_second_time():
    units = list(range(6))
    late = {unit: (lambda seed, step: 1.0) for unit in units[:5]} | {5: lambda seed, step: -100.0 + step}
    outcomes, runs = retried(units, late)
    assert {len(batch) for batch, _ in runs} == {retries.BATCH}
    assert [(set(batch), seed) for batch, seed in runs] == [({0, 1, 2, 3}, 0), ({4, 5}, 0), ({5}, 1)]
    assert [unit for unit in units if outcomes[unit].note] == [5]


def test_a_unit_that_is_always_the_same_is_called_constant():
    picture = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(3, 3, activation="relu6", name="conv")(picture)
    model = keras.Model(picture, keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(x)))
    kernel = np.random.default_rng(0).normal(0, 0.1, (3, 3, 3, 3))
    kernel[..., 1] = 0
    model.get_layer("conv").set_weights([kernel, np.array([0.1, 9.0, 0.1])])
    net = Network(model, "unit")
    assert visualize_units(net, "conv", range(3), steps=2).notes == (
        "", "constant: always 6, whatever the picture", "",
    )  # fmt: skip


def test_a_linear_unit_has_no_firing():
    picture = keras.Input((8, 8, 3))
    scores = keras.layers.Dense(3, name="scores")(keras.layers.GlobalAveragePooling2D()(picture))
    model = keras.Model(picture, scores)
    model.set_weights([np.array([[-1.0, 0, 2.0]] * 3), np.array([-5.0, -1.8, 0.0])])
    notes = visualize_units(Network(model, "unit"), "scores", range(3), steps=2).notes
    assert notes[0].startswith("negative: at best -") and "no activation" in notes[0]
    assert notes[1:] == ("constant: always -1.8, weights ~0", "")
