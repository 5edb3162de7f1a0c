"""A part of the picture that is explained: dragged or typed, on networks that predict a class at each position."""

import io

import numpy as np
import PIL.Image
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.regions import Region
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from tests.tiny_networks import seeded

L = keras.layers
NAMES = ("sky", "road", "tree")
PICTURE = np.random.default_rng(3).random((16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def segmentation():
    """Three classes at each of 16 x 16 positions."""
    picture = keras.Input((16, 16, 3), name="picture")
    x = L.Conv2D(6, 3, padding="same", activation="relu", name="conv")(picture)
    model = keras.Model(picture, L.Conv2D(3, 1, activation="softmax", name="scores")(x), name="segmentation")
    return Network(seeded(model, 4), "unit", NAMES)


@pytest.fixture
def panel(segmentation, opened):
    """A panel whose map is there."""
    panel = opened(cw.HeatmapPanel(segmentation, PICTURE, target="road"))
    panel.run()
    return panel


@pytest.fixture
def settled(waiting):
    """`settled(panel)` waits until nothing is computed any more."""
    return lambda panel: waiting(lambda: panel.state not in ("running", "paused"))


def event(kind, x, y):
    """An event of the page at (x, y), shares of the picture."""
    return {
        "type": kind,
        "relativeX": 200 * x,
        "relativeY": 100 * y,
        "boundingRectWidth": 200,
        "boundingRectHeight": 100,
    }


def point(panel, kind, x, y):
    """The page tells of the pointer, where it is on the photograph: the caption's band lies under it."""
    height = panel._shown_tiles._cell[0]
    down = y * height / (height + 24)
    events = panel.screen._events if kind == "click" else panel.screen._dragging
    events._dom_handlers(event(kind, x, down))


def drag(panel, start, end):
    point(panel, "mousedown", *start)
    point(panel, "mousemove", *end)
    assert "cnnw-drag" in panel.screen._drawn.value or start == end
    point(panel, "mouseup", *end)
    point(panel, "click", *end)


def group(panel):
    return panel.side._explaining.layout.display


def shown(panel):
    return np.asarray(PIL.Image.open(io.BytesIO(panel.screen.data))).astype(int)


def test_a_rectangle_that_is_dragged_is_explained(panel, segmentation, settled):
    whole = shown(panel)
    drag(panel, (0.76, 0.7), (0.26, 0.2))
    settled(panel)
    assert panel.target.box == (3, 4, 12, 13) and panel.target.target == "road"
    target = cw.targets.region("road", (3, 4, 12, 13))
    (heat,) = cw.class_activation_map(segmentation, PICTURE, target=target)
    assert np.array_equal(panel.result[0].map, heat.map) and panel.hidden is None
    assert "road in the region" in panel.status and panel.explained.box == (3, 4, 12, 13)
    assert panel.screen._drawn.value == "" and not np.array_equal(shown(panel), whole)


def test_the_numbers_and_the_buttons_do_what_dragging_does(panel, settled):
    for name, value in zip(("top", "left", "bottom", "right"), (0, 2, 5, 16), strict=True):
        panel.explained.edges[name].value = value
    panel.explained.explain.click()
    settled(panel)
    assert panel.target.box == (0, 2, 5, 16) and not panel.explained.whole.disabled
    panel.explained.whole.click()
    settled(panel)
    assert panel.target == "road" and panel.explained.whole.disabled and panel.explained.box == (0, 0, 16, 16)


def test_another_class_is_explained_in_the_same_region(panel, settled):
    panel.target = cw.targets.region("road", (0, 0, 8, 8))
    settled(panel)
    panel.controls.classes._list.value = 2
    settled(panel)
    assert panel.target.box == (0, 0, 8, 8) and panel.target.target == 2


def test_a_drag_that_leaves_the_picture_ends_at_its_edge(panel, settled):
    drag(panel, (0.52, 0.52), (0.999, 1.04))
    settled(panel)
    assert panel.target.box == (8, 8, 16, 16)


def test_a_click_still_hides_a_region(panel, settled):
    drag(panel, (0.5, 0.5), (0.5, 0.5))
    panel.region._request.wait()
    assert panel.target == "road" and panel.hidden is not None


@pytest.mark.parametrize("box", [(5, 5, 5, 8), (9, 0, 3, 4)])
def test_an_empty_region_is_refused_in_the_status(panel, box):
    for name, value in zip(("top", "left", "bottom", "right"), box, strict=True):
        panel.explained.edges[name].value = value
    panel.explained.explain.click()
    assert panel.target == "road" and "empty" in panel.status


def test_a_region_outside_the_picture_is_refused(panel, segmentation):
    outside = cw.targets.region("road", (0, 0, 99, 4))
    with pytest.raises(BadTarget, match="16 x 16"):
        panel.target = outside
    assert panel.target == "road"
    with pytest.raises(BadTarget, match="16 x 16"):
        cw.HeatmapPanel(segmentation, PICTURE, target=outside)


def test_the_region_is_in_the_code_and_in_the_recipe(panel, segmentation, settled, tmp_path):
    panel.target = cw.targets.region("road", (2, 3, 12, 14))
    settled(panel)
    names = {"net": segmentation, "picture": PICTURE}
    exec(panel.snippet(), names)
    assert np.array_equal(names["heat"][0].map, panel.result[0].map)
    path = panel.save(tmp_path / "heat.png")
    assert cw.rerun(path, segmentation, PICTURE) == path.read_bytes()


def test_on_other_networks_there_is_no_such_control(net, opened):
    panel = opened(cw.HeatmapPanel(net, np.random.default_rng(0).random((24, 32, 3), dtype=np.float32)))
    panel.run()
    assert group(panel) == "none"
    drag(panel, (0.1, 0.1), (0.6, 0.6))
    assert panel.target is None


def test_on_a_segmentation_there_is_one(panel):
    assert group(panel) == ""


def test_in_an_explorer_the_class_of_a_region_is_shared(segmentation, opened):
    explorer = opened(cw.Explorer(segmentation, PICTURE))
    explorer.tab = "Where it looks"
    explorer.panel.target = cw.targets.region("tree", (0, 0, 8, 8))
    assert explorer.target == 2 and isinstance(explorer.panel.target, Region)
