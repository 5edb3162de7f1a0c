"""What a stranger may send: names inside a model, and messages from a page."""

import contextlib
import math
import os
import threading
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.jobs import worker
from cnnwidgets.model import layers
from cnnwidgets.model.network import Network
from cnnwidgets.panels.explorer.tabs import KINDS
from cnnwidgets.pictures import to_png
from tests.panels.test_safety import Tags
from tests.trust.conftest import PANELS
from tests.trust.payloads import PAYLOADS


@pytest.fixture
def hostile(build, monkeypatch):
    """A network in which every name that others choose is an attack."""
    by_path = layers.by_path
    name = "conv1" + "".join(PAYLOADS[:5]).replace("/", "%2f")
    monkeypatch.setattr(
        layers, "by_path", lambda model: {p.replace("conv1", name): layer for p, layer in by_path(model).items()}
    )
    model = build(classes="logits")
    return Network(model, "unit", class_names=["|".join(PAYLOADS[i::4]) for i in range(4)], name="".join(PAYLOADS))


DANGEROUS = {"a", "base", "embed", "form", "iframe", "img", "input", "link", "meta", "object", "script", "video"}
KEYS_OF_THE_MAP = '<div class="cnnw-map-keys"><form><input type="radio" '  # buttons for the arrow keys; nothing is sent
ACTIVE = {"href", "src", "action", "formaction"}


def assert_harmless(texts):
    for text in texts:
        tags = Tags(text)
        own = {"form", "input"} if text.startswith(KEYS_OF_THE_MAP) else set()
        assert not tags.tags & (DANGEROUS - own), text
        assert not [name for name in tags.attributes if name.startswith("on") or name in ACTIVE], text


def test_no_name_of_a_model_becomes_markup_or_a_path(panel_of, hostile, photo, opened, texts, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    panel = opened(panel_of(hostile, photo))
    seen = texts(panel)
    panel.run()
    for button in ("code", "save", "gif"):
        panel._buttons[button].click()
    seen += texts(panel)
    assert panel.state == "done"
    assert_harmless(seen)
    assert any("onerror" in text for text in seen), "no hostile name was shown, so nothing was checked"
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "cache" not in path.parts]
    assert sorted(path.suffix for path in files) == [".gif", ".png"]
    assert all(path.parent == folder and len(path.name) <= 80 and path.name.isascii() for path in files)


# Messages: a page may send any value to any widget, whatever its controls allow.


