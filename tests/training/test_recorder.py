"""TrainingRecorder: what it keeps, and that a training ends as it would without it."""

import re
import warnings

import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets.model.backend import keras
from cnnwidgets.model.tracing.compiled import TURNS
from cnnwidgets.training import snapshots
from cnnwidgets.training.curves import Thinned
from cnnwidgets.training.train_function import TrainFunction
from tests.training.conftest import MAKERS

PROBE = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)

LOOKING = ("stateful", "siamese")  # with a probe, for which more is traced


def recorder_of(model, **settings):
    pair = len(getattr(model, "inputs", None) or [1]) == 2
    probe = [PROBE, PROBE[::-1]] if pair else PROBE
    return cw.TrainingRecorder(model, **{"picture": probe, "units": [0, 1], "steps": 2, **settings})


def blind(model, **settings):
    """A recorder without a probe, for which less is traced."""
    return recorder_of(model, picture=None, **settings)


def train(model, data, recorder=None, epochs=2, **settings):
    x, y = data
    callbacks = [recorder] if recorder else []
    return model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks, **settings).history


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "plain"])
def test_a_training_ends_bit_for_bit_as_without_a_recorder(kind, make, data, left_by):
    ends = []
    for records in (False, True):
        model = make(kind)
        recorder = (recorder_of if kind in LOOKING else blind)(model, every=2) if records else None
        history = train(model, data(pairs=kind == "siamese"), recorder)
        ends.append((left_by(model), history))
    assert ends[0] == ends[1]
    moments = [(s.epoch, s.batch) for s in recorder.snapshots]
    first = (0, 1) if kind.endswith("unbuilt") else (0, 0)
    assert moments == [first, (0, 2), (1, 5 if kind.startswith("several") else 4), (1, 6)]
    assert [s.note for s in recorder.snapshots[1:]] == [""] * 3
    assert all(len(s.pictures) == 2 for s in recorder.snapshots)
    assert all(len(s.maps) == 1 and len(s.heat) >= 1 for s in recorder.snapshots) or kind not in LOOKING
    assert recorder.problem == ""


def test_the_train_step_is_traced_as_often_as_without_a_recorder(make, data):
    counts = []
    for records in (False, True):
        model = make("own train step, unbuilt")
        train(model, data(), blind(model, every=1) if records else None, epochs=3)
        counts.append(model.traced)
    assert counts[0] == counts[1]


def test_snapshots_are_what_the_verbs_return_for_the_weights_of_that_moment(make, data):
    model = make()
    recorder = recorder_of(model, layer="conv1", units=range(6), steps=6)
    history = train(model, data(), recorder)
    last, (_, middle, _) = recorder.snapshots[-1], recorder.snapshots
    painted = cw.visualize_units(model, "conv1", range(6), steps=6)
    active = [i for i, note in enumerate(last.notes) if not note]
    assert active
    assert np.array_equal(last.pictures[active], painted.pictures[active])
    assert np.array_equal(last.values[active], painted.values[active])
    assert np.array_equal(last.maps["conv1"], cw.feature_maps(model, PROBE, ["conv1"])["conv1"])
    assert np.array_equal(last.heat[0].raw, cw.class_activation_map(model, PROBE)[0].raw)
    assert [s.epoch for s in recorder.snapshots] == [0, 1, 2]
    assert recorder.snapshots[0].logs == {}
    assert [middle.logs["loss"], last.logs["loss"]] == history["loss"]
    assert not np.array_equal(middle.pictures, last.pictures)


def test_a_unit_that_stays_inactive_says_so(make, data):
    model = make()
    kernel, bias = model.get_layer("conv2").weights
    kernel.assign(kernel.numpy() * (np.arange(10) != 1))
    bias.assign(np.where(np.arange(10) == 1, -1.0, 0.0))
    recorder = blind(model, layer="conv2")
    train(model, data(), recorder, epochs=1)
    assert recorder.snapshots[0].notes[1].startswith("inactive: no positive activation after 2 steps")


def test_validation_is_in_the_logs_of_an_epoch(make, data):
    model = make()
    recorder = blind(model)
    train(model, data(), recorder, epochs=1, validation_data=data(8))
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} == set(recorder.snapshots[-1].logs)
    assert set(recorder.curves.names()) == set(recorder.snapshots[-1].logs)


