"""The Explorer: one choice of network, picture, layer, unit and class for all its panels."""

import asyncio
import io
import time
from datetime import UTC, datetime

import numpy as np
import PIL.Image
import pytest

import cnnwidgets as cw
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.backend import keras
from cnnwidgets.panels.explorer import photographs, stage, tabs
from cnnwidgets.panels.explorer.tabs import KINDS
from cnnwidgets.samples import sample, sample_names

L = keras.layers
TITLES = [kind.title for kind in KINDS]
COSTS = tabs.FORWARD, tabs.GRADIENT, tabs.SIXTEEN_TILES
PICTURE = np.random.default_rng(0).random((24, 32, 3), dtype=np.float32)


@pytest.fixture
def explorer(net, opened):
    return opened(cw.Explorer(net, PICTURE))


@pytest.fixture(scope="module")
def two_pictures():
    """A model of two pictures with a shared encoder."""
    keras.utils.set_random_seed(1)
    picture = L.Input((16, 16, 3))
    encoder = keras.Model(picture, L.Conv2D(4, 3, activation="relu", name="conv")(picture), name="encoder")
    left, right = L.Input((16, 16, 3), name="left"), L.Input((16, 16, 3), name="right")
    pool = L.GlobalAveragePooling2D()
    return keras.Model([left, right], L.Dense(1)(pool(encoder(left)) * pool(encoder(right))), name="siamese")


def uploaded(explorer, data, name="cat.png"):
    menu = explorer._photographs
    file = {"name": name, "type": "image/png", "size": len(data), "content": data, "last_modified": datetime.now(UTC)}
    menu._upload.set_trait("value", (file,))
    return menu._line.value


def png(array):
    out = io.BytesIO()
    PIL.Image.fromarray((array * 255).astype(np.uint8)).save(out, "png")
    return out.getvalue()


def test_in_a_script_only_the_panel_in_front_is_made(explorer):
    assert list(explorer.panels) == ["Filters"] and explorer.panel.layer == explorer.layer == "conv2"
    explorer.tab = "DeepDream"
    assert list(explorer.panels) == ["Filters", "DeepDream"] and explorer.panel is explorer.panels["DeepDream"]
    explorer._stage.selected_index = 0
    assert explorer.tab == "Filters"


@pytest.mark.parametrize("title", TITLES)
def test_every_tab_runs_and_saves_and_writes_its_code(explorer, title, tmp_path):
    explorer.tab = title
    panel = explorer.panel
    if "steps" in panel.trait_names():
        panel.steps = 4
    result = explorer.run()
    assert explorer.state == panel.state == "done" and result is not None and explorer.result == result
    assert explorer.progress == 1 and explorer.frames_shown >= 1 and explorer.status == panel.status
    assert explorer.save(tmp_path / "it.png").stat().st_size > 100
    assert "cw." in explorer.snippet()


def test_state_and_result_are_those_of_the_tab_in_front(explorer):
    explorer.tab = "Feature maps"
    explorer.run()
    assert explorer.state == "done"
    explorer.tab = "DeepDream"
    assert explorer.state == "idle" and explorer.result is None
    explorer.tab = "Feature maps"
    assert explorer.state == "done" and "conv2" in explorer.result


def test_a_layer_chosen_in_the_rail_is_chosen_in_every_panel(explorer):
    explorer._choice_of_layer.list.layer = "conv1"
    assert explorer.layer == "conv1" and explorer.panel.layer == "conv1"
    for title in ("Feature maps", "Where it looks"):
        explorer.tab = title
        assert explorer.panel.layer == "conv1"


def test_a_layer_chosen_in_a_panel_is_chosen_in_the_rail_and_the_others(explorer):
    explorer.tab = "Feature maps"
    explorer.panel.layer = "conv1"
    assert explorer.layer == explorer._choice_of_layer.list.layer == explorer._choice_of_layer.map.layer == "conv1"
    explorer.tab = "Filters"
    assert explorer.panel.layer == "conv1"


