"""The folder of an explanation: complete or known to be unfinished, and nobody else's files are touched."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.model.backend import keras
from cnnwidgets.report import folder as folder_
from cnnwidgets.report.html import page_of
from tests.tiny_networks import seeded

L = keras.layers
EVIL = "<script>alert(1)</script>'\"&{{style}}"


@pytest.fixture(scope="module")
def explained():
    picture = keras.Input((16, 16, 3), name="picture")
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(picture))
    model = seeded(keras.Model(picture, L.Dense(3, name="logits")(x)))
    net = cw.Network(model, class_names=[EVIL, "b\x1b[31m", "value 3"], name=EVIL)
    shot = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    return cw.explain(net, shot, EVIL, methods="grad_cam", units=1, steps=1)


def test_a_class_that_is_hardly_predicted_is_not_said_to_have_none(explained):
    lines = {explained.output: tuple(line._replace(probability=0.0004) for line in explained.outputs[explained.output])}
    page = page_of(replace(explained, outputs=lines), {})
    assert page.count("&lt; 0.1%") == 3 and "0.0%" not in page


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_manifest_lists_every_file_and_is_written_last(explained, tmp_path, monkeypatch):
    written = []
    keep = pictures.write_file
    monkeypatch.setattr(pictures, "write_file", lambda path, data: (written.append(path.name), keep(path, data))[1])
    page = explained.save(tmp_path / "new" / "why")
    assert page == tmp_path / "new" / "why" / "report.html" and written[-1] == "manifest.json"
    manifest = json.loads((page.parent / "manifest.json").read_text())
    found = contents(page.parent)
    assert set(manifest["files"]) == set(found) - {"manifest.json"}
    for name, known in manifest["files"].items():
        assert known == {"bytes": len(found[name]), "sha256": hashlib.sha256(found[name]).hexdigest()}
    assert manifest["explained"]["about"] == repr(EVIL) and manifest["recipe"]["fingerprint"]
    assert manifest["heatmaps"][0]["maps"][0]["deletion"]["area"] == explained.heatmaps[0].curves[0]["deletion"].area


def test_a_second_one_replaces_the_first_and_leaves_other_files(explained, tmp_path):
    explained.save(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    explained.save(tmp_path)
    assert contents(tmp_path) == {**before, "notes.txt": b"mine"}


def test_a_write_that_broke_leaves_no_manifest_and_can_be_repeated(explained, tmp_path, monkeypatch):
    explained.save(tmp_path)
    complete = contents(tmp_path)
    for number in range(1, len(complete) + 1):
        left, keep = [number], pictures.write_file

        def broken(path, data, left=left, keep=keep):
            left[0] -= 1
            if not left[0]:
                raise cw.BadTarget("the disk is full")
            return keep(path, data)

        with monkeypatch.context() as patch:
            patch.setattr(pictures, "write_file", broken)
            with pytest.raises(cw.BadTarget, match="full"):
                explained.save(tmp_path)
        assert "manifest.json" not in contents(tmp_path), number
    (tmp_path / ".0123456789abcdef.tmp").write_bytes(b"half")
    explained.save(tmp_path)
    assert contents(tmp_path) == complete


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("thesis.docx", b"years of work"),
        ("report.html", b"<html>another report</html>"),
        ("manifest.json", b'{"files": {"report.html": {}}}'),
        ("manifest.json", b"[" * 100_000),
        ("picture.png", b"not ours"),
    ],
)
def test_a_folder_with_other_contents_is_refused(explained, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    for refuse in (explained.save, folder_.check_folder):
        with pytest.raises(cw.BadTarget, match="nothing in this one was changed"):
            refuse(tmp_path)
    assert contents(tmp_path) == {name: data}


def test_a_picture_of_the_user_in_the_folder_is_not_replaced(explained, tmp_path):
    explained.save(tmp_path)
    listed = json.loads((tmp_path / "manifest.json").read_text())
    del listed["files"]["picture.png"]
    (tmp_path / "manifest.json").write_text(json.dumps(listed))
    before = contents(tmp_path)
    with pytest.raises(cw.BadTarget, match="picture.png"):
        explained.save(tmp_path)
    assert contents(tmp_path) == before


def test_a_manifest_names_no_files_outside_or_of_other_kinds(explained, tmp_path):
    explained.save(tmp_path / "why")
    listed = json.loads((tmp_path / "why" / "manifest.json").read_text())
    listed["files"] |= {"../precious.png": {}, "thesis.docx": {}}
    (tmp_path / "why" / "manifest.json").write_text(json.dumps(listed))
    (tmp_path / "precious.png").write_bytes(b"1")
    (tmp_path / "why" / "thesis.docx").write_bytes(b"2")
    explained.save(tmp_path / "why")
    assert (tmp_path / "precious.png").exists() and (tmp_path / "why" / "thesis.docx").exists()


@pytest.mark.parametrize("wrong", ["", None, 3, "a\0b", "file", "file/below"])
def test_a_path_that_is_no_folder_is_refused(explained, tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(cw.BadTarget):
        explained.save(wrong)
    assert contents(tmp_path) == {"file": b"mine"}


def test_the_page_needs_nothing_else_and_names_are_no_markup(explained, tmp_path):
    page = explained.save(tmp_path / "why").read_text(encoding="utf-8")
    assert "default-src 'none'" in page and "<script" not in page and "\x1b" not in page
    assert page.count("<meter ") == 3, "a class may be called like a number"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "{{style}}" in page
    assert "http:" not in page and "https:" not in page and " src=" in page and " src='data:image/" in page
    assert page.count("<img") == page.count("alt='") == page.count("src='data:image/")
