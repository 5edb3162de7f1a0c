"""An atlas that is opened: lazy, without TensorFlow, and suspicious of what others wrote."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget

OPEN = """
import sys
import cnnwidgets as cw
atlas = cw.open_atlas(sys.argv[1])
assert atlas["conv2"][3:18].shape == (15, 16, 16, 3) and len(atlas.notes("conv2")) == 20
assert not {"tensorflow", "keras", "dask", "distributed", "ipywidgets"} & set(sys.modules), sorted(sys.modules)
"""


def test_opening_needs_no_tensorflow(made_once):
    done = subprocess.run([sys.executable, "-c", OPEN, str(made_once)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_says_what_it_is_in_one_line(atlas, net):
    assert repr(atlas) == "Atlas('small', 2 layers, 26 units, 16 x 16 px, 4 steps)"
    assert repr(atlas["conv1"]) == "LazyPictures('conv1', [6, 16, 16, 3])"
    assert atlas.network == "small" and atlas.fingerprint == net.fingerprint()
    settings = atlas.settings
    assert (settings.recipe, settings.size, settings.steps, settings.seed) == ("fourier", (16, 16), 4, 0)
    assert settings.versions["keras"] and "cpu" in settings.device


def test_it_is_lazy(made_once, tmp_path):
    """What is read is what is asked for: without one batch, the others are still there."""
    copy = shutil.copytree(made_once, tmp_path / "a")
    (chunk,) = [path for path in copy.glob("*-conv2/c/1/0/0/0") if path.is_file()]
    chunk.write_bytes(b"cut off")
    pictures = cw.open_atlas(copy)["conv2"]
    assert pictures[:16].any()
    with pytest.raises(BadTarget, match="damaged"):
        pictures[16]


def test_it_is_indexed_as_numpy(atlas):
    every = np.asarray(atlas["conv2"])
    lazy = atlas["conv2"]
    assert lazy.shape == every.shape == (20, 16, 16, 3) and lazy.dtype == every.dtype == np.uint8 and len(lazy) == 20
    for key in (3, -1, slice(2, 19), (slice(None), 0, 0), [1, 18], (5, slice(0, 4), 2, 1)):
        assert np.array_equal(lazy[key], every[key]), key
    with pytest.raises(IndexError):
        lazy[20]


def test_an_unknown_layer_is_named_with_those_that_are_there(atlas):
    for ask in (atlas.__getitem__, atlas.units, atlas.values, atlas.notes, atlas.failed):
        with pytest.raises(BadTarget, match="no layer 'conv3'.*conv1"):
            ask("conv3")
    assert "conv1" in atlas and "conv3" not in atlas


def test_a_place_without_an_atlas_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for path in ("nope", "file", "empty"):
        with pytest.raises(BadTarget, match="no atlas at|cannot be opened"):
            cw.open_atlas(tmp_path / path)
    for path in ("memory://nowhere", "nope://x", "s3://bucket/atlas"):
        with pytest.raises(BadTarget):
            cw.open_atlas(path)


BAD_ROOT = [
    ("cnnwidgets_atlas", 2), ("cnnwidgets_atlas", None), ("network", 3), ("network", "x" * 2000),
    ("fingerprint", "../../etc"), ("size", [16]), ("size", [16, 10**9]), ("size", "16"), ("steps", 0),
    ("steps", True), ("seed", 1.5), ("versions", []), ("versions", {"keras": 3}), ("device", None), ("recipe", {}),
    ("layers", None), ("layers", [3]), ("layers", {}),
]  # fmt: skip
BAD_LAYER = [
    ("slug", "../../../etc/passwd"), ("slug", "/etc/passwd"), ("slug", "0000-a/b"), ("slug", ""), ("slug", None),
    ("path", 3), ("units", 10**12), ("units", -1), ("batch", 0), ("batch", 10**6), ("shape", [16, 16]),
    ("shape", [16, 16, 99]), ("shape", [10**6, 16, 3]), ("units", 7), ("slug", "0009-nowhere"),
]  # fmt: skip


@pytest.fixture
def edited(made_once, tmp_path):
    """`edited(file, change)` opens a copy in which a function changed the attributes in a file."""

    def edit(name, change):
        copy = shutil.copytree(made_once, tmp_path / "a")
        (file,) = copy.glob(name)
        content = json.loads(file.read_text())
        change(content["attributes"])
        file.write_text(json.dumps(content))
        return cw.open_atlas(copy)

    return edit


@pytest.mark.parametrize(("name", "value"), BAD_ROOT)
def test_foreign_attributes_are_refused_by_name(edited, name, value):
    with pytest.raises(BadTarget) as refusal:
        edited("zarr.json", lambda attributes: attributes.update({name: value}))
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(("name", "value"), BAD_LAYER)
def test_a_foreign_layer_is_refused_before_a_file_is_touched(edited, name, value):
    with pytest.raises(BadTarget, match="damaged"):
        edited("zarr.json", lambda attributes: attributes["layers"][0].update({name: value})).values("conv1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("values", None), ("values", [1.0]), ("values", ["x"] * 6), ("values", [True] * 6), ("notes", []),
     ("notes", {"6": "x"}), ("notes", {"-1": "x"}), ("notes", {"0": 3}), ("failed", {"one": "x"})],
)  # fmt: skip
def test_foreign_values_and_notes_are_refused(edited, name, value):
    with pytest.raises(BadTarget, match="'conv1'.*damaged"):
        edited("*-conv1/zarr.json", lambda attributes: attributes.update({name: value})).notes("conv1")


@pytest.mark.parametrize(
    "change",
    [{"data_type": "float64"}, {"data_type": "string"}, {"shape": [6, 16, 16, 4]}, {"codecs": []},
     {"codecs": [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 0, "checksum": False}}]},
     {"codecs": [{"name": "numcodecs.pickle"}]}, {"zarr_format": 2}, {"node_type": "group"}],
)  # fmt: skip
def test_an_array_that_is_not_ours_is_refused_before_it_is_read(made_once, tmp_path, change):
    copy = shutil.copytree(made_once, tmp_path / "a")
    (file,) = copy.glob("*-conv1/zarr.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(BadTarget, match="'conv1'.*damaged"):
        cw.open_atlas(copy)["conv1"]


@pytest.mark.parametrize("content", [b"", b"\0\xff", b"[]", b"{}", b"[" * 100_000, b'{"zarr_format": 3}'])
def test_a_damaged_root_is_refused(made_once, tmp_path, content):
    copy = shutil.copytree(made_once, tmp_path / "a")
    (copy / "zarr.json").write_bytes(content)
    with pytest.raises(BadTarget):
        cw.open_atlas(copy)


HOSTILE = [
    "../../evil",
    "/etc/passwd",
    "a/b",
    "..",
    "CON",
    "x" * 300,
    "<script>alert(1)</script>",
    "zarr.json",
    "\u202e",
]


def test_no_layer_path_becomes_a_path_on_disk(tmp_path):
    from cnnwidgets.atlas.attributes import SLUG, slug_for

    slugs = [slug_for(path, index) for index, path in enumerate(HOSTILE)]
    assert all(SLUG.fullmatch(slug) for slug in slugs) and len(set(slugs)) == len(HOSTILE)


def test_without_zarr_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r'pip install "cnnwidgets\[atlas\]"'):
        cw.open_atlas(tmp_path)