def test_a_second_fit_goes_on_and_records_its_start_only_if_the_weights_were_changed(make, data):
    model = make()
    recorder = blind(model)
    train(model, data(), recorder, epochs=1)
    train(model, data(), recorder, epochs=2, initial_epoch=1)
    assert [(s.epoch, s.batch) for s in recorder.snapshots] == [(0, 0), (1, 3), (2, 6)]
    model.get_layer("conv1").bias.assign_add(np.ones(6, np.float32))
    train(model, data(), recorder, epochs=3, initial_epoch=2)
    assert [(s.epoch, s.batch) for s in recorder.snapshots[3:]] == [(2, 6), (3, 9)]


def test_older_snapshots_thin_out_evenly_and_the_first_and_last_stay(make, data):
    model = make()
    recorder = blind(model, every=1, keep=5, steps=1)
    train(model, data(40), recorder, epochs=3)
    assert [s.batch for s in recorder.snapshots] == [0, 4, 8, 12, 15]


@pytest.mark.parametrize("most", range(2, 12))
@pytest.mark.parametrize("count", [1, 2, 3, 10, 57])
def test_what_is_thinned_out_keeps_equal_distances(most, count):
    values = Thinned(most)
    for value in range(count):
        values.add(value)
        found = values.all()
        assert (found[0], found[-1]) == (0, value)
        assert len(found) <= most
        assert len(set(np.diff(found[:-1]))) <= 1
        assert len(found) > most // 2 or len(found) == value + 1


def test_large_snapshots_are_thinned_out_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(snapshots, "MOST_BYTES", 10_000)
    kept = snapshots.Kept(100)
    for batch in range(40):
        kept.add(cw.Snapshot(0, batch, pictures=np.zeros((1, 10, 10, 3), np.float32)))
    assert sum(s.nbytes for s in kept.all()) <= 10_000
    assert (kept.all()[0].batch, kept.all()[-1].batch) == (0, 39)


def test_a_network_trained_inside_a_larger_model_is_recorded(make, data):
    model = make("nested")
    backbone = model.layers[0]
    recorder = cw.TrainingRecorder(backbone, "conv1", steps=2)
    train(model, data(), recorder, epochs=1)
    first, last = recorder.snapshots
    assert first.units == tuple(range(6))  # eight are the default, and there are six
    assert not np.array_equal(first.pictures, last.pictures)


BAD = [
    ({"layer": "conv9"}, cw.BadTarget, "conv1"),
    ({"layer": "conv1", "units": [6]}, cw.BadTarget, "0 to 5"),
    ({"units": []}, cw.BadTarget, "units must be"),
    ({"units": 3}, cw.BadTarget, "units must be"),
    ({"every": 0}, cw.BadTarget, "'epoch' or a number of batches"),
    ({"every": -2}, cw.BadTarget, "got -2"),
    ({"every": 2.5}, cw.BadTarget, "got 2.5"),
    ({"every": True}, cw.BadTarget, "got True"),
    ({"every": "batch"}, cw.BadTarget, "got 'batch'"),
    ({"steps": 0}, cw.BadTarget, "steps must be"),
    ({"size": 20}, cw.BadTarget, "16"),
    ({"seed": 1.5}, cw.BadTarget, "seed must be"),
    ({"keep": 1}, cw.BadTarget, "keep must be"),
    ({"recipe": "none"}, cw.BadTarget, "recipe"),
    ({"target": 3}, cw.BadTarget, "0 to 2"),
    ({"picture": np.zeros((16, 16, 5))}, cw.BadPicture, "channels"),
    ({"picture": np.zeros(7)}, cw.BadPicture, "7"),
    ({"picture": "nowhere.png"}, cw.BadPicture, "nowhere.png"),
    ({"picture": [PROBE, PROBE]}, cw.BadPicture, "one picture"),
]


@pytest.fixture(scope="module")
def network(make):
    return cw.Network(make())


@pytest.mark.parametrize(("settings", "kind", "said"), BAD)
def test_what_cannot_be_recorded_is_refused_when_the_recorder_is_made(settings, kind, said, network):
    with pytest.raises(kind, match=said):
        cw.TrainingRecorder(network, **settings)


@pytest.mark.parametrize("settings", [{"every": 0}, {"units": 3}, {"steps": 0}, {"seed": 1.5}, {"keep": 1}])
def test_settings_that_need_no_network_are_checked_for_an_unbuilt_model_too(settings, make):
    with pytest.raises(cw.BadTarget, match=next(iter(settings))):
        recorder_of(make("own train step, unbuilt"), **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"layer": "conv9"},
        {"layer": "conv", "units": [6]},
        {"picture": np.zeros((16, 16, 5))},
        {"picture": "nowhere.png"},
    ],
)
def test_an_unbuilt_model_trains_on_unharmed_where_its_first_batch_shows_a_mistake(settings, make, data, left_by):
    ends = []
    for records in (False, True):
        model = make("own train step, unbuilt")
        recorder = recorder_of(model, **settings)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            train(model, data(), recorder if records else None)
        ends.append(left_by(model))
    assert ends[0] == ends[1]
    assert recorder.problem
    assert [str(one.message) for one in said] == [f"TrainingRecorder records nothing: {recorder.problem}"]
    assert [s.note for s in recorder.snapshots] == [f"nothing recorded: {recorder.problem}"]


