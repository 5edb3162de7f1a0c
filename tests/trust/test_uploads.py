"""What a stranger hands to an Explorer: files through the page, and paths."""

import datetime
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets.jobs import worker
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import to_png
from tests.trust.conftest import PANELS


@pytest.fixture
def explorer(net, photo, opened):
    return opened(cw.Explorer(net, photo))


def upload(explorer, *contents, name="<img src=x onerror=alert(1)>.png"):
    control = explorer._photographs._upload
    when = datetime.datetime.now(datetime.UTC)
    control.value = tuple(
        {"name": name, "type": "image/png", "size": len(data), "content": memoryview(data), "last_modified": when}
        for data in contents
    )
    return control


def said(explorer):
    return explorer._photographs._line.value


def bomb():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 13_000, 13_000, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1626 * 13_000))) + chunk(b"IEND", b"")


def test_the_limit_is_said_before_anything_is_uploaded(explorer):
    assert "max 8 MB" in explorer._photographs._upload.description


def test_an_upload_is_opened_and_its_bytes_are_not_kept(explorer):
    mine = np.full((20, 30, 3), 200, np.uint8)
    control = upload(explorer, to_png(mine))
    assert control.value == () and np.allclose(explorer.picture, mine / 255, atol=1e-6)
    assert "30 × 20" in said(explorer) and "onerror" not in said(explorer)


HOSTILE = {
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "SVG"),
    "HTML": (b"<!doctype html><script>alert(1)</script>", "HTML"),
    "PDF": (b"%PDF-1.7", "PDF"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "HEIC"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    "text": (b"hello", "hello"),
    "nothing": (b"", "0 bytes"),
    "half a picture": (to_png(np.zeros((64, 64, 3), np.uint8))[:60], "damaged"),
    "a bomb": (bomb(), "too large"),
    "nine megabytes": (bytes(9_000_000), "at most 8 MB"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_upload_is_refused_in_words_and_the_picture_stays(explorer, what):
    data, words = HOSTILE[what]
    before, held = explorer.picture, explorer.held
    control = upload(explorer, data)
    assert words in said(explorer) and "<script" not in said(explorer) and "<svg" not in said(explorer)
    assert control.value == () and explorer.picture is before and explorer.held is held


def test_of_many_files_one_is_opened(explorer):
    pictures = [to_png(np.full((20, 20, 3), level, np.uint8)) for level in range(20)]
    explorer._photographs._upload.multiple = True  # whatever the page says
    assert upload(explorer, *pictures).value == () and explorer.picture.max() == 0


def animation(kind):
    out, frames = io.BytesIO(), [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_opened_and_that_is_said(explorer, kind, tmp_path):
    upload(explorer, animation(kind))
    assert explorer.picture.shape == (30, 40, 3) and explorer.picture[0, 0].argmax() == 0
    assert "40 × 30 pixels. Animated: this is its first frame." in said(explorer)
    upload(explorer, to_png(np.zeros((20, 20, 3), np.uint8)))
    assert "Animated" not in said(explorer)
    (tmp_path / "moving").write_bytes(animation(kind))
    explorer._photographs._path.value = str(tmp_path / "moving")
    assert "Animated: this is its first frame." in said(explorer)


@pytest.mark.parametrize(
    "panel", ["FeatureMapPanel", "HeatmapPanel", "UnitAttributionPanel", "DeepDreamPanel", "AdversarialPanel"]
)
def test_every_panel_says_that_it_shows_the_first_frame_of_an_animation(net, opened, panel):
    panel = opened(PANELS[panel](net, animation("GIF")))
    assert panel.status.startswith("Animated: this is its first frame.")
    panel.run()
    assert panel.state == "done" and panel.status.startswith("Animated: this is its first frame. ")
    panel.picture = np.zeros((16, 16, 3), np.uint8)
    panel.run()
    assert "Animated" not in panel.status


def twelve_bits():
    out = io.BytesIO()
    Image.fromarray(np.linspace(0, 4095, 400).astype(np.uint16).reshape(20, 20)).save(out, "PNG")
    return out.getvalue()


def test_a_dark_picture_says_so_in_the_menu_the_panel_and_the_heatmap(explorer, net, opened):
    upload(explorer, twelve_bits())
    assert "Dark: its brightest value is 6.2 % of the range, as when 12-bit numbers" in said(explorer)
    levels = np.full((20, 20), 4095, np.uint16)
    panel = opened(cw.HeatmapPanel(net, levels))
    assert panel.status.startswith("Dark: ") and panel.status.count("ark: ") == 1
    for heat in (cw.attribution(net, twelve_bits(), method="gradient")[0], cw.class_activation_map(net, levels)[0]):
        assert "dark: its brightest value is 6.2 %" in heat.note


def test_an_explorer_that_is_opened_on_an_animation_says_so(net, opened):
    explorer = opened(cw.Explorer(net, animation("GIF")))
    assert "Animated: this is its first frame." in said(explorer)
    explorer.tab = "Where it looks"
    assert explorer.panel.status.startswith("Animated: ")


def test_where_files_are_not_allowed_no_path_is_opened(net, photo, opened, tmp_path):
    (tmp_path / "secret.png").write_bytes(to_png(np.zeros((16, 16, 3), np.uint8)))
    explorer = opened(cw.Explorer(net, photo, files=False))
    before = explorer.picture
    explorer._photographs._path.value = str(tmp_path / "secret.png")
    explorer._networks._path.value = str(tmp_path / "secret.keras")
    assert explorer.picture is before and explorer.net is net and worker().jobs == ()
    assert "secret" not in said(explorer) + explorer._networks._line.value


def test_a_model_file_is_opened_and_a_hostile_one_refused(net, build, photo, opened, waiting, tmp_path):
    explorer = opened(cw.Explorer(net, photo))
    build(name="mine").save(tmp_path / "mine.keras")
    code = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Lambda(lambda x: x), keras.layers.Conv2D(2, 3)])
    code.save(tmp_path / "code.keras")
    for name, words in (("code.keras", "Python code"), ("missing.keras", "There is no file"), ("a.pt", "There is no")):
        explorer._networks._path.value = str(tmp_path / name)
        waiting(lambda words=words: words in explorer._networks._line.value)
        assert explorer.net is net
    explorer._networks._path.value = str(tmp_path / "mine.keras")
    waiting(lambda: explorer.net is not net)
    assert isinstance(explorer.net, Network) and explorer.net.name == "mine"
