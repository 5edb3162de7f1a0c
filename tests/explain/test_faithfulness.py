"""Whether a heatmap can be trusted: curves of a model whose important pixels are known."""

import functools

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.class_activation_map import class_activation_map
from cnnwidgets.explain.faithfulness import METRICS, FaithfulnessSettings, faithfulness
from cnnwidgets.explain.methods import imputation
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network

L = keras.layers
SIDE = 24
BLOB = np.zeros((SIDE, SIDE), bool)
BLOB[4:10, 12:18] = True
PICTURE = np.where(BLOB[..., None], 1.0, 0.2).astype(np.float32) * np.ones(3, np.float32)


@functools.cache
def network(activation="softmax"):
    """Class 1 is there where the mean brightness is high: only the bright blob counts."""
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    x = L.Conv2D(1, 1, activation="relu", name="bright")(picture)
    x = L.Dense(2, activation=activation, name="scores")(L.GlobalAveragePooling2D()(x))
    model = keras.Model(picture, x)
    model.get_layer("bright").set_weights([np.full((1, 1, 3, 1), 1 / 3), np.array([-0.6])])
    model.get_layer("scores").set_weights([np.array([[0.0, 200.0]]), np.array([0.0, -2.0])])
    return Network(model, "unit")


GOOD = BLOB.astype(np.float32)


@pytest.mark.parametrize("fill", ["gray", "blur"])
def test_a_right_map_is_better_than_chance_and_a_wrong_one_is_worse(fill):
    for metric in METRICS:
        curves = faithfulness(network(), PICTURE, {"good": GOOD, 7: 1 - GOOD}, 1, metric, 12, fill)
        good, bad = curves["good"], curves[7]
        sign = 1 if metric == "insertion" else -1
        assert sign * good.area > sign * good.random_area > sign * bad.area
        assert good.random_area == bad.random_area


def test_areas_follow_from_the_pixels_that_count():
    """36 of 576 pixels count; each removed one takes as much of the logit."""
    curve = faithfulness(network(), PICTURE, GOOD, 1, steps=64, fill="gray")
    removed = np.minimum(np.round(curve.fractions.astype(float) * SIDE**2), 36)
    logit = 200 * 0.4 * (36 - removed) / SIDE**2 - 2
    np.testing.assert_allclose(curve.values, 1 / (1 + np.exp(-logit)), atol=1e-4)
    fine = np.linspace(0, 1, 100_001)
    assert curve.area == pytest.approx(np.interp(fine, curve.fractions, curve.values).mean(), abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_a_curve_begins_and_ends_with_whole_pictures(metric):
    curve = faithfulness(network(), PICTURE, GOOD, metric=metric, steps=3, fill="gray")
    whole = next(one.probability for one in network().predict(PICTURE) if one.index == 1)
    assert curve.fractions.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert curve.values[-1 if metric == "insertion" else 0] == pytest.approx(whole, abs=1e-5)
    assert curve.metric == metric and curve.values.dtype == np.float32 and len(curve.random_values) == 4


def test_logits_without_a_softmax_have_the_same_curve():
    one, other = (faithfulness(network(kind), PICTURE, GOOD, 1, steps=6) for kind in ("softmax", None))
    np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_a_function_has_a_curve_of_its_own_numbers():
    curve = faithfulness(network(None), PICTURE, GOOD, lambda y: y[:, 1], steps=4, fill="gray")
    assert curve.values[0] == pytest.approx(200 * 0.4 * 36 / 576 - 2, abs=1e-4)


def test_the_same_seed_gives_the_same_curve_and_ties_follow_the_seed():
    flat = np.zeros((SIDE, SIDE))
    curves = [faithfulness(network(), PICTURE, flat, 1, "road", 6, seed=seed) for seed in (3, 3, -4)]
    np.testing.assert_array_equal(curves[0].values, curves[1].values)
    assert not np.array_equal(curves[0].values, curves[2].values)


def test_a_heatmap_of_the_verb_serves_at_another_size_of_the_picture():
    large = np.repeat(np.repeat(PICTURE, 2, 0), 2, 1)
    (heat,) = class_activation_map(network(), large, "bright", 1, "hirescam")
    curve = faithfulness(network(), large, heat, 1, steps=8, fill="gray")
    assert heat.map.shape == (48, 48) and curve.area < curve.random_area


def test_a_run_shows_how_far_it_is():
    frames = list(FaithfulnessSettings(1, steps=20).check(Probe(network(), PICTURE), {"a": GOOD}).frames())
    assert [frame.step for frame in frames] == list(range(1, frames[0].steps + 1))
    assert np.isnan(frames[0].curves["a"].values).any() and not np.isnan(frames[-1].curves["a"].values).any()
    assert frames[0].pictures.shape == (1, SIDE, SIDE, 3)


WRONG = [
    {"heat": GOOD[:5]},
    {"heat": np.where(BLOB, np.nan, 1)},
    {"heat": {}},
    {"heat": "map"},
    {"heat": None},
    {"metric": "removal"},
    {"fill": "white"},
    {"steps": 0},
    {"target": 5},
    {"output": 2},
    {"seed": 0.5},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_cannot_be_checked_is_refused_before_anything_is_computed(wrong, monkeypatch):
    monkeypatch.setattr(Probe, "values", lambda *_: pytest.fail("it computed"))
    with pytest.raises(BadTarget):
        faithfulness(network(), PICTURE, **{"heat": GOOD, **wrong})


def dense_solution(picture, removed):
    """Each removed pixel as the mean of its neighbors inside the picture, by numpy.linalg.solve."""
    places = {tuple(place): n for n, place in enumerate(np.argwhere(removed))}
    left, right = np.zeros((len(places), len(places))), np.zeros((len(places), picture.shape[-1]))
    for (row, column), n in places.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                other = row + down, column + across
                if (down, across) == (0, 0) or not all(0 <= o < s for o, s in zip(other, removed.shape, strict=True)):
                    continue
                weight = 1 / 6 if 0 in (down, across) else 1 / 12
                left[n, n] += weight
                if other in places:
                    left[n, places[other]] -= weight
                else:
                    right[n] += weight * picture[other]
    solution = picture.copy()
    solution[removed] = np.linalg.solve(left, right)
    return solution


@pytest.mark.parametrize("hole", ["scattered", "block", "edge", "one"])
def test_imputed_pixels_solve_the_linear_system(hole):
    numbers = np.random.default_rng(5)
    picture, removed = numbers.random((15, 18, 3)).astype(np.float32), np.zeros((15, 18), bool)
    if hole == "scattered":
        removed = numbers.random((15, 18)) < 0.7
    else:
        removed[{"block": np.s_[3:12, 2:15], "edge": np.s_[:6], "one": np.s_[4:5, 4:5]}[hole]] = True
    expected = dense_solution(picture, removed)
    np.testing.assert_allclose(imputation.solved(picture, removed, 1e-6), expected, atol=2e-4)
    assert np.abs(imputation.solved(picture, removed) - expected).max() < 0.02
    noisy = imputation.filled(picture, removed, 0)
    np.testing.assert_array_equal(noisy[~removed], picture[~removed])
    assert 0.005 < (noisy - np.clip(imputation.solved(picture, removed), 0, 1))[removed].std() < 0.015 or hole == "one"


def test_nothing_or_everything_removed():
    assert imputation.filled(PICTURE, np.zeros((SIDE, SIDE), bool), 0) is PICTURE
    gray = imputation.filled(PICTURE, np.ones((SIDE, SIDE), bool), 0)
    assert abs(gray.mean() - 0.5) < 0.01 and 0 < gray.std() < 0.02
