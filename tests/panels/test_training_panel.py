"""TrainingPanel: live while a model trains, and back through its training afterwards."""

import threading
import time

import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.model.backend import keras

L = keras.layers
PROBE = np.random.default_rng(0).random((12, 12, 3)).astype(np.float32)


def data(count=24):
    numbers = np.random.default_rng(1)
    return numbers.random((count, 12, 12, 3), np.float32), numbers.integers(0, 3, count)


def trainable(seed=4):
    keras.utils.set_random_seed(seed)
    layers = [L.Conv2D(5, 3, activation="relu", name="conv"), L.GlobalAveragePooling2D(), L.Dense(3, name="logits")]
    model = keras.Sequential([keras.Input((12, 12, 3), name="picture"), *layers], name="trained")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def recorded():
    """A recorder after three epochs of three batches."""
    recorder = cw.TrainingRecorder(trainable(), "conv", units=[0, 2, 4], picture=PROBE, steps=2)
    recorder.trained.fit(*data(), batch_size=8, epochs=3, verbose=0, validation_split=0.0, callbacks=[recorder])
    return recorder


@pytest.fixture
def panel(opened):
    return opened(cw.TrainingPanel(cw.TrainingRecorder(trainable(), "conv", units=[0, 1], steps=1)))


class Gate(keras.callbacks.Callback):
    """Lets batches through one by one, and notes them."""

    def __init__(self, open_for=0):
        super().__init__()
        self.batches = 0
        self._let = threading.Semaphore(open_for)

    def let(self, count=1):
        self._let.release(count)

    def on_train_batch_begin(self, batch, logs=None):
        assert self._let.acquire(timeout=20)

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


def test_one_slider_moves_pictures_maps_heatmap_and_words(recorded, opened):
    panel = opened(cw.TrainingPanel(recorded))
    assert (panel.state, panel.moment, panel.follow) == ("idle", 3, True)
    assert len(panel.result) == 4
    newest = panel.screen.data, panel.maps.data, panel.heat.data
    panel.moment = 0
    assert not panel.follow
    earlier = panel.screen.data, panel.maps.data, panel.heat.data
    assert all(one != other for one, other in zip(newest, earlier, strict=True))
    assert "before the first batch" in panel._moments._line.value
    panel._moments.slider.value = 2  # as the film does, and a hand
    assert panel.moment == 2
    assert "epoch 2" in panel._moments._line.value
    panel.follow = True
    assert panel.moment == 3
    assert (panel.screen.data, panel.maps.data, panel.heat.data) == newest
    panel.moment = -1
    assert panel.moment == 3
    with pytest.raises(cw.BadTarget, match="from 0 to 3, got 4"):
        panel.moment = 4
    for name, wrong in (("moment", "last"), ("moment", 1.5), ("moment", None), ("follow", "yes"), ("follow", 2)):
        with pytest.raises(cw.BadTarget, match=f"{name} must be .*, got {wrong!r}"):
            setattr(panel, name, wrong)
        assert panel.status.startswith(f"{name} must be")
    assert (panel.moment, panel.follow) == (3, True)


def test_curves_have_words_and_the_moment_that_is_shown(recorded, opened):
    panel = opened(cw.TrainingPanel(recorded))
    loss = recorded.snapshots[-1].logs["loss"]
    assert f"loss {loss:.3g}" in panel.view.curves.value
    assert "accuracy" in panel.view.curves.value
    panel.moment = 1
    assert "<line" in panel.view.curves.value
    assert f"loss {recorded.snapshots[1].logs['loss']:.3g}" in panel.view.curves.value


def test_it_is_live_while_a_fit_runs_in_this_thread(opened):
    recorder = cw.TrainingRecorder(trainable(), "conv", units=[0, 1], steps=1)
    panel = opened(cw.TrainingPanel(recorder))
    seen = []
    notes = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((panel.state, panel.frames_shown, panel.moment))
    )
    recorder.trained.fit(*data(), batch_size=8, epochs=3, verbose=0, callbacks=[recorder, notes])
    assert [state for state, _, _ in seen] == ["running"] * 3
    assert seen[0][1] >= 1
    assert (panel.state, panel.progress, panel.moment) == ("done", 1.0, 3)
    assert panel.screen.data.startswith(b"\x89PNG")


