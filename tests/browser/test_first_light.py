"""The whole way on a real network: load it, choose a layer, watch it paint, keep the picture."""

import time

import numpy as np

from tests.browser.lab import wait_for

TILES = ".widget-hbox > .cnnw-stage > img"
CELLS = [
    "import traitlets\nimport cnnwidgets as cw\nnet = cw.load_network('squeezenet')\nnet",
    "picker = cw.LayerPicker(net, 'fire5_concat')\npicker",
    "gallery = cw.FilterGallery(net, picker.layer)\ntraitlets.link((picker, 'layer'), (gallery, 'layer'))\ngallery",
]


def test_sixteen_tiles_paint_themselves_out_of_noise(lab, server):
    notebook = lab.open(CELLS)
    notebook.width(1280, 1400)
    notebook.run_all(180)
    page = notebook.page
    assert "40 layers" in notebook.outputs(0)[-1]["data"]["text/plain"]
    assert [len(notebook.outputs(cell)) for cell in range(3)] == [1, 1, 1], "nothing but the panels"

    search = page.get_by_label("Search", exact=True)
    search.fill("fire4_concat")
    search.press("Enter")
    page.locator(".cnnw", has_text="one for each unit of fire4_concat").first.wait_for()
    frames = notebook.count_frames(TILES)
    page.get_by_role("button", name="Start").first.click()
    frames.wait(shown=1, seconds=60)
    first = np.asarray(notebook.picture(TILES).convert("L"), float)
    wait_for(notebook, "gallery.state", "done")
    time.sleep(0.5)
    last = np.asarray(notebook.picture(TILES).convert("L"), float)
    assert len(frames.shown) >= 5 and frames.failed == []
    assert last.shape == first.shape and np.abs(last - first).mean() > 5
    captions = page.locator(".cnnw-caption").all_inner_texts()
    assert len(captions) == 16 and captions[15].startswith("15")
    assert notebook.kernel_eval("gallery.result.pictures.std() > 0.05")

    page.get_by_role("button", name="Save").first.click()
    page.locator(".cnnw-status", has_text="Saved as squeezenet-fire4_concat-0-15.png").wait_for()
    assert (server.root / "squeezenet-fire4_concat-0-15.png").exists()
    assert notebook.console_errors == [] and notebook.hidden_log() == []
