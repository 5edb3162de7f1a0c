"""Stop is heard between two device calls, so none may be long: each runs the network once, on few pictures."""

from __future__ import annotations

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.explain import pass_cost
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing import cost
from cnnwidgets.model.tracing.compiled import Graph
from cnnwidgets.model.tracing.cost import SIDE_BY_SIDE, STEP_FLOPS, forward_flops
from tests.panels.conftest import fill
from tests.trust.test_faults import MAPS, PIXELS

L = keras.layers
SIZE = (24, 32)
AFFORDABLE = 3  # pictures with their gradients: tiles are then climbed two at once, by batches of one
RUNS: list[int] = []  # of the network, each with its number of pictures


class Counting(L.Layer):
    """Notes each real run, traced or not."""

    def call(self, x):
        def note(count):
            RUNS.append(int(count))
            return np.int32(0)

        tf.numpy_function(note, [tf.shape(x)[0]], tf.int32)  # stateful, so it is never dropped from a graph
        return x


@pytest.fixture(scope="module")
def net():
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(20, 3, padding="same", activation="relu", name="conv")(Counting()(x))
    return Network(fill(keras.Model(picture, L.Dense(4)(L.GlobalAveragePooling2D()(x)))), "unit")


@pytest.fixture
def flops(net, monkeypatch):
    """What a picture costs; three of them with their gradients are as much as a device call may cost."""
    one = forward_flops(net, "", Canvas((*SIZE, 3)))
    for room in (cost, pass_cost):
        monkeypatch.setattr(room, "STEP_FLOPS", AFFORDABLE * 2 * one)
    return one


@pytest.fixture
def calls(monkeypatch):
    """For each device call, how many pictures each run of the network had in it."""
    made, run = [], Graph.__call__

    def counted(graph, *arguments):
        before = len(RUNS)
        found = run(graph, *arguments)
        made.append(RUNS[before:])
        return found

    monkeypatch.setattr(Graph, "__call__", counted)
    return made


TILES = {
    "visualize_units": lambda net, photo: cw.visualize_units(net, "conv", range(7), SIZE, 3),
    "textbook": lambda net, photo: cw.visualize_units(net, "conv", range(7), SIZE, 3, "textbook"),
    "visualize_classes": lambda net, photo: cw.visualize_classes(net, range(4), SIZE, 3),
}
LOOKS = {
    "feature_maps": lambda net, photo: cw.feature_maps(net, photo, ["conv"]),
    "predict": lambda net, photo: net.predict(photo),
    # Switching off a channel runs what lies behind the layer only, on many copies: the part before it is not repeated.
    **{m: lambda net, photo, m=m: cw.class_activation_map(net, photo, "conv", 1, m)
       for m in MAPS if m != "ablation_cam"},
    **{m: lambda net, photo, m=m: cw.attribution(net, photo, 1, m) for m in PIXELS},
}  # fmt: skip
CLIMBS = {
    "ascend": lambda net, photo: cw.ascend(net, cw.objectives.channel("conv", 3), SIZE, 5),
    "deepdream": lambda net, photo: cw.deepdream(net, photo, "conv", 2, steps=3),
    "adversarial": lambda net, photo: cw.adversarial(net, photo, 1, steps=5),
    "random_search": lambda net, photo: cw.adversarial(net, photo, 1, steps=5, method="random_search"),
}


@pytest.mark.parametrize("verb", TILES)
def test_tiles_are_climbed_step_by_step_and_no_more_at_once_than_can_be_afforded(net, photo, flops, calls, verb):
    TILES[verb](net, photo)
    assert max(map(len, calls)) <= SIDE_BY_SIDE, "a device call runs the network again and again"
    assert max(map(sum, calls)) == 2


@pytest.mark.parametrize("verb", LOOKS)
def test_a_look_is_made_of_short_calls(net, photo, flops, calls, verb):
    LOOKS[verb](net, photo)
    assert max(map(len, calls)) == 1, "a device call runs the network again and again"
    assert 1 <= max(count for runs in calls for count in runs) <= 2 * AFFORDABLE


@pytest.mark.parametrize("verb", CLIMBS)
def test_a_climb_yields_after_each_run_of_the_network(net, photo, flops, calls, verb):
    heard = []
    for frame in CLIMBS[verb](net, photo):
        heard.append(frame.step)
        assert sum(map(len, calls)) >= 1, "the network did not run, so nothing was counted"
        assert len(calls) <= 4 and max(map(len, calls)) <= 1, "Stop is not heard before so many calls have ended"
        assert all(count == 1 for runs in calls for count in runs)
        calls.clear()
    assert len(heard) >= 5 and heard == list(range(1, len(heard) + 1))


@pytest.mark.parametrize("name", ["squeezenet", "efficientnet_lite0"])
def test_what_a_call_may_cost_is_more_than_a_picture_of_a_real_network(name):
    """Else each tile would be climbed alone, and a step of one picture would be as long as a call may be."""
    one = 2 * forward_flops(cw.load_network(name), "", Canvas((64, 64, 3)))
    assert 16 * one <= STEP_FLOPS