def send(widget, **state):
    """What a page sends; ipywidgets itself refuses what the trait's type does not take."""
    message = {"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []}
    widget._handle_msg(message)


def press(widget):
    widget._handle_msg({"content": {"data": {"method": "custom", "content": {"event": "click"}}}, "buffers": []})


VALUES = [10**9, -(10**9), 10**30, math.inf, math.nan, "<script>", "../../etc/passwd", None, [], {}, True, "x" * 10_000]


def test_no_message_gets_a_panel_beyond_its_limits(panel_of, net, photo, opened, page, widgets_in):
    panel = opened(panel_of(net, photo))
    for widget in widgets_in(panel):
        for value in VALUES:
            for name in ("value", "index", "max", "min"):
                if name in widget.keys and not isinstance(widget, (widgets.HTML, widgets.Image)):
                    send(widget, **{name: value})
    panel.stop()
    for name, most in {"steps": 2048, "octaves": 16, "jitter": 512, "opacity": 1, "threshold": 1, "epsilon": 1}.items():
        assert not panel.has_trait(name) or 0 <= getattr(panel, name) <= most
    if panel.has_trait("size"):
        size = panel._plan.canvas.shape[0] if hasattr(panel, "_plan") else panel.size or 0
        assert size <= 1024
    assert len(panel.status) <= 300
    panel.close()


def test_every_button_may_be_pressed_at_any_time(panel_of, net, photo, opened, page, widgets_in, tmp_path, monkeypatch):
    """A disabled button is disabled on the page only."""
    monkeypatch.chdir(tmp_path)
    panel = opened(panel_of(net, photo))
    buttons = [widget for widget in widgets_in(panel) if isinstance(widget, widgets.Button)]
    assert len(buttons) >= 6
    for _ in range(2):
        for button in buttons:
            press(button)
        panel.stop()
    assert panel.state in ("done", "stopped", "error", "idle") and "Traceback" not in panel.status
    panel.stop()


def test_no_widget_that_a_page_can_build_is_ours(net, opened):
    """Whoever can send messages can make any registered widget, with any traits."""
    opened(cw.LayerPicker(net))
    opened(cw.Explorer(net))
    makers = [cls for cls in widgets.widgets.widget._registry.items() if "cnnwidgets" in str(cls)]
    assert len(list(widgets.widgets.widget._registry.items())) > 30 and makers == []


OURS = [
    (cls.__module__, name)
    for cls in (cw.FilterGallery, cw.Explorer, cw.LayerPicker, cw.HeatmapPanel)
    for name in (cls.__name__, f"{cls.__name__}Model")
]


@pytest.mark.parametrize(("module", "name"), [*OURS, ("@jupyter-widgets/controls", "VBoxModel")])
def test_a_page_that_opens_a_widget_of_ours_gets_none(page, living, module, name, tmp_path):
    """A stranger's message to open a widget: an unknown class is refused, a known one stays what it is."""
    before = set(threading.enumerate())
    state = {
        "_model_module": module, "_model_name": name, "_view_module": module, "_view_name": "VBoxView",
        "_model_module_version": "2.0.0", "_view_module_version": "2.0.0",
        "path": str(tmp_path), "picture": "/etc/passwd", "net": "squeezenet", "target": "__import__('os')",
    }  # fmt: skip
    message = {"content": {"data": {"state": state, "buffer_paths": []}}, "metadata": {"version": "2.1.0"}}
    with contextlib.suppress(KeyError):
        widgets.Widget.handle_comm_opened(page(comm_id="from a stranger"), {**message, "buffers": []})
    assert [one for one in living() if type(one).__module__.startswith("cnnwidgets")] == []
    assert [one for one in living() if hasattr(one, "path") or hasattr(one, "picture")] == []
    assert set(threading.enumerate()) == before and list(tmp_path.iterdir()) == [] and worker().jobs == ()


ALL_PANELS = {
    **PANELS,
    "LayerPicker": lambda net, photo: cw.LayerPicker(net),
    "Explorer": lambda net, photo: cw.Explorer(net, photo, files=False),
}


@pytest.mark.parametrize("name", ALL_PANELS)
def test_what_a_page_can_read_or_set_is_no_path_and_no_code(name, net, photo, opened, page, widgets_in, monkeypatch):
    monkeypatch.setenv("A_SECRET", "never told")
    panel = opened(ALL_PANELS[name](net, photo))
    if hasattr(panel, "run"):
        panel.run()
    secrets = {"never told", str(Path.home()), str(Path.cwd()), os.environ["CNNWIDGETS_CACHE_DIR"]}
    assert page.sent and not [data for _, data in page.sent if any(secret in repr(data) for secret in secrets)]
    for widget in widgets_in(panel):
        others = [cls for cls in type(widget).__mro__ if not cls.__module__.startswith(("cnnwidgets", "tests"))]
        base = next(cls for cls in others if issubclass(cls, widgets.Widget))
        assert set(widget.keys) == set(base.class_trait_names(sync=True)), (
            f"{type(widget).__name__} adds a synced trait"
        )
        for name in widget.keys:
            value = getattr(widget, name)
            assert not callable(value) or isinstance(value, widgets.Widget), f"{type(widget).__name__}.{name}"
            assert not isinstance(value, Path)
            if isinstance(value, str) and not isinstance(widget, widgets.HTML):
                assert "://" not in value and not value.startswith(("/", "~", "file:")), (
                    f"{type(widget).__name__}.{name}"
                )


def test_the_folder_that_a_picture_lies_in_is_not_told_to_the_page(net, photo, opened, page, tmp_path):
    secret = tmp_path / "a-secret-folder"
    secret.mkdir()
    (secret / "p.png").write_bytes(to_png(photo))
    panel = opened(cw.HeatmapPanel(net, str(secret / "p.png")))
    panel.run()
    assert page.sent and not any("a-secret-folder" in repr(data) for _, data in page.sent)


def test_opening_our_modules_starts_nothing():
    before = set(threading.enumerate())
    import cnnwidgets.panels.base.panel  # noqa: F401

    assert set(threading.enumerate()) == before


def test_a_hostile_picture_name_is_shown_as_text(net, opened, texts):
    for payload in PAYLOADS:
        with pytest.raises(cw.BadPicture) as refusal:
            cw.HeatmapPanel(net, payload)
        assert len(str(refusal.value)) < 400 and "\0" not in str(refusal.value)
    panel = opened(cw.HeatmapPanel(net, np.zeros((16, 16, 3), np.uint8)))
    panel._guarded(setattr, panel, "picture", PAYLOADS[0])
    assert "onerror" in panel.status
    assert_harmless(texts(panel))


# All panels joined.


@pytest.fixture
def tabs():
    """`tabs(explorer)` looks at each tab in turn, and runs what stands there."""

    def look(explorer):
        for tab in [kind.title for kind in KINDS]:
            explorer.tab = tab
            panel = explorer.panel
            for name, fewer in {"steps": 2, "octaves": 1, "size": 16}.items():
                if panel.has_trait(name):
                    setattr(panel, name, fewer)
            panel.run()
            yield tab

    return look


def test_no_name_of_a_model_becomes_markup_in_an_explorer(hostile, photo, opened, texts, tabs):
    explorer = opened(cw.Explorer(hostile, photo))
    seen = texts(explorer)
    for _tab in tabs(explorer):
        explorer.panel._buttons["code"].click()
        seen += texts(explorer)
    assert_harmless(seen)
    assert sum("onerror" in text for text in seen) > 6


def test_a_closed_explorer_leaves_no_widget(net, photo, page, living, tabs):
    explorer = cw.Explorer(net, photo)
    assert len(list(tabs(explorer))) == len(KINDS) and living()
    explorer.close()
    assert living() == []


def test_every_button_of_an_explorer_may_be_pressed_and_none_writes_a_file_for_a_stranger(
    net, photo, opened, page, widgets_in, tabs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    explorer = opened(cw.Explorer(net, photo, files=False))
    for tab in tabs(explorer):
        for button in [widget for widget in widgets_in(explorer.panel) if isinstance(widget, widgets.Button)]:
            press(button)
        explorer.panel.stop()
        assert "Traceback" not in explorer.panel.status, tab
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == [], (
        "files=False, and something was saved"
    )
    explorer.close()