def test_a_unit_chosen_in_a_panel_is_found_in_the_gallery_on_its_page(explorer):
    explorer.tab = "Feature maps"
    explorer.run()
    explorer.panel._choose(18)
    assert explorer.unit == 18
    explorer.tab = "Filters"
    assert explorer.panel.unit == 18 and 18 in explorer.panel.units
    explorer.layer = "conv1"
    assert explorer.unit is None, "another layer has other units"


def test_which_units_shares_layer_unit_class_and_picture(explorer):
    explorer.layer, explorer.target = "conv1", 2
    explorer.tab = "Which units"
    panel = explorer.panel
    assert (panel.layer, panel.target) == ("conv1", 2)
    explorer.run()
    panel.unit = panel.units[1]
    assert explorer.unit == panel.units[1]
    explorer.tab = "Filters"
    assert explorer.panel.layer == "conv1" and explorer.panel.unit == panel.unit
    explorer.layer = "conv2"
    explorer.tab = "Feature maps"
    explorer.run()
    explorer.panel.unit = 7
    explorer.picture = other = PICTURE[:, ::-1].copy()
    explorer.tab = "Which units"
    assert (panel.layer, panel.unit) == ("conv2", 7) and panel.picture is other
    panel.target = 1
    assert explorer.target == 1
    panel.stop()


def test_a_class_chosen_in_one_place_is_chosen_everywhere(explorer):
    explorer.tab = "Where it looks"
    explorer.panel.target = 2
    assert explorer.target == 2
    explorer.tab = "Fool it"
    assert explorer.panel.target == 2
    explorer.panel.target = 3
    explorer.tab = "Classes"
    assert explorer.target == 3 and 3 in explorer.panel.classes and explorer.panel.unit == 3
    explorer.tab = "Where it looks"
    assert explorer.panel.target == 3


def test_a_function_as_target_is_the_panels_own(explorer):
    explorer.tab = "Where it looks"
    explorer.panel.target = lambda output: output[:, 0]
    assert explorer.target is None


def test_another_picture_is_shown_in_every_panel(explorer):
    for title in ("Feature maps", "DeepDream", "Fool it", "Where it looks"):
        explorer.tab = title
    other = np.random.default_rng(1).random((30, 20, 3), dtype=np.float32)
    explorer.picture = other
    for title in ("Where it looks", "Feature maps", "DeepDream", "Fool it"):
        explorer.tab = title
        assert explorer.panel._held.photos[0].shape == (30, 20, 3)
    assert "20 × 30 pixels" in explorer._photographs._line.value


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("layer", "nope", cw.BadTarget), ("unit", 20, cw.BadTarget), ("target", 4, cw.BadTarget),
     ("target", "unicorn", cw.BadTarget), ("picture", "no.png", cw.BadPicture)],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_the_old_choice_stays(explorer, name, value, error):
    before = getattr(explorer, name)
    with pytest.raises(error):
        setattr(explorer, name, value)
    assert getattr(explorer, name) is before and explorer.held.photos[0].shape == (24, 32, 3)


def test_a_sample_a_file_and_an_upload_are_opened(explorer, tmp_path):
    menu = explorer._photographs
    menu._samples.value = "coffee"
    np.testing.assert_array_equal(explorer.picture, sample("coffee"))
    path = tmp_path / "small.png"
    path.write_bytes(png(PICTURE[:12]))
    menu._path.value = str(path)
    assert explorer.picture.shape == (12, 32, 3) and menu._samples.value == photographs.OTHER
    uploaded(explorer, png(PICTURE))
    assert explorer.picture.shape == (24, 32, 3)
    assert menu._upload.value == (), "the bytes would travel in a saved notebook"


@pytest.mark.parametrize(
    "data", [b"", b"<svg/>", png(PICTURE)[:300], b"x" * 8_000_001], ids=["empty", "svg", "cut", "large"]
)
def test_a_bad_upload_is_refused_in_a_line_and_the_picture_stays(explorer, data):
    words = uploaded(explorer, data)
    assert "cnnw-error" in words and explorer.held.photos[0].shape == (24, 32, 3)
    assert ("at most 8 MB" in words) == (len(data) > 8_000_000)


