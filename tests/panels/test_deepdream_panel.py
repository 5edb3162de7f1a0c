"""The dream: the verb's own bytes, octaves to go back to, and what may be turned while it runs."""

import hashlib
import io

import numpy as np
import PIL.Image
import pytest

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.panels.deepdream.deepdream_panel import DeepDreamPanel
from cnnwidgets.provenance.recipe import Recipe
from tests.panels.pixels import on_screen

SETTINGS = {"layers": {"conv2": 1.0, "conv1": 0.5}, "octaves": 3, "octave_scale": 1.5, "steps": 3}
PICTURE = np.random.default_rng(0).random((40, 60, 3)).astype(np.float32)


@pytest.fixture
def panel(net, opened):
    return opened(DeepDreamPanel(net, PICTURE, **SETTINGS))


def last(net, **settings):
    *_, frame = cw.deepdream(net, PICTURE, **{**SETTINGS, **settings})
    return frame


def made_by(snippet, net):
    names = {"net": net, "picture": PICTURE}
    exec(snippet, names)
    return names["frame"]


# What it makes.


def test_it_makes_the_bytes_of_the_verb(panel, net):
    made = panel.run()
    expected = last(net)
    assert made.pictures.tobytes() == expected.pictures.tobytes() and made is panel.result
    assert (made.step, made.octave, panel.state, panel.progress) == (9, 3, "done", 1.0)
    assert np.array_equal(on_screen(panel), pictures.to_uint8(expected.pictures[0]))


def test_every_keyword_of_the_verb_reaches_it(net, opened):
    settings = {
        "layers": "conv1", "octaves": 2, "octave_scale": 1.3, "steps": 2, "step_size": 0.05, "jitter": 3, "seed": 7,
    }  # fmt: skip
    panel = opened(DeepDreamPanel(net, PICTURE, **settings))
    assert {name: getattr(panel, name) for name in settings} == settings
    assert panel.run().pictures.tobytes() == last(net, **settings).pictures.tobytes()


def test_a_bare_model_of_one_small_grey_size_dreams(opened):
    layers = keras.layers.Conv2D(3, 3, name="conv"), keras.layers.Flatten(), keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((12, 12, 1)), *layers])
    panel = opened(DeepDreamPanel(model, PICTURE, "conv", 2, steps=2))
    assert panel.run().pictures.shape == (1, 40, 60, 1)
    assert "tiles of 12 x 12" in panel.status and on_screen(panel).shape == (40, 60, 3)


# Before the start.


def test_the_photograph_and_the_plan_stand_there_before_the_start(panel):
    assert np.array_equal(on_screen(panel), pictures.to_uint8(PICTURE))
    for size in ("27 × 18", "40 × 27", "60 × 40"):
        assert size in panel._octaves.value
    assert "3 steps each" in panel._octaves.value and "9 steps" in panel.status
    assert panel.state == "idle" and panel.result is None


def test_octaves_that_are_dropped_are_told(net, opened):
    panel = opened(DeepDreamPanel(net, PICTURE, "conv2", 8, 2.0))
    assert "octaves dropped" in panel.status and panel._octaves.value.count("<li") == len(panel._plan.octaves) < 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "nope"}, "no layer or preset 'nope'"),
        ({"octaves": 0}, "got 0"),
        ({"octave_scale": 1.0}, "got 1.0"),
        ({"steps": 0}, "got 0"),
        ({"step_size": -1}, "got -1"),
        ({"jitter": -1}, "got -1"),
        ({"seed": "x"}, "got 'x'"),
    ],
)
def test_what_the_verb_refuses_is_refused_at_once_and_later(net, panel, arguments, message):
    with pytest.raises(BadTarget, match=message):
        DeepDreamPanel(net, PICTURE, **arguments)
    (name, value), *_ = arguments.items()
    before = getattr(panel, name)
    with pytest.raises(BadTarget, match=message):
        setattr(panel, name, value)
    assert getattr(panel, name) == before and panel.run() is not None


def test_what_is_no_picture_is_refused_and_the_old_one_stays(net, panel):
    with pytest.raises(BadPicture):
        DeepDreamPanel(net, "nowhere.png")
    with pytest.raises(BadPicture):
        panel.picture = "nowhere.png"
    assert panel.picture is PICTURE and panel.run().pictures.tobytes() == last(net).pictures.tobytes()


def test_another_photograph_takes_the_place_of_the_dream(panel):
    panel.run()
    panel.picture = PICTURE[::-1]
    assert panel.state == "idle" and panel.result is None
    assert np.array_equal(on_screen(panel), pictures.to_uint8(PICTURE[::-1]))


# Going back.


def test_an_earlier_octave_comes_back_as_it_was_at_its_end(panel, net):
    panel.run()
    frames = list(cw.deepdream(net, PICTURE, **SETTINGS))
    panel.octave = 1
    assert panel.result.pictures.tobytes() == frames[2].pictures.tobytes()
    assert np.array_equal(on_screen(panel), pictures.to_uint8(frames[2].pictures[0]))
    assert "Octave 1 of 3" in panel._caption.value
    panel.octave = None
    assert panel.result.pictures.tobytes() == frames[-1].pictures.tobytes()


def test_the_slider_goes_back_and_forth(panel):
    panel.run()
    slider = panel.controls._inputs["octave"]
    slider.value = 2
    assert panel.octave == 2 and panel.result.octave == 2
    slider.value = 3
    assert panel.octave is None and panel.result.octave == 3


