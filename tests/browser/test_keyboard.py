"""Every panel walked with Tab: each stop has a name and shows the focus, and nothing that can be used is left out."""

import time

import pytest

from tests.browser.lab import wait_for
from tests.browser.test_explorer import TABS

SETUP = """
import numpy as np, keras
import cnnwidgets as cw
keras.utils.set_random_seed(0)
numbers = np.random.default_rng(0)
L = keras.layers
def network(name):
    return keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(6, 3, activation="relu", name="conv1"),
                             L.Conv2D(20, 3, activation="relu", name="conv2"), L.GlobalAveragePooling2D(name="gap"),
                             L.Dense(4, activation="softmax", name="classes")], name=name)
model = network("small")
photograph = numbers.random((32, 40, 3), np.float32)
recorder = cw.TrainingRecorder(model, "conv1", picture=photograph, size=16, steps=2)
model.compile("sgd", "mse")
"""
RUN = "\npanel.run(); panel"
PANELS = {  # as far as each is when it is walked: with a result, where it has controls for that
    "Explorer": "panel = cw.Explorer(model, photograph); panel",
    "LayerPicker": "panel = cw.LayerPicker(model); panel",
    "NetworkMap": "panel = cw.NetworkMap(model, photograph); panel",
    "FilterGallery": f"panel = cw.FilterGallery(model, 'conv2', range(4), size=16, steps=2){RUN}",
    "FeatureMapPanel": f"panel = cw.FeatureMapPanel(model, photograph); panel.arithmetic = True{RUN}",
    "HeatmapPanel": f"panel = cw.HeatmapPanel(model, photograph){RUN}",
    "UnitAttributionPanel": f"panel = cw.UnitAttributionPanel(model, photograph){RUN}",
    "UnitPanel": f"panel = cw.UnitPanel(model, 'conv2', 7, photograph, [photograph], size=16, steps=2){RUN}",
    "ClassGallery": f"panel = cw.ClassGallery(model, [0, 1], size=16, steps=2){RUN}",
    "DeepDreamPanel": f"panel = cw.DeepDreamPanel(model, photograph, octaves=2, steps=2){RUN}",
    "AdversarialPanel": f"panel = cw.AdversarialPanel(model, photograph, steps=2){RUN}",
    "ConceptPanel": f"panel = cw.ConceptPanel(model, [photograph] * 2, layer='conv2', count=2){RUN}",
    "TrainingPanel": "panel = cw.TrainingPanel(recorder)\npanel.fit(photograph[None], np.ones((1, 4)), epochs=2)"
                     f"{RUN}",
    "ComparePanel": f"panel = cw.ComparePanel(model, network('other'), layer='conv2', picture=photograph){RUN}",
}  # fmt: skip
LABEL = """() => { const slider = walked.closest('.widget-slider');
    const label = slider && slider.querySelector('.widget-label'); return label ? label.textContent.trim() : '' }"""
MOST = 150  # stops of a panel
LOOK = """e => { const s = getComputedStyle(e); return [s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow,
    s.borderColor, s.backgroundColor, s.color].join() }"""
LOOKS = f"""() => {{
    const look = {LOOK}, found = []; let e = window.walked;
    for (let i = 0; e && i < 6; i++, e = e.parentElement) found.push(look(e));
    for (const label of window.walked.labels || []) found.push(look(label), ...[...label.children].map(look));
    return found.join(';') }}"""
TABBABLE = """panel => [...panel.querySelectorAll(
        'button, input, select, textarea, summary, a[href], [tabindex], [contenteditable=true]')].filter(e =>
    !e.disabled && e.tabIndex >= 0 && e.getClientRects().length && getComputedStyle(e).visibility != 'hidden'
    && !e.closest('[inert]') && !(e.type == 'radio' && !e.checked))"""


@pytest.fixture(scope="module")
def notebook(shared_lab):
    notebook = shared_lab.open([SETUP, *PANELS.values()])
    notebook.width(1280, 1400)
    notebook.run_cell(0, seconds=180)
    return notebook