def test_a_bad_path_is_refused_in_a_line(explorer):
    explorer._photographs._path.value = "/no/such.png"
    assert "cnnw-error" in explorer._photographs._line.value and "such.png" in explorer._photographs._line.value


def test_another_network_takes_the_picture_and_gets_panels_of_its_own(explorer, build, waiting):
    explorer.tab = "Feature maps"
    old = explorer.panel
    other = cw.Network(build(first="first", name="other"))
    explorer.net = other
    assert explorer.net is other and explorer.panel.net is other and explorer.tab == "Feature maps"
    assert old.comm is None and list(explorer.panels) == ["Feature maps"]
    assert explorer.picture.shape == (24, 32, 3) and "first" in explorer._choice_of_layer.list.shown
    assert explorer._networks._menu.value == "other"
    explorer._networks._menu.value = "small"
    waiting(lambda: explorer.net.name == "small")


def test_a_model_file_is_loaded_and_a_bad_one_refused(explorer, build, tmp_path, waiting):
    path = tmp_path / "saved.keras"
    build(name="saved").save(path)
    explorer._networks._path.value = str(path)
    waiting(lambda: explorer.net.name == "saved")
    explorer._networks._path.value = str(tmp_path / "missing.keras")
    waiting(lambda: "cnnw-error" in explorer._networks._line.value)
    assert explorer.net.name == "saved" and "missing.keras" in explorer._networks._line.value


def test_a_network_that_cannot_take_the_picture_is_refused_and_the_old_one_stays(explorer):
    table = keras.Sequential([L.Input((4,)), L.Dense(2)])
    before = explorer.net
    with pytest.raises(cw.BadModel):
        explorer.net = table
    assert explorer.net is before and explorer.panel.net is before


def test_where_files_are_not_to_be_opened_no_message_from_outside_can(net, opened, tmp_path):
    explorer = opened(cw.Explorer(net, PICTURE, files=False))
    path = tmp_path / "secret.png"
    path.write_bytes(png(PICTURE[:9]))
    explorer._photographs._path.value = str(path)
    explorer._networks._path.value = str(path)
    assert explorer.picture is PICTURE and explorer._networks._request._publisher is None
    explorer.tab = "Feature maps"
    explorer.run()
    explorer.panel._guarded(explorer.panel._save_png)
    assert "not saved from this page" in explorer.status and explorer.panel._buttons["save"].disabled


def test_a_model_of_two_pictures_can_be_explored(two_pictures, opened):
    explorer = opened(cw.Explorer(two_pictures, [PICTURE[:16, :16], PICTURE[8:, 16:]]))
    for title in ("Feature maps", "Where it looks"):
        explorer.tab = title
        explorer.run()
        assert explorer.state == "done"
    assert {heat.input for heat in explorer.result} == {"left", "right"}
    assert explorer._photographs._which.label == "left", "not blank"
    explorer._photographs._which.value = 1
    uploaded(explorer, png(PICTURE))
    assert [photo.shape for photo in explorer.held.photos] == [(16, 16, 3), (24, 32, 3)]


def test_a_panel_that_a_network_cannot_have_says_why(opened):
    keras.utils.set_random_seed(0)
    flat = keras.Sequential([L.Input((12, 12, 1)), L.Flatten(), L.Dense(3, name="scores")])
    explorer = opened(cw.Explorer(flat, PICTURE))
    explorer.tab = "Feature maps"
    with pytest.raises(cw.BadTarget, match="Feature maps"):
        explorer.run()
    assert "cnnw-error" in explorer._stage._place.children[0].value
    explorer.tab = "Filters"
    assert explorer.panel.layer == "scores"


def test_what_stands_in_front_goes_first(explorer):
    explorer.tab = "DeepDream"
    assert explorer.panel.is_visible and not explorer.panels["Filters"].is_visible
    explorer.tab = "Filters"
    assert explorer.panel.is_visible and not explorer.panels["DeepDream"].is_visible


