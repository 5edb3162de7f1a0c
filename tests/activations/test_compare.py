"""How far units moved, by hand-made correlations and by numpy's own."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.activations.compare import Moments, partners
from cnnwidgets.model.backend import keras

PICTURES = np.random.default_rng(3).random((4, 12, 12, 3)).astype(np.float32)


def model(kernel, bias=0.0, size=12, name="conv", activation=None):
    units = kernel.shape[-1]
    picture = keras.Input((size, size, 3), name="picture")
    made = keras.layers.Conv2D(units, 3, name=name, activation=activation)
    x = keras.layers.GlobalAveragePooling2D()(made(picture))
    built = keras.Model(picture, keras.layers.Dense(2, name="logits")(x))
    made.set_weights([kernel, np.full(units, bias, np.float32)])
    return built


@pytest.fixture(scope="module")
def kernel():
    return np.random.default_rng(1).normal(size=(3, 3, 3, 5)).astype(np.float32)


def test_a_factor_and_an_offset_are_no_move_and_the_opposite_is_two(kernel):
    factors = np.array([1, 3, -1, 0, 1], np.float32)
    moved = cw.compare_units(model(kernel), model(kernel * factors, 2.0), "conv", PICTURES)
    assert moved.dtype == np.float32
    assert moved == pytest.approx([0, 0, 2, 1, 0], abs=1e-5)  # 0 as a factor: constant in one of them


def test_units_that_are_constant_in_both_did_not_move(kernel):
    none = kernel * np.array([0, 1, 1, 1, 1], np.float32)
    moved = cw.compare_units(model(none), model(none, -4.0), "conv", PICTURES)
    assert moved == pytest.approx(np.zeros(5), abs=1e-5)


def test_it_is_the_correlation_over_all_positions_of_all_pictures(kernel):
    other = np.random.default_rng(2).normal(size=kernel.shape).astype(np.float32)
    models = [model(kernel, 4.0, activation="relu"), model(other, 4.0, activation="relu")]
    moved = cw.compare_units(*models, "conv", list(PICTURES))
    maps = [np.stack([cw.feature_maps(m, p, ["conv"])["conv"] for p in PICTURES]).reshape(-1, 5) for m in models]
    wanted = [1 - np.corrcoef(maps[0][:, unit], maps[1][:, unit])[0, 1] for unit in range(5)]
    assert moved == pytest.approx(wanted, abs=1e-5)


def test_a_large_offset_does_not_spoil_it():
    numbers = np.random.default_rng(4)
    one = numbers.normal(size=(300, 3)) + 1e5
    other = 0.5 * one + numbers.normal(size=(300, 3))
    moments = Moments()
    for rows in (slice(0, 7), slice(7, 200), slice(200, 300)):
        moments.add(one[rows], other[rows])
    wanted = [1 - np.corrcoef(one[:, i], other[:, i])[0, 1] for i in range(3)]
    assert moments.distances() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("after", "layer", "said"),
    [
        ({"name": "other"}, "conv", "network after .*no layer 'conv'"),
        ({"name": "other"}, "other", "network before .*no layer 'other'"),
        ({"units": 4}, "conv", "5 units before and 4 after"),
        ({"size": 16}, "conv", r"\[10, 10, 5\] before and \[14, 14, 5\] after"),
        ({}, None, "no layer None"),
    ],
)
def test_what_cannot_be_compared_is_named(after, layer, said, kernel):
    units = after.pop("units", 5)
    with pytest.raises(cw.BadTarget, match=said):
        cw.compare_units(model(kernel), model(kernel[..., :units], **after), layer, PICTURES)


def test_a_backbone_inside_another_model_is_matched_by_the_end_of_the_path(kernel):
    base = model(kernel)
    tuned = keras.Sequential([keras.Input((12, 12, 3)), model(kernel * 2), keras.layers.Dense(4, name="head")])
    inner = tuned.layers[0].name
    for before, after in ((base, tuned), (tuned, base)):
        for layer in ("conv", f"{inner}/conv"):
            assert cw.compare_units(before, after, layer, PICTURES) == pytest.approx(np.zeros(5), abs=1e-5)
    found, only_before, only_after = partners(cw.Network(base), cw.Network(tuned))
    assert found["conv"] == f"{inner}/conv"
    assert only_before == ()
    assert only_after == ("head",)


def test_names_that_keras_counted_are_matched_in_their_order(kernel):
    def made():
        layers = [keras.layers.Conv2D(5, 3), keras.layers.Conv2D(4, 3), keras.layers.Dense(2)]
        return keras.Sequential([keras.Input((12, 12, 3)), *layers])

    one, other = made(), made()
    other.set_weights(one.get_weights())
    found, only_before, only_after = partners(cw.Network(one), cw.Network(other))
    assert found == {a.name: b.name for a, b in zip(one.layers, other.layers, strict=True)}
    assert only_before == only_after == ()
    assert cw.compare_units(one, other, one.layers[1].name, PICTURES) == pytest.approx(np.zeros(4), abs=1e-5)


@pytest.mark.parametrize("pictures", [[], PICTURES[0], "cat.jpg", None])
def test_pictures_are_a_list(pictures, kernel):
    with pytest.raises(cw.BadPicture, match="pictures must"):
        cw.compare_units(model(kernel), model(kernel), "conv", pictures)