class Walk:
    """A panel, walked from its first stop to its last."""

    def __init__(self, notebook, cell):
        self.page = notebook.page
        notebook.run_cell(cell, seconds=120)
        notebook.wait_for(
            f"""() => {{
            const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
            window.panel = cells[{cell}].querySelector('.jp-OutputArea-output .cnnw, .jp-OutputArea-output.cnnw');
            return window.panel && ({TABBABLE})(window.panel).length }}""",
            "the panel",
            20,
        )
        self.page.evaluate("() => panel.scrollIntoView()")
        self.devtools = self.page.context.new_cdp_session(self.page)
        self.stops = []

    def name(self):
        """Role and accessible name of what has the focus, as the browser tells a screen reader.

        ipywidgets gives the handle and the number of a slider no name; the label beside them is theirs.
        """
        element = self.devtools.send("Runtime.evaluate", {"expression": "document.activeElement"})["result"]["objectId"]
        (node, *_) = self.devtools.send(
            "Accessibility.getPartialAXTree", {"objectId": element, "fetchRelatives": False}
        )["nodes"]
        name = node.get("name", {}).get("value", "").strip() or self.page.evaluate(LABEL)
        return node["role"]["value"], name

    def walk(self):
        """Press Tab through the panel; [(role, name, what it is, whether the focus is seen)]."""
        self.page.evaluate(f"() => ({TABBABLE})(panel)[0].focus()")
        for _ in range(MOST):
            described, with_focus = self.page.evaluate(f"""() => {{
                window.walked = document.activeElement;
                if (!panel.contains(walked)) return ['', ''];
                walked.classList.add('walked');
                return [walked.outerHTML.slice(0, 160), ({LOOKS})()] }}""")
            if not described:
                break
            role, name = self.name()
            self.page.keyboard.press("Tab")
            self.stops.append((role, name, described, self.page.evaluate(LOOKS) != with_focus))
        return self.stops

    def left_out(self):
        """What could be used and was not reached."""
        rest = f"({TABBABLE})(panel).filter(e => !e.classList.contains('walked'))"
        return self.page.evaluate(f"() => {rest}.map(e => e.outerHTML.slice(0, 160))")


@pytest.mark.parametrize("name", PANELS)
def test_each_stop_has_a_name_and_shows_the_focus(notebook, name):
    walk = Walk(notebook, 1 + list(PANELS).index(name))
    if name == "Explorer":  # its first picture comes without a click, and enables buttons
        wait_for(notebook, "panel.state == 'done' and sorted(panel.panels)", sorted(TABS))
    stops = walk.walk()
    assert 1 < len(stops) < MOST
    assert [described for role, said, described, _ in stops if not said] == []
    assert [described for *_, described, is_seen in stops if not is_seen] == []
    assert walk.left_out() == []


@pytest.mark.parametrize("pressed", ["Start", "Stop", "Pause"])
def test_the_focus_stays_in_the_panel_when_a_run_ends(notebook, pressed):
    """A browser takes the focus from a button that is disabled, and from a panel that is rebuilt."""
    page = Walk(notebook, 1 + list(PANELS).index("FilterGallery")).page
    notebook.kernel_run("panel.steps = 2000")
    for name in dict.fromkeys(("Start", pressed)):
        button = f"[...panel.querySelectorAll('button')].find(e => e.textContent.trim() == '{name}')"
        notebook.wait_for(f"() => !{button}.disabled", f"{name} to be enabled")
        page.evaluate(f"() => {button}.focus()")
        page.keyboard.press("Enter")
    if pressed == "Pause":
        page.locator("button", has_text="Resume").first.wait_for()
        page.keyboard.press("Enter")
    if pressed != "Stop":
        notebook.wait_for("() => /step [1-9]/.test(panel.textContent)", "a step")
        notebook.kernel_run("panel.stop()")
    time.sleep(1)  # until the page has rebuilt the panel
    focused = "document.activeElement.closest('.cnnw') && document.activeElement.textContent.trim()"
    notebook.wait_for(f"() => ({focused}) == 'Start'", "the focus on Start", 20)
    assert notebook.kernel_eval("panel.state") == "stopped"