def test_a_warning_that_is_an_error_does_not_reach_the_training(make, data):
    model = make("own train step, unbuilt")
    recorder = recorder_of(model, layer="conv9")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model, data(), recorder)
    assert "conv9" in recorder.problem


def test_a_snapshot_that_fails_says_so_and_the_training_goes_on(make, data, left_by):
    ends = []
    for records in (False, True):
        model = make()
        spoils = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs, model=model: (
                epoch == 1 and model.get_layer("conv1").kernel.assign(np.full((3, 3, 3, 6), np.nan, np.float32))
            )
        )
        recorder = recorder_of(model)
        x, y = data()
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[spoils, *([recorder] if records else [])])
        ends.append(left_by(model))
    assert ends[0] == ends[1]
    first, good, spoiled = recorder.snapshots
    assert (first.note, good.note) == ("", "")
    assert re.match("no snapshot: The weights '.*conv1/kernel' .* hold NaN", spoiled.note)
    assert len(spoiled.pictures) == len(spoiled.maps) == len(spoiled.heat) == 0


def test_what_is_recorded_next_can_be_changed_while_it_trains(make, data):
    model = make()
    recorder = recorder_of(model, layer="conv1")
    other = 1 - PROBE

    def change(epoch, logs):
        if epoch == 1:
            recorder.layer, recorder.units, recorder.picture = "conv2", [5], other

    x, y = data()
    changes = keras.callbacks.LambdaCallback(on_epoch_begin=change)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[changes, recorder])
    assert [(s.layer, s.units) for s in recorder.snapshots] == [("conv1", (0, 1))] * 2 + [("conv2", (5,))]
    assert np.array_equal(recorder.snapshots[-1].probe["picture"], other)
    with pytest.raises(cw.BadTarget, match="conv9"):
        recorder.layer = "conv9"
    with pytest.raises(cw.BadPicture):
        recorder.picture = np.zeros((16, 16, 5))
    assert (recorder.layer, recorder.units) == ("conv2", (5,))


def test_a_probe_stays_what_it_was_when_it_was_given(make, data):
    probe, model = PROBE.copy(), make()
    recorder = recorder_of(model, picture=probe)
    probe[:] = 0
    train(model, data(), recorder, epochs=1)
    assert np.array_equal(recorder.snapshots[0].probe["picture"], PROBE)


def test_an_error_in_the_training_leaves_the_recorder_ready_for_the_next(make, data):
    model = make()
    recorder = blind(model)

    def fail(batch, logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(*data(), verbose=0, callbacks=[recorder, keras.callbacks.LambdaCallback(on_train_batch_end=fail)])
    train(model, data(), recorder, epochs=1)
    assert [s.epoch for s in recorder.snapshots] == [0, 0, 1]


def test_a_gif_has_a_frame_for_each_snapshot(make, data, tmp_path):
    model = make()
    recorder = blind(model)
    with pytest.raises(cw.BadPicture, match="No snapshot"):
        recorder.to_gif(tmp_path / "early.gif")
    train(model, data(), recorder)
    path = recorder.to_gif(tmp_path / "film.gif")
    assert Image.open(path).n_frames == 3
    with pytest.raises(cw.BadTarget, match="cannot be written"):
        recorder.to_gif(tmp_path / "no folder" / "film.gif")


@pytest.mark.parametrize("thing", [None, 3, "model.keras"])
def test_what_is_not_a_model_is_refused(thing):
    with pytest.raises(cw.BadModel, match=r"keras\.Model"):
        cw.TrainingRecorder(thing)


# A train function that takes turns with device work.


def test_an_error_in_a_batch_frees_the_weights_and_puts_the_function_back():
    put_back = []

    def fail():
        raise ZeroDivisionError

    fail.other = 3
    batches = TrainFunction(fail, [], lambda: put_back.append(True))
    with pytest.raises(ZeroDivisionError):
        batches()
    assert put_back == [True]
    assert batches.other == 3
    with TURNS.reading():
        pass
