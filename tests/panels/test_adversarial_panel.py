"""Adversarial examples: the verb's own bytes, the predictions at each step, and whether they survive."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.adversarial import second_opinion
from cnnwidgets.panels.adversarial.adversarial_panel import AdversarialPanel
from cnnwidgets.panels.adversarial.controls import AFTER, BEFORE, DIFFERENCE
from cnnwidgets.provenance.recipe import Recipe
from tests.panels.pixels import on_screen

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
SETTINGS = {"target": 2, "epsilon": 4 / 255, "steps": 3}


@pytest.fixture
def panel(net, opened):
    return opened(AdversarialPanel(net, PICTURE, **SETTINGS))


def last(net, **settings):
    *_, frame = cw.adversarial(net, PICTURE, **{**SETTINGS, **settings})
    return frame


def looking_at(panel, view):
    panel.controls._inputs["view"].value = view
    return on_screen(panel)


# What it makes.


def test_it_makes_the_bytes_of_the_verb(panel, net):
    made = panel.run()
    expected = last(net)
    assert made.pictures.tobytes() == expected.pictures.tobytes() and made is panel.result
    assert (made.step, made.class_index, panel.state, panel.progress) == (3, 2, "done", 1.0)
    assert np.array_equal(on_screen(panel), pictures.to_uint8(expected.pictures[0]))


def test_every_keyword_of_the_verb_reaches_it(net, opened):
    settings = {"target": 1, "epsilon": 8 / 255, "steps": 4, "method": "random_search", "output": 0, "seed": 5}
    panel = opened(AdversarialPanel(net, PICTURE, **settings))
    assert {name: getattr(panel, name) for name in settings} == settings
    assert panel.run().pictures.tobytes() == last(net, **settings).pictures.tobytes()


def test_without_a_target_it_leads_away_from_the_top_class(net, opened):
    panel = opened(AdversarialPanel(net, PICTURE, epsilon=4 / 255, steps=3))
    assert "away from the top class" in panel.status
    made = panel.run()
    assert made.pictures.tobytes() == last(net, target=None).pictures.tobytes()
    assert made.class_index == net.predict(PICTURE, 1)[0].index and not made.is_targeted


def test_a_picture_for_a_bare_model_of_one_small_gray_size_is_perturbed(opened):
    layers = keras.layers.Conv2D(3, 3, name="conv"), keras.layers.Flatten(), keras.layers.Dense(3)
    panel = opened(AdversarialPanel(keras.Sequential([keras.Input((12, 12, 1)), *layers]), PICTURE, 1, steps=2))
    assert panel.run().pictures.shape == (1, 12, 12, 1)
    assert on_screen(panel).shape == (12, 12, 3) and len(panel.ask_jpeg()) == 3


# Before the start, and what it refuses.


def test_the_photograph_stands_there_before_the_start_with_all_classes_to_choose(panel):
    assert np.array_equal(on_screen(panel), PICTURE)
    assert panel.state == "idle" and panel.result is None and "towards class 2" in panel.status
    assert panel.classes.shown == ("away from the top class", "class 0", "class 1", "class 2", "class 3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 9}, "no class 9"),
        ({"epsilon": 0.001}, "at least one gray level"),
        ({"steps": 0}, "got 0"),
        ({"method": "nope"}, "no method 'nope'"),
        ({"output": 3}, "3"),
        ({"seed": "x"}, "got 'x'"),
    ],
)
def test_what_the_verb_refuses_is_refused_at_once_and_later(net, panel, arguments, message):
    with pytest.raises(BadTarget, match=message):
        AdversarialPanel(net, PICTURE, **arguments)
    (name, value), *_ = arguments.items()
    before = getattr(panel, name)
    with pytest.raises(BadTarget, match=message):
        setattr(panel, name, value)
    assert getattr(panel, name) == before and panel.run() is not None


def test_what_is_no_picture_is_refused(net, panel):
    with pytest.raises(BadPicture):
        AdversarialPanel(net, "nowhere.png")
    with pytest.raises(BadPicture):
        panel.picture = "nowhere.png"
    assert panel.picture is PICTURE


def test_another_photograph_replaces_the_perturbed_one(panel):
    panel.run()
    panel.picture = PICTURE[::-1]
    assert panel.state == "idle" and panel.result is None and np.array_equal(on_screen(panel), PICTURE[::-1])


# What is shown.


def test_before_after_and_the_difference_are_views_of_the_same_run(panel):
    made = panel.run()
    after = pictures.to_uint8(made.pictures[0])
    assert np.array_equal(looking_at(panel, BEFORE), PICTURE)
    shown = looking_at(panel, DIFFERENCE)
    change = after.astype(int) - PICTURE
    assert np.abs(shown - np.clip(127.5 + 20 * change, 0, 255)).max() <= 1
    assert "at most 4 gray levels" in panel._caption.value
    assert np.array_equal(looking_at(panel, AFTER), after) and panel.result is made


def test_the_bars_follow_the_steps_and_the_target_stands_out(panel):
    seen = []
    panel._bars.observe(lambda change: seen.append(change["new"]), "value")
    made = panel.run()
    assert "cnnw-wanted" in seen[-1] and "▸ class 2" in seen[-1]
    assert f"{made.probability:.1%}" in seen[-1]
    assert panel.classes.shown[1].strip().endswith("class 3") or "%" in panel.classes.shown[1]


def test_the_class_of_the_photograph_stays_among_the_bars(net, opened):
    layers = keras.layers.Conv2D(3, 3, name="conv"), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(40)
    panel = opened(AdversarialPanel(keras.Sequential([keras.Input((16, 16, 3)), *layers]), PICTURE, 7, 64 / 255))
    panel.run()
    before = panel._before[0].name
    assert f">{before}<" in panel._bars.value or f" {before}<" in panel._bars.value


def test_the_end_says_whether_the_network_was_fooled(net, opened):
    fooled = opened(AdversarialPanel(net, PICTURE, 2, epsilon=64 / 255, steps=12))
    made = fooled.run()
    words = "Fooled within 64 gray levels" if made.succeeded else "Not fooled within 64 gray levels"
    assert words in fooled.status
    weak = opened(AdversarialPanel(net, PICTURE, 2, epsilon=1 / 255, steps=1, method="random_search"))
    words = "Fooled" if weak.run().succeeded else "Not fooled within 1 gray level: class 2 is at"
    assert words in weak.status


# What is changed.


def test_after_the_first_run_another_budget_begins_again_at_once(panel, net, waiting):
    panel.run()
    panel.controls._inputs["epsilon"].value = 8
    assert panel.epsilon == 8 / 255
    waiting(lambda: panel.state == "done")
    assert panel.result.pictures.tobytes() == last(net, epsilon=8 / 255).pictures.tobytes()


def test_before_the_first_run_a_setting_only_changes_the_invitation(panel):
    panel.controls._inputs["epsilon"].value = 1
    panel.classes._list.value = 3
    assert panel.state == "idle" and panel.target == 3
    assert "towards class 3" in panel.status and "1 gray level of 255" in panel.status


def test_a_class_is_searched_by_name(build, opened):
    net = Network(build(), class_names=["cat", "goldfish", "tabby cat", "<b>dog"])
    panel = opened(AdversarialPanel(net, PICTURE, "goldfish", steps=1))
    panel.classes._search.value = "CAT"
    assert panel.classes.shown == ("away from the top class", "cat", "tabby cat")
    panel.classes._list.value = 2
    assert panel.target == 2
    panel.run()
    assert "&lt;b&gt;dog" in panel._bars.value and "<b>dog" not in panel._bars.value


# Does it last?


def test_a_jpeg_is_asked_about_and_what_survives_is_said(panel, net):
    made = panel.run()
    predictions = panel.ask_jpeg(40)
    decoded = pictures.load_picture(pictures.to_jpeg(made.pictures[0], 40))
    assert predictions == net.predict(decoded, 10)
    assert "As JPEG of quality 40" in panel.opinion.words and "class 2 goes from" in panel.opinion.words


def test_save_as_jpeg_leaves_a_file_and_an_answer(panel, tmp_path, monkeypatch, waiting):
    monkeypatch.chdir(tmp_path)
    panel.run()
    panel.opinion._buttons[0].click()
    waiting(lambda: panel.opinion.opinion)
    (file,) = tmp_path.iterdir()
    assert file.name in panel.status and file.suffix == ".jpg"
    assert pictures.load_picture(file).shape == PICTURE.shape
    assert panel.opinion.opinion.predictions == tuple(panel.ask_jpeg())


def test_the_other_network_is_loaded_by_the_worker_and_asked_about_both(build, opened, monkeypatch, waiting):
    import threading

    loaded_on = []

    def load(name):
        loaded_on.append((name, threading.current_thread().name))
        return other

    other = Network(build(name="other"))
    monkeypatch.setattr(second_opinion, "load_network", load)
    panel = opened(AdversarialPanel(Network(build(), name="squeezenet"), PICTURE, **SETTINGS))
    made = panel.run()
    panel.opinion._buttons[1].click()
    waiting(lambda: panel.opinion.opinion)
    assert panel.ask_other() == other.predict(made.pictures[0], 10)
    assert loaded_on == [("efficientnet_lite0", "cnnwidgets-worker")]
    assert panel.opinion.words.startswith("efficientnet_lite0 predicts ")


def test_a_network_of_ones_own_has_no_other_and_says_so(panel):
    panel.run()
    assert panel.opinion._buttons[1].layout.display == "none"
    with pytest.raises(BadTarget, match="There is no other network to compare with 'small'"):
        panel.ask_other()


def test_nothing_is_predicted_before_the_first_run(panel):
    assert all(button.disabled for button in panel.opinion._buttons)
    for ask in (panel.ask_jpeg, panel.ask_other):
        with pytest.raises(BadTarget, match="no perturbed picture yet"):
            ask()
    panel.run()
    assert not any(button.disabled for button in panel.opinion._buttons)


def test_a_network_that_cannot_be_asked_says_so_in_its_line(panel, monkeypatch, waiting):
    def fail(*_arguments):
        raise RuntimeError("the disk is full")

    panel.run()
    monkeypatch.setattr("cnnwidgets.panels.adversarial.adversarial_panel.of_jpeg", fail)
    with pytest.raises(cw.JobFailed, match="the disk is full"):
        panel.ask_jpeg()
    assert "the disk is full" in panel.opinion.words and "the disk is full" in panel.traceback


# What is taken away.


def test_the_code_makes_the_same_bytes(panel, net):
    made = panel.run()
    names = {"net": net, "picture": PICTURE}
    exec(panel.snippet(), names)
    assert names["frame"].pictures.tobytes() == made.pictures.tobytes()


def test_a_png_holds_its_recipe_and_the_perturbed_picture_in_every_view(panel, tmp_path):
    made = panel.run()
    looking_at(panel, DIFFERENCE)
    path = panel.save(tmp_path / "perturbed.png")
    recipe = Recipe.from_png(path)
    expected = {**SETTINGS, "method": "momentum_sign", "output": None, "seed": 0, "picture": panel._held.digest}
    expected["size"] = "picture"  # nothing in the network shows another one
    assert (recipe.verb, dict(recipe.settings)) == ("adversarial", expected)
    assert np.array_equal(pictures.to_uint8(pictures.load_picture(path)), pictures.to_uint8(made.pictures[0]))


def test_nothing_is_left_of_a_closed_panel(net, page, living):
    panel = AdversarialPanel(net, PICTURE, **SETTINGS)
    panel.run()
    assert living()
    panel.close()
    assert [type(widget).__name__ for widget in living()] == []