def test_the_foot_tells_the_device_and_what_runs(explorer, waiting):
    assert "CPU" in explorer._status_bar._line.value and "nothing is running" in explorer._status_bar._line.value
    explorer.panel.steps = 2000
    explorer.start()
    waiting(lambda: "running: Filters" in explorer._status_bar._line.value)
    explorer.stop()
    waiting(lambda: "nothing is running" in explorer._status_bar._line.value)


def test_its_output_keeps_the_picture_in_front(explorer):
    assert "image/png" not in explorer._repr_mimebundle_()
    explorer.tab = "Feature maps"
    explorer.run()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(explorer._repr_mimebundle_())


def test_it_says_briefly_what_it_is(explorer):
    assert repr(explorer) == "Explorer('small', 'Filters')"


def test_closing_leaves_no_widget_and_no_job(net, page, living):
    explorer = cw.Explorer(net, PICTURE)
    explorer._view_count = 1
    for title in TITLES:
        explorer.tab = title
    explorer.start()
    explorer.close()
    explorer.close()
    assert living() == []


def test_a_refused_explorer_leaves_nothing_behind(net):
    with pytest.raises(cw.BadTarget):
        cw.Explorer(net, PICTURE, layer="nope")
    with pytest.raises(cw.BadPicture):
        cw.Explorer(net, "no.png")


def test_a_bare_model_and_the_sample_photograph_are_enough(build, opened):
    explorer = opened(cw.Explorer(build()))
    assert explorer.held.photos[0].shape == sample("chelsea").shape
    assert explorer._photographs._samples.value == "chelsea"


# What the page sees without pressing anything.


def displayed(explorer):
    """As if a page had drawn it."""
    explorer._view_count = 1
    return explorer


@pytest.mark.parametrize("title", TITLES[:4])
def test_what_takes_under_a_second_starts_by_itself_once_it_is_displayed(explorer, waiting, title):
    explorer.tab = title
    assert explorer.state == "idle" and explorer.result is None, "nobody sees it yet"
    displayed(explorer)
    assert explorer.state == "running"
    waiting(lambda: explorer.result is not None)
    explorer.stop()
    assert explorer.state in ("stopped", "done")


def test_a_tab_that_was_stopped_or_has_a_picture_does_not_start_again(explorer, waiting):
    displayed(explorer)
    explorer.panel.steps = 2000
    explorer.stop()
    explorer.tab = "Feature maps"
    waiting(lambda: explorer.state == "done")
    job = explorer.panel._run.job
    for title, state in (("Filters", "stopped"), ("Feature maps", "done")):
        explorer.tab = title
        assert explorer.state == state
    assert explorer.panel._run.job is job


@pytest.mark.parametrize("title", TITLES[4:])
def test_long_runs_wait_for_start(explorer, title):
    explorer.tab = title
    displayed(explorer)
    assert explorer.state == "idle"


def test_a_network_whose_first_picture_takes_longer_waits_for_start(explorer, monkeypatch):
    monkeypatch.setattr(tabs, "SPEED", 1.0)
    displayed(explorer)
    assert explorer.state == "idle" and explorer.result is None


def test_the_first_picture_of_a_deep_network_is_known_to_take_longer(net, build):
    held = HeldPicture(net, PICTURE)
    assert all(tabs.is_soon(cost, net, held) for cost in COSTS)
    x = picture = L.Input((None, None, 3))
    for _ in range(60):
        x = L.Conv2D(3, 1)(x)
    deep = cw.Network(keras.Model(picture, L.GlobalAveragePooling2D()(x)))
    assert [tabs.is_soon(cost, deep, held) for cost in COSTS] == [True, False, False]


