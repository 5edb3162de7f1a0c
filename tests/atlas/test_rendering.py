"""What is rendered: the bytes of the verb, whatever happens on the way."""

import json
import signal
import subprocess
import sys
import uuid

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.atlas import records
from cnnwidgets.atlas.render_atlas import AtlasSettings
from cnnwidgets.errors import BadModel, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.galleries.ready_tiles import ready_in
from cnnwidgets.pictures import to_uint8
from cnnwidgets.visualize.units import UnitsSettings
from tests.atlas.conftest import SETTINGS
from tests.panels.conftest import small


def test_every_unit_has_the_bytes_value_and_note_of_the_verb(atlas, same):
    same(atlas)


@pytest.mark.parametrize("steps_heard", [1, 4, 5, 7, 30])
def test_what_was_stopped_goes_on_to_the_same_bytes(net, tmp_path, same, steps_heard):
    frames = AtlasSettings(**SETTINGS).check(net, tmp_path / "a").frames()
    for _ in range(steps_heard):
        progress = next(frames)
    frames.close()
    there = {path: cw.open_atlas(tmp_path / "a").units(path) for path in ("conv1", "conv2")}
    assert sum(map(len, there.values())) == progress.done < 26
    first = next(AtlasSettings(**SETTINGS).check(net, tmp_path / "a").frames())
    assert first.done == progress.done, "what is done stays done"
    same(cw.render_atlas(net, tmp_path / "a", **SETTINGS))


KILLED = """
import sys
from cnnwidgets.atlas.render_atlas import AtlasSettings
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.galleries.ready_tiles import ready_in
from tests.atlas.conftest import SETTINGS
from tests.panels.conftest import small
for progress in AtlasSettings(**SETTINGS).check(Network(small()), sys.argv[1]).frames():
    sys.stdout.write(f"{progress.done}\\n")
    sys.stdout.flush()
"""


def test_a_killed_rendering_goes_on_to_the_same_bytes(net, tmp_path, same):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True)
    with process:
        while int(process.stdout.readline()) < 6:
            pass
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    atlas = cw.open_atlas(tmp_path / "a")
    assert sum(len(atlas.units(path)) for path in atlas.layers) < 26, "it was not killed in the middle"
    same(cw.render_atlas(net, tmp_path / "a", **SETTINGS))


def test_what_is_not_said_to_be_done_is_written_before_it_is_said(net, tmp_path, monkeypatch):
    seen = []
    save = records.Records._save

    def look(self, path):
        array = self._arrays[path]
        seen.append(all(array[unit].any() for unit in self.entries[path].units))
        save(self, path)

    monkeypatch.setattr(records.Records, "_save", look)
    monkeypatch.setattr(records, "INTERVAL", 0.0)
    cw.render_atlas(net, tmp_path / "a", **SETTINGS)
    assert len(seen) == 3 and all(seen)  # what is painted at once: all of one layer, two parts of the other


def test_progress_counts_to_the_end_and_knows_the_time_left(net, tmp_path):
    every = list(AtlasSettings(**SETTINGS).check(net, tmp_path / "a").frames())
    assert [p.done for p in every] == sorted(p.done for p in every) and every[0].done == 0
    assert (every[-1].done, every[-1].total, every[-1].failed, every[-1].seconds_left) == (26, 26, 0, 0.0)
    assert every[0].seconds_left is None and all(p.seconds_left >= 0 for p in every if p.done)
    assert len(every) > 3 * 4, "a Stop is heard at each step, not only after each batch"


def test_chosen_units_bring_their_batch_along_and_nothing_else(net, tmp_path, expected):
    atlas = cw.render_atlas(net, tmp_path / "a", layers=["conv2"], units=[17], **SETTINGS)
    assert atlas.layers == ("conv2",) and atlas.units("conv2") == (16, 17, 18, 19)
    assert np.array_equal(atlas["conv2"][17], to_uint8(expected["conv2"].pictures)[17])
    assert np.isnan(atlas.values("conv2")[:16]).all()


