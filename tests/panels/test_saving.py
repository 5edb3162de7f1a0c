"""What is taken away from a panel: a PNG with its recipe, a GIF of the run, the code."""

import io

import numpy as np
import PIL.Image
import pytest

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery
from cnnwidgets.provenance.recipe import Recipe
from tests.panels.pixels import read

SETTINGS = {"units": [0, 1, 2, 5], "size": 16, "steps": 5}


@pytest.fixture
def gallery(net, opened):
    return opened(FilterGallery(net, "conv2", **SETTINGS))


def made_by(snippet, net):
    names = {"net": net}
    exec(snippet, names)
    return names["pics"]


def test_a_png_holds_the_mosaic_and_nothing_else(gallery, tmp_path):
    made = gallery.run()
    path = gallery.save(tmp_path / "tiles.png")
    assert path == tmp_path / "tiles.png"
    assert np.array_equal(read(path), pictures.mosaic(pictures.to_uint8(made.pictures), 2))


def test_a_png_tells_its_recipe(gallery, net, tmp_path):
    gallery.run()
    recipe = Recipe.from_png(gallery.save(tmp_path / "tiles.png"))
    assert recipe == gallery.recipe_of()
    assert (recipe.verb, recipe.network, recipe.fingerprint) == ("visualize_units", "small", net.fingerprint())
    settings = {"layer": "conv2", "units": (0, 1, 2, 5), "size": 16, "steps": 5, "recipe": "fourier", "seed": 0}
    assert settings.items() <= dict(recipe.settings).items() and recipe.versions["keras"]


def test_the_code_makes_the_same_bytes(gallery, net):
    gallery.seed = 3
    made = gallery.run()
    again = made_by(gallery.snippet(), net)
    assert again.pictures.tobytes() == made.pictures.tobytes() and again.notes == made.notes


def test_the_code_of_a_saved_picture_is_that_of_the_panel(gallery, tmp_path):
    gallery.run()
    assert Recipe.from_png(gallery.save(tmp_path / "tiles.png")).snippet() == gallery.snippet()


def test_the_code_of_a_run_that_was_stopped_makes_what_is_shown(gallery, net, waiting):
    gallery.units = [0, 1, 2]  # these fire after some steps; the verb would try a silent one again
    gallery.steps = 1000
    gallery.start()
    waiting(lambda: gallery.progress > 0.04)
    gallery.stop()
    made = gallery.result
    assert "steps=1000" not in gallery.snippet()
    assert made_by(gallery.snippet(), net).pictures.tobytes() == made.pictures.tobytes()


def test_code_is_there_before_anything_runs(gallery, net):
    assert made_by(gallery.snippet(), net).units == (0, 1, 2, 5)


def test_the_code_that_is_shown_follows_the_settings(gallery):
    gallery._buttons["code"].click()
    assert gallery._code.layout.display == "" and "steps=5" in gallery._code.children[0].value
    gallery.steps = 6
    assert "steps=6" in gallery._code.children[0].value
    gallery._buttons["code"].click()
    assert gallery._code.layout.display == "none"


def test_a_gif_shows_the_run_from_its_first_step_to_its_last(gallery, tmp_path):
    gallery.run()
    path = gallery.save(tmp_path / "run.GIF")
    with PIL.Image.open(path) as image:
        assert image.format == "GIF" and image.n_frames == 5
        first = np.asarray(image.convert("RGB"), float)
        image.seek(image.n_frames - 1)
        last = np.asarray(image.convert("RGB"), float)
    assert first.std() < last.std()
    assert np.abs(last - read(gallery.save(tmp_path / "last.png"))).mean() < 12, "256 colors are not all"


@pytest.mark.parametrize("name", ["tiles.jpg", "tiles", "tiles.png.exe", "tiles.svg"])
def test_another_suffix_is_refused(gallery, tmp_path, name):
    gallery.run()
    with pytest.raises(BadTarget, match=r"\.png or \.gif"):
        gallery.save(tmp_path / name)
    assert list(tmp_path.glob("tiles*")) == []


def test_there_is_nothing_to_save_before_the_first_picture(gallery, tmp_path):
    with pytest.raises(BadTarget, match="Press Start"):
        gallery.save(tmp_path / "tiles.png")


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_nothing_is_left_half_written(gallery, tmp_path, monkeypatch, suffix):
    gallery.run()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / f"tiles{suffix}").write_bytes(b"earlier")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BadTarget, match="No space left"):
        gallery.save(folder / f"tiles{suffix}")
    assert [path.name for path in folder.iterdir()] == [f"tiles{suffix}"]
    assert (folder / f"tiles{suffix}").read_bytes() == b"earlier"


def test_the_button_never_overwrites(gallery, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gallery.run()
    for _ in range(3):
        gallery._buttons["save"].click()
    gallery._buttons["gif"].click()
    names = {path.name for path in tmp_path.glob("small-*")}
    assert names == {f"small-conv2-0-5{tail}" for tail in (".png", "-1.png", "-2.png", ".gif")}
    assert gallery.status == "Saved as small-conv2-0-5.gif in the notebook's folder."


def test_a_button_that_cannot_save_says_why(gallery, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gallery.run()
    gone.chmod(0o500)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    gallery._buttons["save"].click()
    assert "cannot be written: Read-only file system" in gallery.status and gallery.state == "done"


def test_a_name_from_a_model_cannot_leave_the_folder(build, opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = Network(build(first="..conv"), name="../../etc")
    gallery = opened(FilterGallery(net, "..conv", [0], 16, 1))
    gallery.run()
    gallery._buttons["save"].click()
    [path] = tmp_path.glob("*.png")
    assert path.name == "etc-..conv-0-0.png"


def test_a_saved_picture_is_a_picture_of_any_network(opened, tmp_path):
    model = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Conv2D(2, 3, name="conv")], name="grey")
    gallery = opened(FilterGallery(model, "conv", steps=2))
    gallery.run()
    assert read(gallery.save(tmp_path / "grey.png")).shape == (12, 26, 3)
    assert PIL.Image.open(io.BytesIO(gallery.save(tmp_path / "grey.gif").read_bytes())).n_frames == 2