def test_the_picture_and_its_predictions_stand_together(explorer, waiting, net):
    displayed(explorer)
    predictions = explorer._predictions
    waiting(lambda: predictions.lines)
    best = net.predict(PICTURE, top=4)
    assert predictions.lines == best
    assert f"\u25b8 {best[0].name}" in predictions._bars.value
    explorer.target = best[2].index
    assert f"\u25b8 {best[2].name}" in predictions._bars.value
    explorer.picture = PICTURE[:, ::-1].copy()
    waiting(lambda: predictions.lines and predictions.lines != best)


def test_where_outputs_are_not_classes_their_numbers_stand_there(opened, waiting):
    keras.utils.set_random_seed(0)
    numbers = keras.Sequential([L.Input((12, 12, 3)), L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Dense(2)])
    explorer = displayed(opened(cw.Explorer(cw.Network(numbers), PICTURE)))
    waiting(lambda: explorer._predictions.lines)
    assert "%" not in explorer._predictions._bars.value and "value 1" in explorer._predictions._bars.value


def test_every_sample_has_a_thumbnail_with_its_name(explorer, waiting):
    displayed(explorer)
    menu = explorer._photographs
    waiting(lambda: all(f'"{name}"' in menu._looks.value for name in sample_names()))
    assert menu._samples.options == (photographs.OTHER, *sample_names())
    assert '"your%20own"' in menu._looks.value


def test_the_pixels_of_a_tiny_picture_stay_sharp_in_the_sidebar(explorer):
    explorer.picture = tiny = np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8)
    shown = np.asarray(PIL.Image.open(io.BytesIO(explorer._photographs._view.data)))
    np.testing.assert_array_equal(shown, tiny.repeat(20, 0).repeat(20, 1))


def test_your_own_picture_is_one_click_away_from_the_samples(explorer):
    menu = explorer._photographs
    menu._samples.value = "coffee"
    menu._samples.value = photographs.OTHER
    np.testing.assert_array_equal(explorer.picture, PICTURE)
    menu._samples.value = "coffee"
    explorer.picture = other = PICTURE[:12]
    assert menu._samples.value == photographs.OTHER
    menu._samples.value = "coffee"
    menu._path.value = "/no/such.png"
    assert menu._samples.value == "coffee", "that one is still open"
    menu._samples.value = photographs.OTHER
    np.testing.assert_array_equal(explorer.picture, other)


# Other tabs, while the kernel is idle.


def in_a_kernel(work, seconds=20.0):
    """Run `work(explorer)`, a generator of conditions, on an event loop; each is waited for."""

    async def wait_for_each():
        deadline = time.monotonic() + seconds
        for condition in work:
            while not condition():
                assert time.monotonic() < deadline, "waited in vain"
                await asyncio.sleep(0.01)

    asyncio.run(wait_for_each())


def test_the_other_tabs_are_made_while_the_kernel_is_idle(net):
    def work():
        explorer = cw.Explorer(net, PICTURE)
        assert list(explorer.panels) == ["Filters"]
        told = [place.children[0].value for place in explorer._stage._places[1:]]
        assert all(f"Preparing {title}" in text for title, text in zip(TITLES[1:], told, strict=True))
        displayed(explorer)
        yield lambda: set(explorer.panels) == set(TITLES)
        assert all(
            place.children == (explorer.panels[title],)
            for title, place in zip(TITLES, explorer._stage._places, strict=True)
        )
        assert explorer.tab == "Filters" and not explorer.panels["DeepDream"].is_visible
        explorer.close()

    in_a_kernel(work())


def test_nothing_is_made_ahead_before_it_is_displayed_or_while_the_front_computes(net):
    def work():
        explorer = cw.Explorer(net, PICTURE)
        began = time.monotonic()
        yield lambda: time.monotonic() > began + 0.3
        assert list(explorer.panels) == ["Filters"]
        explorer.panel.steps = 2000
        displayed(explorer)
        began = time.monotonic()
        yield lambda: time.monotonic() > began + 0.5
        assert list(explorer.panels) == ["Filters"] and explorer.state == "running"
        explorer.panel.stop()
        yield lambda: len(explorer.panels) == len(TITLES)
        explorer.close()

    in_a_kernel(work())


