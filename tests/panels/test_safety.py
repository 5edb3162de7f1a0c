"""Names come out of models that anybody can send: on the page they are text."""

import html.parser

import pytest

import cnnwidgets as cw
from cnnwidgets.model import layers
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import charts, markup
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery

ATTACK = "x\"'><img src=x onerror=alert(1)><script>alert(2)<%2fscript>"


class Tags(html.parser.HTMLParser):
    """Notes the tags and attributes of HTML."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = set(), set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.words += data


OURS = {"b", "div", "polyline", "pre", "span", "style", "svg", "title"}


def assert_harmless(texts):
    for text in texts:
        tags = Tags(text)
        assert tags.tags <= OURS, text
        assert not [name for name in tags.attributes if name.startswith("on") or name in ("href", "src")], text


@pytest.fixture
def hostile(build, monkeypatch):
    """TensorFlow refuses such names in its graphs, so far; a page that relies on that is not safe."""
    by_path = layers.by_path
    monkeypatch.setattr(
        layers,
        "by_path",
        lambda model: {path.replace("conv1", ATTACK): layer for path, layer in by_path(model).items()},
    )
    return Network(build(), class_names=[ATTACK + str(n) for n in range(4)], name=ATTACK)


def test_a_hostile_model_is_shown_as_text(hostile, opened, texts, waiting):
    gallery = opened(FilterGallery(hostile, ATTACK, units=[0, 1], size=16, steps=3))
    seen = texts(gallery)
    gallery.run()
    gallery._buttons["code"].click()
    seen += texts(gallery)
    gallery.unit = 1
    waiting(lambda: not gallery.enlarged.current.is_busy)
    gallery.stop()
    seen += texts(gallery)
    gallery._guarded(gallery._set, "layer", ATTACK + "nope")
    seen += texts(gallery)
    assert_harmless(seen)
    named = [text for text in seen if "onerror" in text]
    assert len(named) > 5 and ATTACK in "".join(Tags(text).words for text in named)


def test_a_hostile_error_is_shown_as_text(toy, reel, texts, waiting):
    toy.reel = reel(3, ValueError(ATTACK + "\x1b[31m"), 2)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    assert "onerror" in toy.status and "\x1b" not in toy.status
    assert_harmless(texts(toy))


def test_a_hostile_model_is_listed_as_text(hostile, opened, texts):
    picker = opened(cw.LayerPicker(hostile, ATTACK))
    picker._search.value = ATTACK
    assert_harmless(texts(picker))
    assert any("onerror" in text for text in texts(picker))


@pytest.mark.parametrize("text", [ATTACK, "\x00", "a\nb", "&lt;", "{{x}}"])
def test_every_piece_of_markup_escapes(text):
    made = [
        markup.status(text), markup.status(text, True), markup.title(text), markup.code(text), markup.empty(text),
        markup.progress(0.5, text), markup.progress_text(text), charts.curve([1, 2], 2, text),
        markup.tiles(2, 1, 0.2, [(text, text, ""), (text, "", text)], 1),
    ]  # fmt: skip
    assert_harmless(made)
    for piece in made:
        assert text.strip("\x00") in Tags(piece).words or "\x00" in text


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\n b\t c", "a b c"), ("\x1b[1mbold", " [1mbold"), ("x" * 400, "x" * 300), ("", ""), ("\u202eevil", " evil")],
)
def test_a_status_is_one_printable_line(text, line):
    assert markup.one_line(text) == line
