"""Whether a picture reaches a unit on the path on which photographs reach it."""

import numpy as np
import pytest

from cnnwidgets.activations import path_similarity as module
from cnnwidgets.activations.path_similarity import path_similarity, rank_correlation
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from tests.tiny_networks import seeded

L = keras.layers


@pytest.fixture(scope="module")
def network():
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(8, 3, activation="relu", name="first")(x)
    kept = L.Conv2D(6, 3, activation="relu", name="second")(x)
    beside = L.Conv2D(7, 3, activation="relu", name="beside")(x)
    x = L.Conv2D(5, 3, name="third")(kept)
    both = [L.GlobalAveragePooling2D(name="gap")(x), L.GlobalAveragePooling2D(name="other_gap")(beside)]
    return Network(seeded(keras.Model(picture, L.Dense(3, name="logits")(L.Concatenate()(both)))), preprocess="unit")


def outputs(network, *layers):
    return keras.Model(network.model.input, [network.model.get_layer(layer).output for layer in layers])


def last(*arguments, **rest):
    return list(path_similarity(*arguments, **rest))[-1]


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = rng.integers(0, 9, 30).astype(float), rng.random(30)
        ranks = [[1 + (x < v).sum() + ((x == v).sum() - 1) / 2 for v in x] for x in (a, b)]
        assert rank_correlation(a, b) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert rank_correlation(b, np.exp(5 * b)) == pytest.approx(1) and rank_correlation(b, -b) == pytest.approx(-1)
    assert np.isnan(rank_correlation(a, np.ones(30)))


def test_one_of_the_photographs_agrees_more_than_one_of_another_color(network, noise):
    photographs = [noise(24, 20, 3, seed=i) for i in range(4)]
    same, other = (last(network, "third", 2, one, photographs) for one in (photographs[0], photographs[0] * [0, 0, 1]))
    assert same.layers == other.layers == ("first", "second") and same.count == other.count == 4
    np.testing.assert_allclose(same.photographs, other.photographs)
    assert same.similarity > other.similarity
    assert all(-1 <= value <= 1 for one in (same, other) for value in (*one.picture, *one.photographs))


def test_equal_pictures_agree_wholly(network, noise):
    photograph = noise(24, 20, 3)
    found = last(network, "third", 2, photograph, [photograph] * 3)
    np.testing.assert_allclose([*found.picture, *found.photographs], 1)
    assert found.similarity == pytest.approx(1) and found.reference == pytest.approx(1)


def test_it_is_the_correlation_of_means_over_what_the_strongest_position_sees(network, noise):
    given = [noise(24, 20, 3, seed=i) for i in range(3)]
    means = []
    for one in given:
        first, third = (np.asarray(x)[0] for x in outputs(network, "first", "third")(one[None]))
        row, column = np.unravel_index(third[..., 1].argmax(), third.shape[:2])
        # It sees 7 x 7 pixels of 24 x 20, and those lie in these cells of 22 x 18.
        rows, columns = (
            (at * n // size, -(-(at + 7) * n // size)) for at, n, size in ((row, 22, 24), (column, 18, 20))
        )
        means.append(first[slice(*rows), slice(*columns)].mean((0, 1)))
    found = last(network, "third", 1, given[0], given[1:])
    assert found.picture[0] == pytest.approx(np.mean([rank_correlation(means[0], one) for one in means[1:]]), abs=1e-5)
    assert found.photographs[0] == pytest.approx(rank_correlation(*means[1:]), abs=1e-5)


def test_the_strongest_photographs_are_compared(network, noise, monkeypatch):
    monkeypatch.setattr(module, "STRONGEST", 2)
    photographs = [noise(16, 16, 3, seed=i) * share for i, share in enumerate((0.1, 1.0, 0.2, 0.9))]
    picture = noise(16, 16, 3, seed=9)
    (second,) = zip(*(outputs(network, "second")(one[None]) for one in photographs), strict=True)
    highest = [np.asarray(one)[..., 3].max() for one in second]
    strongest = [photographs[i] for i in np.argsort(highest)[-2:]]
    found, only = (last(network, "second", 3, picture, some) for some in (photographs, strongest))
    np.testing.assert_allclose(found.picture, only.picture, atol=1e-6)
    assert found.count == 2


def test_only_layers_on_the_way_count_also_for_a_class_and_inside_models(network, net, noise):
    photographs = [noise(24, 24, 3, seed=i) for i in range(3)]
    assert last(network, "logits", 0, photographs[0], photographs).layers == ("first", "second", "beside", "third")
    assert last(network, "gap", 0, photographs[0], photographs).layers == ("first", "second", "third")
    assert last(net("nested"), "backbone/conv", 0, photographs[0], photographs).layers == ("backbone/deep.v2/conv",)
    assert last(net("twice"), "conv", 0, photographs[0], photographs, call=1).layers == ("conv",)


def test_it_comes_in_steps_and_a_flat_photograph_is_left_out(network, noise):
    photographs = [noise(16, 16, 3, seed=1), np.zeros((16, 16, 3), np.float32), noise(16, 16, 3, seed=2)]
    every = list(path_similarity(network, "second", 3, photographs[0], [*photographs, photographs[0]]))
    assert [one.count for one in every] == [2, 3]
    assert list(path_similarity(network, "second", 3, photographs[1], photographs)) == []


@pytest.mark.parametrize(
    ("layer", "unit", "message"),
    [("first", 0, "No convolution leads to 'first'"), ("nope", 0, "no layer"), ("second", 6, "no unit 6")],
)
def test_what_cannot_be_compared_is_refused(network, noise, layer, unit, message):
    with pytest.raises(BadTarget, match=message):
        last(network, layer, unit, noise(16, 16, 3), [noise(16, 16, 3)])


def test_a_network_of_several_inputs_is_refused(net, noise):
    with pytest.raises(BadTarget, match="has several inputs"):
        last(net("siamese"), "same", 0, noise(16, 16, 3), [noise(16, 16, 3)])
