"""Color maps, painted maps and overlays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.pictures import COLORMAPS, color_maps, colormap, load_picture, overlay, paint, tile_maps
from cnnwidgets.pictures.grid import GAP

RNG = np.random.default_rng(0)


def brightness(colors: np.ndarray) -> np.ndarray:
    return colors @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", COLORMAPS)
def test_a_color_map_is_a_read_only_table(name: str) -> None:
    table = colormap(name)
    assert table.shape == (256, 3)
    assert table.dtype == np.float32
    assert 0 <= table.min() < table.max() <= 1
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


@pytest.mark.parametrize("name", ["viridis", "cividis", "magma", "inferno", "gray"])
def test_sequential_color_maps_only_get_brighter(name: str) -> None:
    assert (np.diff(brightness(colormap(name))) > -2e-3).all()


def test_the_diverging_color_map_is_blue_white_red() -> None:
    blue, white, red = colormap("RdBu_r")[[0, 128, 255]]
    assert blue[2] > 2 * blue[0]
    assert red[0] > 2 * red[2]
    assert white.min() > 0.9


def test_an_unknown_color_map_is_named_with_those_there_are() -> None:
    with pytest.raises(BadTarget, match="no color map 'viridi'. Choose one of: viridis"):
        colormap("viridi")
    with pytest.raises(BadTarget, match="'jet'"):
        overlay(np.zeros((2, 2)), np.ones((2, 2)), colormap="jet")


def test_paint_uses_the_whole_table() -> None:
    heat = np.linspace(0, 8, 256).reshape(16, 16)
    np.testing.assert_array_equal(paint(heat).reshape(256, 3), colormap("viridis"))
    np.testing.assert_array_equal(paint(-heat), np.broadcast_to(colormap("viridis")[0], (16, 16, 3)))


def test_signed_maps_are_white_at_zero_whatever_their_balance() -> None:
    painted = paint(np.array([[-1.0, 0.0, 4.0]]), "RdBu_r")[0]
    np.testing.assert_array_equal(painted[2], colormap("RdBu_r")[255])
    np.testing.assert_array_equal(painted[0], colormap("RdBu_r")[96])
    assert painted[1].min() > 0.9


def test_overlay_follows_its_formula() -> None:
    picture = RNG.random((6, 8, 3)).astype(np.float32)
    heat = RNG.random((6, 8)).astype(np.float32)
    share = heat / heat.max()
    alpha = 0.7 * share[..., None] ** 0.6
    expected = picture * (1 - alpha) + colormap("viridis")[np.rint(share * 255).astype(int)] * alpha
    np.testing.assert_allclose(overlay(picture, heat), expected, atol=1e-6)


@pytest.mark.parametrize("heat", [np.zeros((3, 3)), np.full((3, 3), -1.0)])
def test_where_there_is_no_heat_the_picture_stays(heat: np.ndarray) -> None:
    picture = RNG.random((9, 9, 3)).astype(np.float32)
    np.testing.assert_array_equal(overlay(picture, heat), picture)
    assert np.isfinite(paint(heat)).all()


def test_negative_evidence_shows_in_a_diverging_overlay() -> None:
    over = overlay(np.full((2, 2, 3), 0.5), np.array([[-1.0, 0.0], [0.0, 1.0]]), "RdBu_r")
    assert over[0, 0, 2] > over[0, 0, 0]
    assert over[1, 1, 0] > over[1, 1, 2]
    np.testing.assert_allclose(over[0, 1], 0.5, atol=1e-6)


def test_overlay_stretches_the_map_smoothly() -> None:
    heat = np.array([[0.0, 1.0]])
    over = overlay(np.zeros((4, 64)), heat, "gray")[..., 0]
    assert over.shape == (4, 64)
    assert (np.diff(over[0]) >= 0).all()
    assert np.diff(over[0]).max() < 0.1  # no block edge
    assert len(np.unique(over[0])) > 20


def test_overlay_takes_any_picture_and_any_opacity() -> None:
    picture = (RNG.random((5, 5, 3)) * 255).astype(np.uint8)
    heat = np.ones((1, 1))
    np.testing.assert_array_equal(overlay(picture, heat, opacity=0), load_picture(picture))
    yellow = np.broadcast_to(colormap("viridis")[255], (5, 5, 3))
    np.testing.assert_allclose(overlay(picture, heat, opacity=1), yellow, atol=1e-6)


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_an_impossible_opacity_is_refused(opacity: float) -> None:
    with pytest.raises(BadTarget, match="opacity"):
        overlay(np.zeros((2, 2)), np.ones((2, 2)), opacity=opacity)


@pytest.mark.parametrize("heat", [np.zeros((2, 2, 1)), np.zeros((0, 3)), np.array([[np.nan]]), np.array([[np.inf]])])
def test_what_is_no_map_is_refused(heat: np.ndarray) -> None:
    for show in (paint, lambda h: overlay(np.zeros((2, 2)), h)):
        with pytest.raises(BadPicture, match="cannot be shown"):
            show(heat)


def test_pictures_import_neither_tensorflow_nor_matplotlib_and_colors_no_pyplot() -> None:
    code = (
        "import sys; import cnnwidgets.pictures as p, cnnwidgets.samples, cnnwidgets.provenance.recipe\n"
        "heavy = {'tensorflow', 'keras', 'ipywidgets', 'matplotlib', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "p.colormap('magma'); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


#


def test_a_map_is_shown_in_viridis():
    levels = np.array([[0, 128, 255]], np.uint8)
    expected = np.rint(255 * colormap("viridis")[[0, 128, 255]])
    assert color_maps(levels)[0].tolist() == expected.astype(int).tolist()


def test_a_small_map_keeps_its_cells():
    one = np.array([[0, 255], [255, 0]], np.uint8)
    tile = tile_maps(one[None], 1)
    assert tile.shape == (64, 64, 3) and (tile[:32, :32] == tile[0, 0]).all() and (tile[:32, 32:] == tile[0, 63]).all()


def test_a_large_map_is_averaged():
    stripes = np.tile(np.array([0, 255], np.uint8), (128, 64))
    inside = tile_maps(stripes[None], 1)[:, 2:-2].astype(int)  # at the border the average is another one
    assert np.ptp(inside, axis=(0, 1)).max() < 12


@pytest.mark.parametrize(("shape", "high"), [((8, 8), 64), ((4, 8), 32), ((1, 100), 16), ((100, 1), 128)])
def test_a_tile_has_the_form_of_its_map_within_bounds(shape, high):
    assert tile_maps(np.zeros((1, *shape), np.uint8), 1).shape == (high, 64, 3)


def test_maps_stand_row_by_row():
    shown = tile_maps(np.zeros((5, 8, 8), np.uint8), 4)
    assert shown.shape == (2 * 64 + GAP, 4 * 64 + 3 * GAP, 3) and (shown[-1, -1] == 255).all()
