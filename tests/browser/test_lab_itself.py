"""The harness is to be trusted: it sees frames that a thread sends, and does to kernel and page what it says."""

import time

import PIL.Image
import pytest

STREAM = """
import io, threading, time
import ipywidgets, PIL.Image

def picture(level):
    file = io.BytesIO()
    PIL.Image.new("L", (64, 64), level).save(file, "png")
    return file.getvalue()

def stream(frames=10):
    for n in range(frames):
        time.sleep(0.1)
        image.value = picture(20 * n + 20)

image = ipywidgets.Image(value=picture(0), layout={"width": "64px"})
image.add_class("painted")
worker = threading.Thread(target=stream, daemon=True)
image
"""


SENT = 11  # the first picture and ten frames
LAST = 200  # the grey level of the last frame


def wait_for_level(notebook, level, seconds=10):
    deadline = time.monotonic() + seconds
    while (shown := notebook.picture("img.painted").getpixel((32, 32))[0]) != level and time.monotonic() < deadline:
        time.sleep(0.05)
    assert shown == level


def test_frames_of_a_thread_reach_the_page(lab):
    notebook = lab.open([STREAM, "worker.start()", "worker.join(); sent = time.time()"])
    frames = notebook.count_frames("img.painted")
    notebook.run_cell(0)
    frames.wait(shown=1)
    started = time.time()
    notebook.run_cell(1)
    notebook.run_cell(2)
    wait_for_level(notebook, LAST)
    assert len(frames.arrived) == SENT
    assert 1 < len(frames.shown) <= SENT
    assert len(frames.shown) + len(frames.failed) <= SENT
    assert started < frames.shown[1] < frames.shown[-1] < notebook.kernel_eval("sent") + 10
    assert notebook.outputs(1) == []
    assert notebook.console_errors == []


def test_a_frame_that_cannot_be_painted_is_counted_as_failed(lab):
    notebook = lab.open([STREAM, "image.value = b'no picture'"])
    frames = notebook.count_frames("img.painted")
    notebook.run_cell(0)
    frames.wait(shown=1)
    notebook.run_cell(1)
    notebook.wait_for("() => harness.frames['img.painted'].failed.length", "a failure")
    assert (len(frames.arrived), len(frames.shown), len(frames.failed)) == (2, 1, 1)


def test_a_reloaded_page_streams_again(lab):
    notebook = lab.open([STREAM, "worker.start()"])
    notebook.run_cell(0)
    notebook.reload()
    notebook.page.wait_for_selector("img.painted")
    frames = notebook.count_frames("img.painted")
    notebook.run_cell(1)
    wait_for_level(notebook, LAST)
    assert len(frames.arrived) == SENT - 1
    assert notebook.console_errors == []


def test_two_pages_show_one_kernel(lab):
    first = lab.open([STREAM, "worker.start()"])
    first.run_cell(0)
    first.save()
    second = lab.visit(first.path)
    second.page.wait_for_selector("img.painted")
    views = [page.count_frames("img.painted") for page in (first, second)]
    first.run_cell(1)
    for page, frames in zip((first, second), views, strict=True):
        wait_for_level(page, LAST)
        assert len(frames.arrived) == SENT - 1
    assert second.kernel_id == first.kernel_id


def test_outputs_and_kernel_are_looked_into(lab):
    notebook = lab.open(["print('hello')", "1 / 0", "x = {'a': [1.5, None]}"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.run_cell(2)
    assert notebook.outputs(0)[0]["text"] == "hello\n"
    assert notebook.outputs(1)[0]["ename"] == "ZeroDivisionError"
    assert notebook.kernel_eval("x") == {"a": [1.5, None]}
    assert notebook.kernel_eval("list(range(5000))") == list(range(5000))
    notebook.kernel_run("y = object()")
    assert notebook.kernel_eval("y").startswith("<object object")
    with pytest.raises(AssertionError, match="NameError"):
        notebook.kernel_eval("nowhere")


def test_an_error_in_a_callback_is_found_in_the_hidden_log(lab):
    notebook = lab.open(["import ipywidgets; button = ipywidgets.Button(description='go'); button"])
    notebook.run_all()
    assert notebook.hidden_log() == []
    notebook.kernel_run("button.on_click(print); button.on_click(lambda _: 1 / 0)")
    notebook.page.get_by_role("button", name="go").click()
    notebook.wait_for(f"() => harness.hiddenLog({notebook.path!r}).length > 1", "two messages")
    assert {entry.get("ename") for entry in notebook.hidden_log()} == {None, "ZeroDivisionError"}


def test_a_busy_kernel_is_interrupted_and_restarted(lab):
    notebook = lab.open(["import time; time.sleep(60)", "z = 1"])
    notebook.run_cell(0, wait=False)
    time.sleep(1)
    with pytest.raises(AssertionError, match="did not answer"):
        notebook.kernel_eval("1", seconds=0.5)
    notebook.interrupt()
    notebook.wait_for_idle(10)
    assert notebook.outputs(0)[0]["ename"] == "KeyboardInterrupt"
    notebook.run_cell(1)
    notebook.restart()
    assert notebook.kernel_eval("'z' in globals()") is False


def corner(file):
    with PIL.Image.open(file) as picture:
        return picture.size, sum(picture.convert("RGB").getpixel((picture.width // 2, picture.height * 14 // 15)))


def test_themes_widths_and_pictures(lab, tmp_path):
    notebook = lab.open([STREAM])
    notebook.run_all()
    notebook.screenshot(tmp_path / "fresh.png")
    notebook.theme("dark")
    notebook.width(700)
    notebook.screenshot(tmp_path / "dark.png")
    notebook.screenshot(tmp_path / "widget.png", "img.painted")
    (wide, light), (narrow, dark) = corner(tmp_path / "fresh.png"), corner(tmp_path / "dark.png")
    assert (wide, narrow) == ((1280, 900), (700, 900))
    assert light > 700 > 150 > dark  # of 765: the page below the cell
    (width, height), black = corner(tmp_path / "widget.png")
    assert 64 <= width <= 65 and 64 <= height <= 65 and black == 0


def test_a_theme_does_not_outlive_its_test(lab):
    assert lab.open([]).page.evaluate("document.body.dataset.jpThemeName") == "JupyterLab Light"
