"""Files of snapshots: the same snapshots again, and nothing else."""

import io
import json
import zipfile

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.training import snapshot_file

PROBE = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def recorder(make, data):
    model = make()
    recorder = cw.TrainingRecorder(model, "conv1", units=[2, 0], picture=PROBE, steps=2)
    x, y = data()
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[recorder])
    return recorder


@pytest.fixture
def saved(recorder, tmp_path):
    return recorder.save(tmp_path / "run.snapshots")


def test_the_same_snapshots_come_back(recorder, saved):
    loaded = cw.TrainingRecorder.load(saved)
    assert len(loaded.snapshots) == 3
    for before, after in zip(recorder.snapshots, loaded.snapshots, strict=True):
        for name in ("epoch", "batch", "logs", "note", "layer", "units", "notes"):
            assert getattr(before, name) == getattr(after, name)
        assert np.array_equal(before.pictures, after.pictures)
        assert np.array_equal(before.values, after.values)
        assert np.array_equal(before.maps["conv1"], after.maps["conv1"])
        assert np.array_equal(before.probe["picture"], after.probe["picture"])
        (one,), (other,) = before.heat, after.heat
        assert np.array_equal(one.map, other.map)
        assert np.array_equal(one.signed, other.signed)
        assert (one.path, one.call, one.input, one.note) == (other.path, other.call, other.input, other.note)
    assert loaded.curves.epochs == recorder.curves.epochs
    assert loaded.curves.batches == recorder.curves.batches
    assert (loaded.layer, loaded.units, loaded.net) == ("conv1", (2, 0), None)


def test_a_loaded_recorder_saves_the_same_and_makes_a_gif(saved, tmp_path):
    loaded = cw.TrainingRecorder.load(saved)
    assert zipfile.ZipFile(loaded.save(tmp_path / "again")).read("snapshots.json") == zipfile.ZipFile(saved).read(
        "snapshots.json"
    )
    assert loaded.to_gif(tmp_path / "film.gif").stat().st_size > 0


def test_a_loaded_recorder_has_no_model_to_record(saved, make, data):
    x, y = data()
    with pytest.raises(cw.BadTarget, match="no model"):
        make().fit(x, y, verbose=0, callbacks=[cw.TrainingRecorder.load(saved)])


def test_numbers_that_are_not_finite_come_back(make, tmp_path):
    recorder = cw.TrainingRecorder(make(), steps=1)
    recorder._kept.add(cw.Snapshot(1, 3, {"loss": float("nan"), "other": float("inf")}, note="<b>é\n"))
    (one,) = cw.TrainingRecorder.load(recorder.save(tmp_path / "odd")).snapshots
    assert np.isnan(one.logs["loss"])
    assert one.logs["other"] == float("inf")
    assert one.note == "<b>é\n"


def test_nothing_is_left_behind_where_a_file_cannot_be_written(recorder, tmp_path):
    with pytest.raises(cw.BadTarget, match="cannot be written"):
        recorder.save(tmp_path / "no folder" / "run")
    assert list(tmp_path.iterdir()) == []


def changed(path, entries):
    """The file with some entries replaced; `None` leaves one out."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    held.update(entries)
    out = path.with_name("changed")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in held.items():
            if data is not None:
                archive.writestr(name, data)
    return out


def index_with(path, change):
    index = json.loads(zipfile.ZipFile(path).read("snapshots.json"))
    change(index)
    return {"snapshots.json": json.dumps(index).encode()}


def array_file(array, **keywords):
    out = io.BytesIO()
    np.save(out, array, **keywords)
    return out.getvalue()


class Trap:
    """Tells on being unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def huge_header():
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)})
    return out.getvalue()


HOSTILE = {
    "pickled array": {"0.npy": array_file(np.array([Trap()], object), allow_pickle=True)},
    "huge shape": {"0.npy": huge_header()},
    "other type": {"0.npy": array_file(np.zeros((2, 16, 16, 3), "U9"))},
    "NaN picture": {"0.npy": array_file(np.full((2, 16, 16, 3), np.nan, np.float32))},
    "other axes": {"0.npy": array_file(np.zeros((2, 2), np.float32))},
    "no picture for a unit": {"0.npy": array_file(np.zeros((1, 16, 16, 3), np.float32))},
    "array missing": {"0.npy": None},
    "no index": {"snapshots.json": None},
    "index is text": {"snapshots.json": b"hello"},
    "index is a list": {"snapshots.json": b"[1, 2]"},
    "index is deep": {"snapshots.json": b"[" * 100_000},
    "long index": {"snapshots.json": b" " * (snapshot_file.MOST_TEXT + 1)},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused(what, saved):
    with pytest.raises(cw.BadPicture):
        cw.TrainingRecorder.load(changed(saved, HOSTILE[what]))
    assert not Trap.sprung


CHANGES = {
    "another format": lambda index: index.update(format="cnnwidgets snapshots 99"),
    "negative epoch": lambda index: index["snapshots"][0].update(epoch=-1),
    "epoch as text": lambda index: index["snapshots"][0].update(epoch="../x"),
    "array as text": lambda index: index["snapshots"][0].update(pictures="../../etc/passwd"),
    "units as text": lambda index: index["snapshots"][0].update(units="ab"),
    "note as a number": lambda index: index["snapshots"][0].update(note=3),
    "logs as a list": lambda index: index["snapshots"][0].update(logs=[1]),
    "unknown setting": lambda index: index["settings"].update(steps=10**9),
    "other placement": lambda index: index["snapshots"][0]["heat"][0]["placement"].update(size=[9**9, 9**9]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_index_that_was_changed_is_refused(what, saved):
    with pytest.raises(cw.BadPicture):
        cw.TrainingRecorder.load(changed(saved, index_with(saved, CHANGES[what])))


def test_a_damaged_file_is_refused(saved):
    whole = saved.read_bytes()
    for data in (b"", b"text", whole[: len(whole) // 2], whole[:2000] + bytes([whole[2000] ^ 255]) + whole[2001:]):
        saved.write_bytes(data)
        with pytest.raises(cw.BadPicture, match=saved.name):
            cw.TrainingRecorder.load(saved)


def test_no_file_a_folder_and_no_path_are_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(cw.BadPicture, match="cannot be opened"):
            cw.TrainingRecorder.load(path)
    with pytest.raises(cw.BadTarget, match="path must be"):
        cw.TrainingRecorder.load(3)


def test_an_archive_that_unpacks_to_gigabytes_is_refused_at_once(saved, monkeypatch):
    monkeypatch.setattr(snapshot_file, "MOST_BYTES", 1000)
    monkeypatch.setattr(snapshot_file, "MOST_TEXT", 1000)
    with pytest.raises(cw.BadPicture, match="more than"):
        cw.TrainingRecorder.load(saved)
