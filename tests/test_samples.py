"""Sample photographs: there, readable, and never downloaded."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.samples import PHOTOGRAPHS, sample, sample_names


def test_every_photograph_is_there_and_varied() -> None:
    assert sample_names() == tuple(PHOTOGRAPHS)
    for name in sample_names():
        picture = sample(name)
        assert picture.dtype == np.float32
        assert min(picture.shape[:2]) >= 224
        assert picture.shape[2] == 3
        assert 0 <= picture.min() < picture.max() <= 1
        assert picture.std() > 0.04


def test_chelsea_is_the_cat_that_she_is_in_scikit_image() -> None:
    from skimage import data

    np.testing.assert_array_equal(np.rint(sample("chelsea") * 255).astype(np.uint8), data.chelsea())


def test_without_scikit_image_there_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert sample_names() == ("grace_hopper",)
    assert sample("grace_hopper").shape == (600, 512, 3)
    with pytest.raises(BadTarget, match="'chelsea'; it comes with scikit-image. .*grace_hopper"):
        sample("chelsea")


def test_a_package_without_its_file_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHOTOGRAPHS, "coffee", ("skimage", "data/gone.png"))
    assert "coffee" not in sample_names()
    with pytest.raises(BadTarget, match="'coffee'"):
        sample("coffee")


def test_without_either_package_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert sample_names() == ()
    with pytest.raises(BadTarget, match="it comes with matplotlib. There are none"):
        sample("grace_hopper")


@pytest.mark.parametrize("name", ["chelsee", "../chelsea", "", None, 3, ["chelsea"]])
def test_an_unknown_name_is_refused_with_those_there_are(name: object) -> None:
    with pytest.raises(BadTarget, match="chelsea, coffee, .*, retina"):
        sample(name)


def test_nothing_is_downloaded_and_nothing_heavy_imported() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket = refuse\n"
        "from cnnwidgets import samples\n"
        "[samples.sample(n) for n in samples.sample_names()]\n"
        "heavy = {'skimage', 'matplotlib', 'tensorflow', 'pooch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