def test_a_moment_that_is_held_stays_while_training_goes_on(opened):
    recorder = cw.TrainingRecorder(trainable(), "conv", units=[0, 1], steps=1)
    panel = opened(cw.TrainingPanel(recorder))
    recorder.trained.fit(*data(), epochs=1, verbose=0, callbacks=[recorder])
    panel.moment = 0
    held = panel.screen.data
    recorder.trained.fit(*data(), epochs=2, verbose=0, callbacks=[recorder])
    assert (panel.moment, panel.follow, len(panel.result)) == (0, False, 4)
    assert panel.screen.data == held


def test_fit_trains_on_its_own_thread_to_the_same_weights(panel, waiting):
    other = trainable()
    keras.utils.set_random_seed(9)
    other.fit(*data(), batch_size=8, epochs=2, verbose=0)
    keras.utils.set_random_seed(9)
    gate = Gate()
    panel.fit(*data(), batch_size=8, epochs=2, callbacks=[gate])
    assert panel.state == "running"
    gate.let(100)
    waiting(lambda: panel.state == "done")
    model = panel.recorder.trained
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
    assert list(panel.history) == ["accuracy", "loss"]
    assert len(panel.history["loss"]) == 2
    assert [s.epoch for s in panel.result] == [0, 1, 2]


def test_pause_holds_between_two_batches_resume_goes_on_and_stop_ends(panel, waiting):
    gate = Gate()
    panel.fit(*data(), batch_size=8, epochs=50, callbacks=[gate])
    gate.let(2)
    waiting(lambda: gate.batches == 2)
    panel.pause()
    gate.let()
    waiting(lambda: panel.state == "paused")
    held = [w.copy() for w in panel.recorder.trained.get_weights()]
    gate.let(5)
    time.sleep(0.2)
    assert gate.batches == 3
    assert all(np.array_equal(a, b) for a, b in zip(panel.recorder.trained.get_weights(), held, strict=True))
    assert "the weights do not change" in panel.status
    panel.resume()
    waiting(lambda: gate.batches == 8)
    panel.pause()
    gate.let()
    waiting(lambda: panel.state == "paused")
    panel.stop()
    assert panel.state == "stopped"
    assert gate.batches == 9  # no batch after Stop
    assert panel.recorder.trained.stop_training
    assert "weights of its last batch" in panel.status


def test_stop_acts_during_validation_too(panel, waiting):
    tests = Gate()
    tests.on_test_batch_begin = tests.on_train_batch_begin
    tests.on_train_batch_begin = lambda batch, logs=None: None
    seen = []
    tests.on_test_batch_end = lambda batch, logs=None: seen.append(batch)
    panel.fit(*data(), batch_size=8, epochs=9, validation_data=data(800), validation_batch_size=8, callbacks=[tests])
    tests.let()
    waiting(lambda: len(seen) == 1)
    threading.Timer(0.05, tests.let, [2]).start()
    panel.stop()
    assert panel.state == "stopped"
    assert len(seen) <= 3


def test_an_error_in_the_users_code_shows_with_its_line(panel, waiting):
    def spoil(batch, logs):
        raise ZeroDivisionError("no luck")

    panel.fit(*data(), callbacks=keras.callbacks.LambdaCallback(on_train_batch_end=spoil))
    waiting(lambda: panel.state == "error")
    line = spoil.__code__.co_firstlineno + 1
    assert panel.status.startswith(f'ZeroDivisionError: no luck, in line {line}: raise ZeroDivisionError("no luck").')
    assert "Traceback" in panel.traceback
    assert 'raise ZeroDivisionError("no luck")' in panel.traceback
    panel.fit(*data(), epochs=1)
    waiting(lambda: panel.state == "done")
    assert panel.traceback == ""


def test_an_error_in_a_train_step_leaves_the_model_its_own_train_function(opened, waiting):
    class Broken(keras.Sequential):
        def train_step(self, data):
            raise ValueError("wrong step")

    model = Broken([keras.Input((12, 12, 3)), L.Conv2D(3, 3, name="conv"), L.GlobalAveragePooling2D()])
    model.compile("adam", "mse", run_eagerly=True)
    panel = opened(cw.TrainingPanel(cw.TrainingRecorder(model, "conv", steps=1)))
    panel.fit(*data())
    waiting(lambda: panel.state == "error")
    assert 'raise ValueError("wrong step")' in panel.status
    assert type(model.train_function).__name__ == "function"


def test_run_waits_and_raises_what_fit_would(panel):
    with pytest.raises(cw.BadTarget, match="panel.fit"):
        panel.start()
    with pytest.raises(TypeError):
        panel.fit(*data(), no_such_argument=3)
    assert panel.state == "idle"
    gate = Gate(open_for=100)
    panel.fit(*data(), batch_size=8, callbacks=[gate])
    with pytest.raises(cw.BadTarget, match="A training is running"):
        for _ in range(2):
            panel.fit(*data())
    panel.stop()
    assert len(panel.run()) >= 2
    assert panel.state == "done"