def test_a_tab_that_cannot_be_made_says_so_before_it_is_clicked():
    keras.utils.set_random_seed(0)
    flat = keras.Sequential([L.Input((12, 12, 1)), L.Flatten(), L.Dense(3, name="scores")])

    def work():
        explorer = displayed(cw.Explorer(flat, PICTURE))
        yield lambda: "cnnw-error" in explorer._stage._places[1].children[0].value
        yield lambda: "Classes" in explorer.panels
        explorer.close()

    in_a_kernel(work())


def test_panels_of_a_replaced_network_are_stopped_at_once_and_closed_later(net, build, monkeypatch):
    monkeypatch.setattr(stage, "UNDER_WAY", 0.3)

    def work():
        explorer = cw.Explorer(net, PICTURE)
        old, layers = explorer.panel, explorer._choice_of_layer
        old.steps = 2000
        old.start()
        explorer.net = cw.Network(build("first"))
        assert old.state == "stopped" and old.comm is not None and layers.comm is not None
        assert explorer.panel is not old and old not in explorer._stage._places[0].children
        yield lambda: old.comm is None and layers.comm is None
        explorer.net = net
        again = explorer.panel
        explorer.close()
        assert again.comm is None

    in_a_kernel(work())


# The same unit, class and position everywhere.


def test_a_position_chosen_in_one_panel_is_chosen_in_the_others(explorer):
    explorer.tab = "Which units"
    explorer.run()
    explorer.panel._clicked(0.5, 0.25)
    assert explorer.position == explorer.panel.place == (6, 16)
    assert "cnnw-cross" in explorer._photographs._view.over.value
    explorer.tab = "Feature maps"
    explorer.run()
    panel = explorer.panel
    assert panel.place == panel._last.cell_at(6, 16)
    panel.unit = 5
    panel._map_clicked(0.1, 0.9)
    assert explorer.position == panel._last.center_of(*panel.place) != (6, 16)
    explorer.tab = "Where it looks"
    explorer.run()
    row, column = explorer.position
    assert explorer.panel.position == (row, column) and f"x {column}, y {row}: evidence" in explorer.panel.region.line
    assert explorer.panel.hidden is None, "nothing is hidden before it is asked for"
    explorer.panel.hide(20, 10)
    assert explorer.position == (10, 20)
    explorer.tab = "Which units"
    assert explorer.panel.place == (10, 20)


def test_a_click_on_the_photograph_of_the_sidebar_chooses_a_position(explorer):
    explorer._photographs._view._clicked(
        {"boundingRectWidth": 200, "boundingRectHeight": 150, "relativeX": 100, "relativeY": 75}, explorer._pointed
    )
    assert explorer.position == (12, 16)
    explorer.picture = PICTURE[:12]
    assert explorer.position is None and explorer._photographs._view.over.value == ""
    with pytest.raises(cw.BadTarget, match="position must be"):
        explorer.position = (12, 0)


def test_the_gallery_can_bring_a_unit_out_in_the_photograph(explorer):
    gallery = explorer.panel
    assert gallery.photograph is None and gallery.enlarged_from.value == "from noise"
    gallery.enlarged_from.value = "in your photograph"
    np.testing.assert_array_equal(gallery.photograph, PICTURE)
    explorer.picture = other = PICTURE[:, ::-1].copy()
    np.testing.assert_array_equal(gallery.photograph, other)
    gallery.enlarged_from.value = "from noise"
    explorer.picture = PICTURE
    assert gallery.photograph is None


def test_the_page_of_a_unit_follows_the_choice_and_is_followed(explorer):
    gallery = explorer.panel
    gallery.open_unit(3)
    page = gallery.unit_page.panel
    explorer.unit = 5
    assert (page.layer, page.unit) == ("conv2", 5)
    page.unit = 6
    assert explorer.unit == gallery.unit == 6
    page.go_to("conv1", 2)
    assert (explorer.layer, explorer.unit) == (gallery.layer, gallery.unit) == ("conv1", 2)
    page._place.run.wait()
