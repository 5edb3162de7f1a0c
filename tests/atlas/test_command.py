"""The command line: progress, a clean stop, and errors in one sentence."""

import os
import signal
import subprocess
import sys

import pytest

import cnnwidgets as cw
from cnnwidgets import command_line
from tests.panels.conftest import small

COMMAND = [sys.executable, "-m", "cnnwidgets", "atlas"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.keras"
    small().save(path)
    return path


def test_a_file_becomes_an_atlas_and_a_page(file, tmp_path, same, capfd):
    where, page = tmp_path / "a.zarr", tmp_path / "a.html"
    words = [str(file), str(where), "--size", "16", "--steps", "4", "--html", str(page)]
    assert command_line.main(["atlas", *words]) == 0
    same(cw.open_atlas(where))
    said = capfd.readouterr().err
    assert "26 of 26 pictures" in said and "left" in said and "a.html is" in said
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_every_setting_reaches_the_atlas(file, tmp_path, capfd):
    words = ["--layers", "conv1", "--size", "24", "--steps", "2", "--recipe", "textbook", "--seed", "3"]
    assert command_line.main(["atlas", str(file), str(tmp_path / "a"), *words, "--preprocess", "tf"]) == 0
    atlas = cw.open_atlas(tmp_path / "a")
    assert atlas.layers == ("conv1",)
    settings = atlas.settings
    assert (settings.size, settings.steps, settings.recipe, settings.seed) == ((24, 24), 2, "textbook", 3)
    assert atlas.fingerprint == cw.Network.from_file(file, "tf").fingerprint()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["squeezenot", "a"], "no network 'squeezenot'"),
        (["gone.keras", "a"], "no file 'gone.keras'"),
        (["FILE", "a", "--layers", "nope"], "no layer 'nope'"),
        (["FILE", "a", "--steps", "0"], "got 0"),
        (["FILE", "a", "--recipe", "cake"], "cake"),
        (["FILE", "FILE"], "not an atlas"),
    ],
)
def test_an_error_is_one_sentence_and_the_exit_code_two(file, tmp_path, monkeypatch, capfd, words, message):
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["atlas", *(str(file) if word == "FILE" else word for word in words)]) == 2
    said = capfd.readouterr().err
    assert message in said and "Traceback" not in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "a").exists()


@pytest.fixture
def interruptible():
    """Programs started here hear Ctrl-C, also where the tests run as a shell's background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_says_that_the_same_command_goes_on(file, tmp_path, same, interruptible):
    words = [*COMMAND, str(file), str(tmp_path / "a"), "--size", "16", "--steps", "4", "--workers", "1"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        said = ""
        while "6 of 26" not in said:
            letter = process.stderr.read(1)
            assert letter, said
            said += letter
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers hear it too
        said += process.stderr.read()
    assert process.returncode == 130
    last = said.replace("\r", "\n").strip().splitlines()[-1]
    assert last == "Stopped. Finished pictures are kept: the same command continues where it stopped.", said
    assert "Traceback" not in said
    there = cw.open_atlas(tmp_path / "a")
    assert sum(len(there.units(path)) for path in there.layers) >= 6
    assert command_line.main(["atlas", *words[4:-2]]) == 0
    same(cw.open_atlas(tmp_path / "a"))