def test_a_fit_in_a_cell_cannot_be_paused_but_stopped(opened):
    recorder = cw.TrainingRecorder(trainable(), "conv", units=[0], steps=1)
    panel = opened(cw.TrainingPanel(recorder))
    refusals = []

    def act(batch, logs):
        if batch == 1:
            with pytest.raises(cw.BadTarget, match="keeps the kernel busy") as refused:
                panel.pause()
            refusals.append(refused)
            panel.stop()

    acts = keras.callbacks.LambdaCallback(on_train_batch_end=act)
    history = recorder.trained.fit(*data(), batch_size=8, epochs=9, verbose=0, callbacks=[acts, recorder])
    assert len(history.history["loss"]) == 1
    assert len(refusals) == 1
    assert panel.state == "stopped"


def test_a_loaded_recorder_is_shown_and_cannot_train(recorded, opened, tmp_path):
    panel = opened(cw.TrainingPanel(cw.TrainingRecorder.load(recorded.save(tmp_path / "run"))))
    assert panel.moment == 3
    assert not panel.screen.is_empty
    assert not panel.heat.is_empty
    with pytest.raises(cw.BadTarget, match="no model to train"):
        panel.fit(*data())


def test_pictures_are_saved_with_their_settings_and_the_training_as_a_film(recorded, opened, tmp_path):
    panel = opened(cw.TrainingPanel(recorded))
    png = panel.save(tmp_path / "now.png")
    made = pictures.read_png_metadata(png)
    assert (made["epoch"], made["batch"], made["units"]) == (3, 9, [0, 2, 4])
    assert made["settings"]["layer"] == "conv"
    with pytest.raises(cw.BadTarget, match=r"shows a moment of a training, so it cannot be rerun\. Train the model"):
        cw.rerun(png)
    assert Image.open(panel.save(tmp_path / "film.gif")).n_frames == 4
    with pytest.raises(cw.BadTarget, match=r"\.png or \.gif"):
        panel.save(tmp_path / "now.jpg")


def test_the_code_makes_such_a_recorder(recorded, opened):
    code = opened(cw.TrainingPanel(recorded)).snippet()
    names = {"model": trainable(), "picture": PROBE, "x": data()[0], "y": data()[1]}
    exec(compile(code.replace("epochs=5", "epochs=1, verbose=0"), "snippet", "exec"), names)
    assert names["recorder"].units == (0, 2, 4)
    assert names["pics"].shape[0] == 3


def test_a_snapshot_that_failed_says_so_in_the_status(opened):
    model = trainable()
    recorder = cw.TrainingRecorder(model, "conv", units=[0], steps=1)
    panel = opened(cw.TrainingPanel(recorder))
    spoils = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.layers[0].kernel.assign(np.full((3, 3, 3, 5), np.nan, np.float32))
    )
    model.fit(*data(), epochs=1, verbose=0, callbacks=[spoils, recorder])
    assert panel.state == "done"
    assert "hold NaN" in panel.status


@pytest.mark.parametrize("thing", [None, 3, "run"])
def test_only_a_recorder_is_taken(thing):
    with pytest.raises(cw.BadTarget, match="TrainingRecorder"):
        cw.TrainingPanel(thing)


def test_other_panels_on_the_model_work_while_it_trains_and_say_that_the_weights_move(panel, opened, waiting):
    gate = Gate()
    panel.fit(*data(), batch_size=8, epochs=50, callbacks=[gate])
    gate.let(2)
    waiting(lambda: gate.batches == 2)
    other = opened(cw.FilterGallery(panel.recorder.net, "conv", units=range(2), steps=2))
    other.start()
    gate.let(3)
    waiting(lambda: other.state == "done")
    assert "weights are moving" in other.status
    gate.let(500)
    panel.stop()


def test_closing_stops_the_training_and_frees_all_widgets(page, living, waiting):
    panel = cw.TrainingPanel(cw.TrainingRecorder(trainable(), "conv", units=[0], steps=1))
    gate = Gate(open_for=3)
    panel.fit(*data(), batch_size=8, epochs=50, callbacks=[gate])
    waiting(lambda: gate.batches == 3)
    run = panel._run
    panel.close()
    gate.let(10)
    run.wait(20)
    assert living() == []
    assert panel.recorder._listeners == []