def test_an_atlas_grows_by_units_and_layers(net, tmp_path, same):
    cw.render_atlas(net, tmp_path / "a", layers=["conv2"], units=range(16, 20), **SETTINGS)
    cw.render_atlas(net, tmp_path / "a", layers=["conv2"], units=range(3), **SETTINGS)
    same(cw.render_atlas(net, tmp_path / "a", **SETTINGS))


def test_nothing_is_painted_twice(net, tmp_path, made_once, monkeypatch):
    from cnnwidgets.atlas import rendering

    monkeypatch.setattr(rendering, "BatchRun", None)
    assert (
        repr(cw.render_atlas(net, made_once, **SETTINGS)) == "Atlas('small', 2 layers, 26 units, 16 x 16 px, 4 steps)"
    )


def test_a_memory_address_will_do(net, same):
    address = f"memory://{uuid.uuid4()}/atlas.zarr"
    cw.render_atlas(net, address, **SETTINGS)
    same(cw.open_atlas(address))


def test_a_network_with_spoiled_weights_marks_every_unit_with_the_reason(tmp_path):
    model = small()
    kernel, _ = model.get_layer("conv2").weights
    kernel.assign(np.where(np.arange(20) == 7, np.nan, kernel.numpy()))
    atlas = cw.render_atlas(Network(model), tmp_path / "a", **SETTINGS)
    assert atlas.units("conv1") == tuple(range(6)) and atlas.units("conv2") == ()
    assert set(atlas.failed("conv2")) == set(range(20)) and "NaN" in atlas.failed("conv2")[3]


def test_a_unit_that_fails_is_marked_the_others_finish_and_it_is_tried_again(net, tmp_path, same, monkeypatch):
    from cnnwidgets.visualize.units import UnitsPlan

    run = UnitsPlan.whole_run

    def breaking(self):
        if 5 in self.units and self.layer.path == "conv1":
            raise RuntimeError("the lights went out")
        return run(self)

    with monkeypatch.context() as broken:
        broken.setattr(UnitsPlan, "whole_run", breaking)
        atlas = cw.render_atlas(net, tmp_path / "a", **SETTINGS)
    assert atlas.failed("conv1") == {5: "the lights went out"} and atlas.units("conv1") == (0, 1, 2, 3, 4)
    same(cw.render_atlas(net, tmp_path / "a", **SETTINGS))


def test_short_memory_is_no_reason_to_paint_other_bytes(net, tmp_path, monkeypatch):
    from cnnwidgets.visualize.units import UnitsPlan

    batches = []

    def short(self):
        batches.append((self.batch, len(self.units)))
        raise MemoryError

    monkeypatch.setattr(UnitsPlan, "whole_run", short)
    atlas = cw.render_atlas(net, tmp_path / "a", layers=["conv1"], **SETTINGS)
    assert batches == [(8, 6)] and "memory" in atlas.failed("conv1")[0]


# What is refused, before anything is computed or written.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["nope"]}, "no layer 'nope'"),
        ({"layers": []}, "layers must name"),
        ({"layers": "conv1"}, "layers must be a list"),
        ({"layers": 3}, "got 3"),
        ({"units": []}, "units must name"),
        ({"units": range(0)}, "units must name"),
        ({"units": [1.5]}, "got 1.5"),
        ({"units": range(-3, 2)}, "got -3"),
        ({"units": "all"}, "got 'all'"),
        ({"units": [999]}, "None of the layers"),
        ({"size": 0}, "got 0"),
        ({"steps": 0}, "got 0"),
        ({"recipe": "cake"}, "cake"),
        ({"seed": 0.5}, "got 0.5"),
        ({"client": "tcp://127.0.0.1:8786"}, "client must"),
        ({"path": ""}, "got ''"),
        ({"path": 3}, "got 3"),
        ({"path": "a\0b"}, "path must"),
        ({"path": "nope://x/y"}, "nope"),
    ],
)
def test_settings_that_cannot_be_are_refused_and_nothing_is_written(net, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadTarget) as refusal:
        cw.render_atlas(net, **{"path": "a.zarr", **SETTINGS, **arguments})
    assert message in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(BadModel):
        cw.render_atlas("squeezenet", tmp_path / "a")


