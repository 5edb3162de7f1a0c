"""An Explorer with a recorder: what is chosen is what is recorded next."""

from __future__ import annotations

import numpy as np
import pytest

import cnnwidgets as cw


@pytest.fixture
def pair(build, opened):
    net = cw.Network(build())
    recorder = cw.TrainingRecorder(net, "conv1", units=[1, 2], picture=np.zeros((16, 16, 3)), steps=1)
    return opened(cw.Explorer(net, recorder=recorder)), recorder


def test_what_is_recorded_now_is_chosen_at_first(pair):
    explorer, recorder = pair
    assert explorer.layer == recorder.layer == "conv1"
    assert recorder.units == (1, 2)
    assert explorer.picture is recorder.picture


def test_photograph_layer_and_unit_that_are_chosen_are_recorded_next(pair):
    explorer, recorder = pair
    explorer.layer = "conv2"
    assert (recorder.layer, recorder.units) == ("conv2", tuple(range(8)))
    explorer.unit = 18
    assert (recorder.layer, recorder.units) == ("conv2", (16, 17, 18, 19))
    photograph = np.full((20, 24, 3), 0.5)
    explorer.picture = photograph
    assert np.array_equal(recorder.picture, photograph)
    explorer.target = 2
    assert recorder.settings_now["target"] == 2


def test_a_photograph_given_to_the_explorer_is_recorded(build, opened):
    net, photograph = cw.Network(build()), np.full((20, 24, 3), 0.5)
    recorder = cw.TrainingRecorder(net, "conv1")
    opened(cw.Explorer(net, photograph, recorder=recorder))
    assert np.array_equal(recorder.picture, photograph)


def test_choices_in_another_network_are_not_recorded(pair, build):
    explorer, recorder = pair
    explorer.net = cw.Network(build("first"))
    explorer.layer = "first"
    assert recorder.layer == "conv1"


@pytest.mark.parametrize("thing", [3, "run"])
def test_only_a_recorder_is_taken(thing, net):
    with pytest.raises(cw.BadTarget, match="TrainingRecorder"):
        cw.Explorer(net, np.zeros((16, 16, 3)), recorder=thing)
