"""Every foreign string that a page shows, as an attack: what a stranger's model is called, files, and errors."""

LISTEN = "window.shots = 0; window.fired = () => { window.shots += 1; };"

# One cell: every panel run, with its code shown and an error told, and each name in it an attack.
CELL = r"""
import cnnwidgets as cw
import ipywidgets
from cnnwidgets.model.backend import keras

keras.utils.set_random_seed(0)
ATTACKS = ["<img src=x onerror=fired()>", "<script>fired()</script>", "\" onmouseover=fired() x=\"",
           "$\\href{javascript:fired()}{x}$", "</style><svg onload=fired()>", "\u202egnp.exe", "\0", "\U0001f600",
           "x" * 10_000]
ATTACK = "".join(ATTACKS[:-1])
one, two = (keras.Input((24, 24, 3), name=attack.replace("/", "|")) for attack in (ATTACKS[0], ATTACKS[2]))
x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(keras.layers.Concatenate()([one, two]))
x = keras.layers.Dense(len(ATTACKS), activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
hostile = cw.Network(keras.Model([one, two], x), "unit", ATTACKS)
hostile.name = ATTACK
photographs = [cw.samples.sample("chelsea")[::4, ::4]] * 2
panels = [
    cw.FilterGallery(hostile, "conv", range(4), steps=2), cw.ClassGallery(hostile, range(9), steps=2),
    cw.FeatureMapPanel(hostile, photographs), cw.HeatmapPanel(hostile, photographs, second_target=0, sanity_check=True),
    cw.DeepDreamPanel(hostile, photographs, "conv", octaves=1, steps=2), cw.AdversarialPanel(hostile, photographs),
    cw.UnitAttributionPanel(hostile, photographs),
]

def broken():
    raise ValueError(ATTACK)
    yield

def refuse(panel):
    panel.picture = ATTACK

for panel in panels:
    panel.run()
    panel._buttons["code"].click()
panels[0].unit, panels[1].unit = 1, 0
panels[3].hide(5, 5)
for panel in panels:
    panel.stop()
for panel in panels[::2]:  # a run that breaks, and a setting that is refused
    panel._frames = broken
    panel.start()
    panel._run.wait()
for panel in panels[3::2]:
    panel._guarded(refuse, panel)
panels[1]._guarded(panels[1]._add_class, ATTACK)
picker = cw.LayerPicker(hostile)
picker._search.value = ATTACK
explorer = cw.Explorer(hostile, photographs)
explorer._photographs._path.value = ATTACK.replace("\0", "")
explorer._networks._path.value = ATTACK.replace("\0", "") + ".keras"
explorer.tab = "Where it looks"
explorer.run()
for shown in (*panels, picker, explorer):
    display(shown)
print("all shown")
"""

# What has got into a page as more than text: a handler, an address that is code, an element that runs.
LEAKS = """() => [...document.querySelectorAll('.cnnw *')].filter(e =>
    ['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED', 'LINK', 'BASE'].includes(e.tagName)
    || [...e.attributes].some(a => a.name.startsWith('on'))
    || (e.getAttribute('href') || '').startsWith('javascript')
    || (e.tagName === 'IMG' && !/^(blob|data):/.test(e.src))).map(e => e.outerHTML.slice(0, 200))"""
HOVER = """() => document.querySelectorAll('.cnnw *').forEach(e => {
    for (const kind of ['mouseover', 'mouseenter', 'focus']) e.dispatchEvent(new MouseEvent(kind, {bubbles: true}));
})"""
SAID = "() => [...document.querySelectorAll('.cnnw')].map(e => e.textContent).join()"


def assert_nothing_ran(page):
    """After all has been shown: every attack is there to be read, and none has done anything."""
    page.evaluate(HOVER)
    page.wait_for_timeout(1000)  # a picture that cannot be loaded tells so a little later
    said = page.evaluate(SAID)
    for piece in (
        "<img src=x onerror=fired()>",
        "<script>fired()</script>",
        "</style><svg onload=fired()>",
        "href{jav",
    ):
        assert said.count(piece) > 10, f"{piece} was shown nowhere, so nothing was checked"
    assert page.evaluate("window.shots") == 0 and page.evaluate(LEAKS) == []