def files(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 5}, "steps 4, not 5"), ({"size": 24}, "size 16 x 16, not 24 x 24"), ({"seed": 1}, "seed 0, not 1"),
     ({"recipe": "textbook"}, "recipe fourier, not textbook")],
)  # fmt: skip
def test_an_atlas_of_other_settings_is_refused_and_left_alone(net, made_once, change, message):
    before = files(made_once)
    with pytest.raises(BadTarget, match=message):
        cw.render_atlas(net, made_once, **{**SETTINGS, **change})
    assert files(made_once) == before


def test_an_atlas_of_another_network_is_refused_and_left_alone(made_once):
    before = files(made_once)
    model = small()
    model.get_layer("conv1").bias.assign(np.ones(6))
    with pytest.raises(BadTarget, match="fingerprint"):
        cw.render_atlas(Network(model), made_once, **SETTINGS)
    assert files(made_once) == before


def test_an_atlas_of_other_versions_is_refused(net, tmp_path):
    cw.render_atlas(net, tmp_path / "a", layers=["conv1"], **SETTINGS)
    file = tmp_path / "a" / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["versions"]["tensorflow"] = "1.0"
    file.write_text(json.dumps(content))
    with pytest.raises(BadTarget, match="tensorflow 1.0, not "):
        cw.render_atlas(net, tmp_path / "a", **SETTINGS)


def test_a_folder_that_is_no_atlas_is_refused_and_left_alone(net, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(BadTarget, match="not an atlas"):
        cw.render_atlas(net, folder, **SETTINGS)
    with pytest.raises(BadTarget, match="not an atlas"):
        cw.render_atlas(net, folder / "cat.jpg", **SETTINGS)
    assert list(files(folder)) == [folder / "cat.jpg"] and (folder / "cat.jpg").read_bytes() == b"meow"


def test_another_zarr_group_is_refused_and_left_alone(net, tmp_path):
    import zarr

    zarr.open_group(tmp_path / "g", mode="w", zarr_format=3, attributes={"mine": 1})
    before = files(tmp_path)
    with pytest.raises(BadTarget, match="not an atlas"):
        cw.render_atlas(net, tmp_path / "g", **SETTINGS)
    assert files(tmp_path) == before


def test_an_empty_folder_will_do(net, tmp_path):
    (tmp_path / "empty").mkdir()
    assert cw.render_atlas(net, tmp_path / "empty", layers=["conv1"], **SETTINGS).layers == ("conv1",)


def test_a_network_under_other_names_finds_its_layers_in_an_atlas_and_goes_on_with_it(tmp_path):
    def unnamed(*names):
        keras.utils.set_random_seed(1)
        x = picture = keras.Input((16, 16, 3))
        for name in names or (None, None):
            x = keras.layers.Conv2D(2, 3, padding="same", name=name)(x)
        model = keras.Model(picture, keras.layers.GlobalAveragePooling2D()(x))
        return cw.Network(model, "unit"), [layer.name for layer in model.layers[1:3]]

    net, (first, second) = unnamed()
    asked = {"size": 16, "steps": 2}
    atlas = cw.render_atlas(net, tmp_path / "a.zarr", [second], **asked)
    again, (their_first, their_second) = unnamed()
    paths = [info.path for info in again.layers]
    assert (atlas.path_of(their_second, paths), atlas.path_of(their_first, paths)) == (second, None)
    whole = cw.render_atlas(again, tmp_path / "a.zarr", **asked)
    assert whole.layers == (second, their_first)
    ready = ready_in(whole, UnitsSettings(their_second, range(2), 16, 2).check(again))
    assert np.array_equal(np.uint8(np.round(ready.pictures[0] * 255)), whole[second][0])
    swapped, _ = unnamed(second, "other")  # another layer has that name now
    other = cw.render_atlas(net, tmp_path / "b.zarr", [second], **asked)
    both = cw.render_atlas(swapped, tmp_path / "b.zarr", **asked)
    assert both.layers == (second, f"{second}#2")
    assert np.array_equal(both[second][:], other[second][:]) and np.array_equal(
        both[f"{second}#2"][:], whole[their_first][:]
    )
