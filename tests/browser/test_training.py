"""A network is watched while it learns: frames reach the page although `fit` keeps the kernel busy."""

import time

from tests.browser.lab import wait_for

MODEL = """
import numpy as np, keras
import cnnwidgets as cw
keras.utils.set_random_seed(0)
numbers = np.random.default_rng(0)
x, y = numbers.random((64, 32, 32, 3), np.float32), numbers.integers(0, 3, 64)
L = keras.layers
model = keras.Sequential([keras.Input((32, 32, 3)), L.Conv2D(8, 5, activation="relu", name="conv"),
                          L.GlobalAveragePooling2D(), L.Dense(3)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
recorder = cw.TrainingRecorder(model, "conv", units=range(8), picture=x[0], steps=4)
"""
IMAGES = ".cnnw-stage > img"  # of the units, the feature maps and the heatmap


def test_frames_reach_the_page_while_fit_keeps_the_kernel_busy(lab):
    notebook = lab.open(
        [
            MODEL,
            "panel = cw.TrainingPanel(recorder)\npanel",
            "model.fit(x, y, batch_size=8, epochs=12, verbose=0, callbacks=[recorder]); None",
        ]
    )
    notebook.width(1280, 1400)
    notebook.run_cell(0, seconds=120)
    notebook.run_cell(1)
    frames = notebook.count_frames(IMAGES)
    notebook.run_cell(2, wait=False)
    frames.wait(shown=6, seconds=120)  # while the cell is running
    assert not notebook.page.evaluate(f"() => harness.idle({notebook.path!r})"), "the cell had ended already"
    notebook.wait_for_idle(180)
    assert notebook.kernel_eval("(panel.state, panel.moment, len(recorder.snapshots))") == ("done", 12, 13)
    sent = 3 * notebook.kernel_eval("panel.frames_shown")
    assert len(frames.shown) >= 0.6 * sent
    assert frames.failed == []
    assert notebook.outputs(2) == []

    notebook.page.locator(".cnnw .noUi-handle").first.press("Home")
    notebook.page.locator(".cnnw-status", has_text="before the first batch").first.wait_for()
    assert notebook.kernel_eval("(panel.moment, panel.follow)") == (0, False)
    assert notebook.console_errors == []
    assert notebook.hidden_log() == []


def test_a_training_of_the_panel_leaves_the_kernel_free_and_pauses_and_stops(lab):
    starts = "panel = cw.TrainingPanel(recorder)\npanel.fit(x, y, batch_size=8, epochs=5000)\npanel"
    notebook = lab.open([MODEL, starts])
    notebook.run_all(120)
    page = notebook.page
    wait_for(notebook, "len(recorder.snapshots) > 2", True)
    page.get_by_role("button", name="Pause").first.click()
    wait_for(notebook, "panel.state", "paused")
    held = notebook.kernel_eval("recorder.moment")
    time.sleep(0.3)
    assert notebook.kernel_eval("recorder.moment") == held
    page.get_by_role("button", name="Resume").first.click()
    wait_for(notebook, "panel.state", "running")
    page.get_by_role("button", name="Stop").first.click()
    wait_for(notebook, "panel.state", "stopped")
    page.locator(".cnnw-status", has_text="weights of its last batch").first.wait_for()
    assert notebook.console_errors == []