def test_before_shows_the_photograph_and_saves_the_dream(panel, tmp_path):
    made = panel.run()
    panel.controls._inputs["before"].value = True
    assert np.array_equal(on_screen(panel), pictures.to_uint8(PICTURE))
    saved = pictures.to_uint8(pictures.load_picture(panel.save(tmp_path / "dream.png")))
    assert np.array_equal(saved, pictures.to_uint8(made.pictures[0])) and panel.result is made


# Turned while it runs.


def started(panel, waiting):
    """The panel, paused after its first step or a few more."""
    panel.steps = 400
    panel.start()
    waiting(lambda: panel.frames_shown)
    return panel


def test_a_weight_that_is_turned_counts_at_the_next_step_and_the_run_goes_on(panel, waiting):
    started(panel, waiting)
    job = panel._run.job
    panel.layers = {"conv2": 0.0, "conv1": 0.0}
    assert panel._run.job is job and "next step" in panel.status
    waiting(lambda: panel._last.values[0] == 0)
    panel.layers = {"conv2": 1.0, "conv1": 0.5}
    waiting(lambda: panel._last.values[0] > 0)
    panel.stop()
    assert panel.state == "stopped" and panel._run.job is job


def test_the_step_size_is_heard_too(panel, waiting):
    started(panel, waiting)
    job = panel._run.job
    panel.controls._inputs["step_size"].value = 0.05
    assert panel.step_size == 0.05 and panel._run.job is job and panel._steering.step_size() == 0.05
    panel.stop()
    assert panel.recipe_of().settings["steered"] is True and "changed mid-run" in panel.snippet()


@pytest.mark.parametrize(("name", "value"), [("layers", "conv1"), ("octaves", 2), ("seed", 3), ("jitter", 2)])
def test_other_settings_begin_the_run_again_and_say_so(panel, waiting, name, value):
    started(panel, waiting)
    job = panel._run.job
    setattr(panel, name, value)
    assert panel._run.job is not job and "begins again" in panel.status and panel.state == "running"
    panel.stop()
    assert not panel.recipe_of().settings.get("steered")


def test_a_setting_that_is_moved_at_rest_keeps_the_picture_and_its_recipe(panel):
    made, snippet = panel.run(), panel.snippet()
    panel.step_size = 0.07
    assert panel.result is made and panel.snippet() == snippet and "Start dreams again" in panel.status


# The controls.


def test_layers_are_added_weighed_and_removed_by_hand(net, opened):
    panel = opened(DeepDreamPanel(net, PICTURE, "conv2"))
    panel.weights._choice.value = "conv1"
    panel.weights._add.click()
    assert panel.layers == {"conv2": 1.0, "conv1": 1.0}
    panel.weights._rows[1]._slider.value = 0.25
    assert panel.layers == {"conv2": 1.0, "conv1": 0.25}
    panel.weights._rows[0]._remove.click()
    assert panel.layers == {"conv1": 0.25}
    assert panel.weights._rows[0]._remove.disabled and panel.weights._rows[1].layout.display == "none"


def test_the_menu_of_presets_says_what_is_set(net, opened):
    panel = opened(DeepDreamPanel(net, PICTURE))
    menu = panel.controls._inputs["layers"]
    assert menu.value == "animals"
    menu.value = "edges"
    assert panel.layers == "edges" and list(panel._plan.layers) == ["conv1"]
    panel.layers = {"conv2": 0.3}
    assert menu.value == "own layers" and panel.weights._rows[0]._slider.value == 0.3


def test_a_control_that_cannot_be_says_so_and_goes_back(panel):
    panel.controls._inputs["octave_scale"].min = 0.5
    panel.controls._inputs["octave_scale"].value = 0.9
    assert "got 0.9" in panel.status and panel.controls._inputs["octave_scale"].value == 1.5


# What is taken away.


def test_the_code_makes_the_same_bytes_also_of_an_earlier_octave(panel, net):
    made = panel.run()
    assert made_by(panel.snippet(), net).pictures.tobytes() == made.pictures.tobytes()
    panel.octave = 2
    assert made_by(panel.snippet(), net).pictures.tobytes() == panel.result.pictures.tobytes()


def test_a_stopped_dream_is_told_by_its_step(panel, net, waiting):
    started(panel, waiting)
    panel.stop()
    assert panel.recipe_of().settings["until"] == panel.result.step < panel.result.steps
    assert made_by(panel.snippet(), net).pictures.tobytes() == panel.result.pictures.tobytes()


def test_a_png_tells_its_recipe_and_names_the_photograph(panel, tmp_path):
    panel.run()
    recipe = Recipe.from_png(panel.save(tmp_path / "dream.png"))
    assert recipe == panel.recipe_of() and recipe.verb == "deepdream"
    expected = {"octaves": 3, "octave_scale": 1.5, "steps": 3, "step_size": 0.02, "jitter": 16, "seed": 0}
    assert expected.items() <= dict(recipe.settings).items()
    assert dict(recipe.settings["layers"]) == SETTINGS["layers"]
    assert len(recipe.settings["picture"]) == len(hashlib.sha256().hexdigest())
    panel.picture = PICTURE[::-1]
    assert panel.recipe_of().settings["picture"] != recipe.settings["picture"]


def test_a_gif_grows_to_the_size_of_the_photograph(panel, tmp_path):
    panel.run()
    with PIL.Image.open(io.BytesIO(panel.save(tmp_path / "dream.gif").read_bytes())) as gif:
        assert gif.size == (60, 40) and gif.n_frames > 3


def test_nothing_is_left_of_a_closed_panel(net, page, living):
    panel = DeepDreamPanel(net, PICTURE, **SETTINGS)
    panel.run()
    assert living()
    panel.close()
    assert [type(widget).__name__ for widget in living()] == []
