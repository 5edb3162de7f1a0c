"""The map and the list of layers in the sidebar of an Explorer."""

from __future__ import annotations

import numpy as np
import pytest

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
