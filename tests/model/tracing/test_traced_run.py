"""A run that is traced once: what is asked of its graph later runs no layer again, and gets only what it needs."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.explain.reachability import layer_of_interest
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.geometry.locations import locate, seen_by_output
from cnnwidgets.model.network import Network

L = keras.layers


@pytest.fixture
def model():
    x = picture = keras.Input((None, None, 3))
    for index in range(3):
        x = L.Conv2D(4, 3, strides=2, activation="relu", name=f"conv{index}")(x)
    return keras.Model(picture, L.Dense(2, name="scores")(L.GlobalAveragePooling2D()(x)))


@pytest.fixture
def runs(monkeypatch):
    """One entry for each time that the model's Python code runs."""
    found = []
    call = Network.run_plainly
    monkeypatch.setattr(Network, "run_plainly", lambda net, flat: found.append(1) or call(net, flat))
    return found


def test_locations_of_all_layers_and_the_default_layer_need_no_run_beside_the_survey(model, runs):
    net = Network(model, preprocess="tf")
    assert len(runs) == 1
    assert layer_of_interest(net) == "conv2"
    steps = [np.diff(locate(net, f"conv{index}", 0, 0, (64, 48)).rows) for index in range(3)]
    for step, pixels in zip(steps, (2, 4, 8), strict=True):
        np.testing.assert_allclose(step, pixels)
    assert seen_by_output(net, 0, 0, (64, 48)) == (0, 0, 63, 47)
    assert len(runs) == 1


def test_pictures_that_a_preprocessing_moves_are_followed_through_it(model, runs):
    net = Network(model, preprocess=lambda pictures: pictures[:, 10:, 5:])
    plain = Network(model, preprocess="none")
    moved, still = (locate(one, "conv0", 0, 0, (64, 48)) for one in (net, plain))
    np.testing.assert_allclose([moved.rows[0] - still.rows[0], moved.columns[0] - still.columns[0]], [10, 5])
    before = len(runs)
    locate(net, "conv2", 0, 0, (64, 48))
    assert len(runs) == before, "the run with the preprocessing in front is traced once too"


def test_a_function_has_only_the_operations_that_it_needs(model):
    run = Network(model, preprocess="none").traced_run
    height = run.function(lambda: [tf.shape(run.inputs[0])[1]])
    (found,) = height(tf.zeros([1, 40, 30, 3]))
    assert int(found) == 40
    assert not [op for op in height.graph.get_operations() if op.type == "Conv2D"]


def test_a_run_is_traced_again_when_a_layer_changes(model):
    net = Network(model, preprocess="none")
    assert locate(net, "conv0", 0, 0, (64, 48)).cells == (31, 23)
    model.get_layer("conv0").strides = (1, 1)
    net.follow_model()
    assert locate(net, "conv0", 0, 0, (64, 48)).cells == (62, 46)


def test_the_graph_grows_once_for_all_layers():
    x = picture = keras.Input((None, None, 3))
    for index in range(12):
        x = L.Conv2D(2, 3, padding="same", strides=1 + index % 2, name=f"conv{index}")(x)
    net = Network(keras.Model(picture, L.GlobalAveragePooling2D()(x)), preprocess="none")

    def growth(path):
        before = len(operations())
        locate(net, path, 0, 0, (512, 512))
        return len(operations()) - before

    operations = net.traced_run.inputs[0].graph.get_operations
    assert growth("conv11") > 10 * max(map(growth, ("conv10", "conv5", "conv0"))), "all but a shape was there already"
