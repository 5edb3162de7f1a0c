"""The map and the list of layers in the sidebar of an Explorer."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.network import Network
from cnnwidgets.panels.explorer.explorer import Explorer
from cnnwidgets.panels.explorer.layer_choice import LIST, MAP, LayerChoice


@pytest.fixture
def chosen():
    return []


@pytest.fixture
def choice(net, chosen, opened):
    picture = np.random.default_rng(0).random((24, 32, 3)).astype(np.float32)
    made = opened(LayerChoice(net, "conv2", picture, chosen.append))
    made.map._run.wait()
    return made


def test_the_map_is_in_front_and_the_list_one_click_away(choice):
    assert (choice.map.layout.display, choice.list.layout.display) == ("", "none")
    choice._view.value = LIST
    assert (choice.map.layout.display, choice.list.layout.display) == ("none", "")
    assert MAP in choice._view.options


def test_what_is_chosen_in_one_is_chosen_in_the_other_and_reported_once_for_each(choice, chosen):
    choice.map.layer = "conv1"
    assert choice.list.layer == "conv1" and set(chosen) == {"conv1"}
    choice.list.layer = "gap"
    assert choice.map.layer == "gap" and chosen[-1] == "gap"


def test_what_is_shown_from_outside_reaches_both(choice):
    choice.show("conv1")
    assert choice.map.layer == choice.list.layer == "conv1"


def test_the_map_carries_the_picture_and_keeps_it_where_another_cannot_be(choice):
    assert set(choice.map._maps) == {"conv1", "conv2"}
    choice.show_picture("nowhere.png")
    assert isinstance(choice.map.picture, np.ndarray)


def test_its_small_pictures_come_after_what_is_in_front(choice):
    assert not choice.map.is_visible


def test_another_network_takes_the_old_map_away_without_a_word_from_the_page(net, build, page):
    explorer = Explorer(net, np.zeros((24, 32, 3), np.float32))
    old = explorer._choice_of_layer.map
    old._run.wait()
    old._drawing._view_count, drawing = 1, old._drawing.model_id
    page.sent.clear()
    explorer.net = Network(build("first"))
    sent = [(comm_id, data.get("state", {})) for comm_id, data in page.sent]
    told = next(i for i, (one, state) in enumerate(sent) if one == drawing and state.get("_view_count", 0) is None)
    taken = next(i for i, (one, state) in enumerate(sent) if one == explorer._layers.model_id and "children" in state)
    assert told < taken
    explorer._choice_of_layer.map._run.wait()
    explorer.close()


# An Explorer with a recorder: what is chosen is what is recorded next.


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
