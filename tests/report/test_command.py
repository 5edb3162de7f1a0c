"""The command line for explanations: a folder, or one sentence and exit code 2."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from cnnwidgets import command_line, pictures, terminal
from tests.tiny_networks import MODELS, seeded

SHORT = ["--methods", "grad_cam", "--units", "1", "--steps", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two models and two pictures, in which commands are run."""
    monkeypatch.chdir(tmp_path)
    for name in ("plain", "siamese"):
        seeded(MODELS[name]()).save(f"{name}.keras")
    for number, name in enumerate(("cat.jpg", "dog.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(name)
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n7\neel\n\n", encoding="utf-8-sig")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.docx").write_text("mine")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    return tmp_path


def explain(*words):
    return command_line.main(["explain", *words])


def test_a_file_and_a_picture_become_a_folder(here, capfd):
    assert explain("plain.keras", "cat.jpg", "why", *SHORT, "--classes", "names.txt", "--target", "bee") == 0
    said = capfd.readouterr()
    assert said.out == "why/report.html\n".replace("/", "\\" if sys.platform == "win32" else "/")
    assert said.err == "", "there is no bar where there is no terminal"
    manifest = json.loads((here / "why" / "manifest.json").read_text())
    assert manifest["explained"]["about"] == "'bee'"
    assert {"report.html", "picture.png", "heatmap-grad_cam.png"} <= set(manifest["files"])


def test_a_number_that_is_the_name_of_a_class_is_a_name(here):
    words = ["plain.keras", "cat.jpg", "why", "--methods", "gradient", "--units", "0", "--classes", "names.txt"]
    assert explain(*words, "--target", "7") == 0
    assert json.loads((here / "why" / "manifest.json").read_text())["explained"]["target"] == 3


def test_a_model_of_two_pictures_takes_two(here):
    words = ["siamese.keras", "cat.jpg", "dog.png", "why", *SHORT]
    assert explain(*words, "--output", "0", "--against", "0", "--target", "1") == 0
    manifest = json.loads((here / "why" / "manifest.json").read_text())
    assert [one["input"] for one in manifest["heatmaps"][0]["maps"]] == ["left", "right"]
    assert manifest["recipe"]["settings"]["against"] == [0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["squeezenot", "cat.jpg", "why"], "no network 'squeezenot'"),
        (["gone.keras", "cat.jpg", "why"], "no file 'gone.keras'"),
        (["cat.jpg", "cat.jpg", "why"], "cat.jpg"),
        (["plain.keras", "gone.jpg", "why"], "gone.jpg"),
        (["plain.keras", "names.txt", "why"], "names.txt"),
        (["plain.keras", "cat.jpg", "full"], "thesis.docx"),
        (["plain.keras", "cat.jpg", "names.txt"], "is a file"),
        (["plain.keras", "cat.jpg", "dog.png", "why"], "got list"),
        (["siamese.keras", "cat.jpg", "why"], "right"),
        (["plain.keras", "cat.jpg", "why", "--target", "99"], "99"),
        (["plain.keras", "cat.jpg", "why", "--methods", "gradcam"], "grad_cam"),
        (["plain.keras", "cat.jpg", "why", "--units", "-1"], "units must be"),
        (["plain.keras", "cat.jpg", "why", "--classes", "gone.txt"], "gone.txt"),
        (["plain.keras", "cat.jpg", "why", "--classes", "binary.txt"], "UTF-8"),
        (["plain.keras", "cat.jpg", "why", "--preprocess", "coffee"], "coffee"),
    ],
)
def test_an_error_is_one_sentence_and_the_exit_code_two(here, capfd, words, message):
    assert explain(*words) == 2
    said = capfd.readouterr().err
    assert message in said and "Traceback" not in said and len(said.strip().splitlines()) == 1
    assert not (here / "why").exists() and [file.name for file in (here / "full").iterdir()] == ["thesis.docx"]


USAGE = [[], ["explain"], ["explain", "plain.keras", "cat.jpg"], ["explain", "a", "b", "c", "--units", "x"]]


@pytest.mark.parametrize("words", USAGE)
def test_missing_words_are_explained_by_the_usage(words, capfd):
    with pytest.raises(SystemExit, match="2"):
        command_line.main(words)
    assert "usage: python -m cnnwidgets" in capfd.readouterr().err


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(here, monkeypatch):
    class Terminal:
        said = ""

        def write(self, text):
            self.said += text

        def flush(self):
            pass

        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(terminal.sys, "stderr", screen)
    assert explain("plain.keras", "cat.jpg", "why", "--methods", "gradient", "--units", "0") == 0
    lines = screen.said.split("\r")
    assert any(line.startswith("[") and "%  " in line for line in lines) and "heatmaps by Gradient" in screen.said
    assert max(map(len, lines)) <= 79 and lines[-2].strip() == lines[-1] == "" and "\n" not in screen.said


def test_ctrl_c_is_a_sentence_and_no_manifest(here, monkeypatch, capfd):
    def interrupted(path, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "write_file", interrupted)
    assert explain("plain.keras", "cat.jpg", "why", "--methods", "gradient", "--units", "0") == 130
    said = capfd.readouterr().err
    assert said.strip() == "Stopped. A folder without manifest.json is not finished."
    assert not (here / "why" / "manifest.json").exists()
