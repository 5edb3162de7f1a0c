"""The pictures of a folder, or of a list."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.errors import BadPicture
from cnnwidgets.pictures.reading.folders import many_pictures


def test_files_of_a_folder_and_its_subfolders_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in ("b.png", "a/z.jpg", ".DS_Store", ".git/x.png", "a/.y.png"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    found = many_pictures(str(tmp_path))
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a/z.jpg", "b.png"]
    assert many_pictures(tmp_path) == found


@pytest.mark.parametrize("given", [["a.png", "b.png"], ("a.png",), np.zeros((2, 4, 5, 3))])
def test_lists_and_arrays_stay_as_they_are(given):
    assert many_pictures(given) is given


def test_a_generator_is_a_list():
    assert many_pictures(name for name in ("a.png", "b.png")) == ["a.png", "b.png"]


@pytest.mark.parametrize("given", ["", "no/such/folder", "nul\0name", 3, None, b"x", {"a": 1}, np.zeros((4, 5, 3)), []])
def test_anything_else_is_refused(given):
    with pytest.raises(BadPicture):
        many_pictures(given)
