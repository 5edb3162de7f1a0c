"""What goes wrong is said in the panel, in one line, and leaves it usable."""

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget, JobFailed
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery
from cnnwidgets.pictures import load_picture


def say_it_is_wrong(x):
    raise ValueError("\x1b[31mthe cat\x1b[0m sat\non the kernel")


ERRORS = [
    (JobFailed("The run diverged at step 3. Lower the step size."), "The run diverged at step 3. Lower the step size."),
    (ValueError("no"), "ValueError: no. The details are in panel.traceback."),
    (ValueError(""), "ValueError: ValueError. The details are in panel.traceback."),
    (
        MemoryError(),
        "MemoryError: There is not enough memory. Take smaller pictures, fewer at once, or stop other kernels. "
        "The details are in panel.traceback.",
    ),
    (RuntimeError("\x1b[31mred\x1b[0m\nand more"), "RuntimeError: red. The details are in panel.traceback."),
    (SystemExit(1), "SystemExit: 1. The details are in panel.traceback."),
]


@pytest.mark.parametrize(("error", "message"), ERRORS)
def test_an_error_in_a_run_is_one_line(toy, reel, shown_at, waiting, error, message):
    toy.reel = reel(5, error, 3)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    assert toy.status == message
    assert type(error).__name__ in toy.traceback and "Traceback" in toy.traceback
    assert toy.result.step == 2 and np.array_equal(load_picture(toy.screen.data), shown_at(2))


def test_after_an_error_start_works_again(toy, reel, waiting):
    toy.reel = reel(5, ValueError("no"), 2)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    toy.reel = reel(5)
    toy.reel.open()
    toy.start()
    assert toy.traceback == ""
    waiting(lambda: toy.state == "done")
    assert toy.result.step == 5 and "details" not in toy.status


def test_an_error_in_the_first_step_leaves_the_earlier_result(toy, reel, waiting):
    toy.reel.open()
    toy.run()
    toy.reel = reel(5, ValueError("no"), 1)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    assert toy.result.step == 5 and not toy.screen.is_empty


def test_a_long_message_is_cut_and_still_says_where_the_rest_is(toy, reel, waiting):
    toy.reel = reel(5, ValueError("spam " * 200), 1)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    assert 250 < len(toy.status) <= 300 and toy.status.endswith("The details are in panel.traceback.")


def test_an_error_inside_a_graph_is_told_by_its_python_line(toy, waiting):
    def frames():
        compiled(say_it_is_wrong)(tf.constant(1.0))
        yield

    toy._frames = frames
    toy.start()
    waiting(lambda: toy.state == "error")
    assert toy.status == "ValueError: the cat sat. The details are in panel.traceback."
    assert "say_it_is_wrong" in toy.traceback


def test_an_error_while_painting_ends_the_run(toy, waiting):
    def paint(frame):
        raise ValueError("no brush")

    toy._paint = paint
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    assert toy.status.startswith("ValueError: no brush") and "paint" in toy.traceback


def test_an_error_in_the_last_word_is_told_too(toy, waiting):
    toy._conclusion = lambda: 1 / 0
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    assert toy.status.startswith("ZeroDivisionError: division by zero") and toy.result.step == 5


def test_an_error_in_an_observer_of_the_user_is_told(toy, waiting):
    toy.observe(lambda change: 1 / 0, "result")
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    assert toy.status.startswith("ZeroDivisionError")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BadTarget("There is no layer 'x'. Choose another."), "There is no layer 'x'. Choose another."),
        (KeyError("x"), "KeyError: 'x'. The details are in panel.traceback."),
    ],
)
def test_an_error_behind_a_button_goes_to_the_status_and_not_to_a_console(toy, error, message):
    def frames():
        raise error

    toy._frames = frames
    with pytest.raises(type(error)):
        toy.start()
    toy._buttons["start"].click()
    assert (toy.state, toy.status) == ("idle", message)
    assert "frames" in toy.traceback


def test_weights_of_nan_are_said_and_the_last_finite_picture_stays(build, waiting, opened):
    model = build()
    gallery = opened(FilterGallery(model, "conv2", units=range(4), size=16, steps=1000))
    gallery.start()
    waiting(lambda: gallery.frames_shown > 1)
    bias = model.get_layer("conv2").bias
    good = bias.numpy()
    bias.assign(good * np.nan)
    waiting(lambda: gallery.state == "error")
    assert "diverged" in gallery.status and "weights" in gallery.status and len(gallery.status) <= 300
    assert np.isfinite(gallery.result.pictures).all() and gallery.result.pictures.std() > 0
    bias.assign(good)
    gallery.steps = 3
    assert gallery.run().pictures.shape == (4, 16, 16, 3)


def test_a_cut_gradient_is_said(opened):
    x = picture = keras.Input((None, None, 3), name="picture")
    x = keras.layers.Conv2D(4, 3, name="conv1")(x)
    x = keras.layers.Lambda(tf.stop_gradient, name="cut")(x)
    x = keras.layers.Conv2D(4, 3, name="conv2")(x)
    model = keras.Model(picture, keras.layers.GlobalAveragePooling2D()(x), name="cut")
    with pytest.raises(BadTarget, match="No gradient reaches the picture from .conv2"):
        FilterGallery(model, "conv2")
    gallery = opened(FilterGallery(model, "conv1", units=range(2), size=16, steps=2))
    gallery._guarded(gallery._set, "layer", "conv2")
    assert "No gradient" in gallery.status and gallery.layer == "conv1"
