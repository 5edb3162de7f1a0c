"""Files are whole or not there, and their names are safe."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.pictures import free_path, slug, write_file


def test_a_file_is_written_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert write_file(path, b"first") == path
    assert write_file(str(path), b"second") == path
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    path = write_file(tmp_path / "a.png", b"data")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path / "a.png", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", fail) if call == "fsync" else (Path, "replace", fail)))
    with pytest.raises(BadTarget, match="No space left on device"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path / "a.png", b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("name", ["missing/a.png", "a\0b.png", ".", "x" * 300, "folder"])
def test_a_place_that_cannot_be_written_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    with pytest.raises(BadTarget, match="cannot be written: .* Choose a folder"):
        write_file(tmp_path / name, b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


HOSTILE = [
    "../x", "/etc/x", "a/b", "..", ".", "", "CON", "con.txt", "nul", "LPT1", "aux.png", "\0", "a\0b", "x" * 300,
    "<img src=x onerror=alert(1)>", "\u202eexe.png", "🙂", "...hidden", ".bashrc", "-rf", "C:\\temp", "a:b", "name.",
    "name ", "x" * 63 + "..", "CON." + "x" * 300, "\\\\server\\share", "a\nb", "~", "$HOME", "%TEMP%", None, 12,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_every_slug_is_a_safe_name(name: object, tmp_path: Path) -> None:
    safe = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", safe)
    assert not safe.startswith((".", "-"))
    assert not safe.endswith(".")
    assert safe.split(".")[0].upper() not in {"CON", "NUL", "AUX", "PRN", "LPT1", "COM1"}
    path = free_path(tmp_path, name, ".png")
    write_file(path, b"")
    assert path.resolve().parent == tmp_path.resolve()


@pytest.mark.parametrize("name", ["fire5_concat", "block7-dw", "v1.0", "A", "COM10", "console"])
def test_a_safe_name_is_its_own_slug(name: str) -> None:
    assert slug(name) == name


def test_slug_keeps_what_can_be_read() -> None:
    assert slug("backbone/conv 5") == "backbone-conv-5"


def test_a_free_path_never_overwrites(tmp_path: Path) -> None:
    names = []
    for _ in range(4):
        path = free_path(tmp_path, "fire5", ".png")
        names.append(path.name)
        path.touch()
    assert names == ["fire5.png", "fire5-1.png", "fire5-2.png", "fire5-3.png"]
    assert free_path(tmp_path, "fire5", ".gif").name == "fire5.gif"


def test_a_link_to_nowhere_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "fire5.png").symlink_to(tmp_path / "outside" / "target")
    assert free_path(tmp_path, "fire5", ".png").name == "fire5-1.png"


@pytest.mark.parametrize("suffix", ["png", "", ".", "./../x", ".p/g", ".PNG\n"])
def test_an_odd_suffix_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(BadTarget, match="suffix"):
        free_path(tmp_path, "a", suffix)
