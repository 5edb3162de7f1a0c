"""Concepts as rows: found, visualized, named, merged, saved and loaded."""

import io
import re

import numpy as np
import PIL.Image
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.explain.concept_search.found_concepts import tiles_of
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base.base_panel import WIDE
from cnnwidgets.panels.concepts import concept_rows_run
from cnnwidgets.pictures import to_png
from tests.explain.test_concepts import colors
from tests.tiny_networks import MODELS, seeded


@pytest.fixture(scope="module")
def net():
    return Network(colors(), "unit", ["red", "<b>blue</b>"], size=32)


@pytest.fixture(scope="module")
def photos():
    """Nine pictures, each a block of one color on black."""
    made = []
    for index in range(9):
        picture = np.zeros((24, 32, 3), np.float32)
        picture[4:20, 4:20, index % 3] = 0.5 + index / 20
        made.append(picture)
    return made


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(concept_rows_run, "STEPS", 2)
    monkeypatch.setattr(concept_rows_run, "SIZE", 16)


@pytest.fixture
def make(net, photos, opened):
    """`make(...)` is a panel, closed after the test."""
    return lambda pictures=None, **keywords: opened(
        cw.ConceptPanel(net, photos if pictures is None else pictures, **{"layer": "conv", "count": 3, **keywords})
    )


def shown_rows(panel):
    return [row for row in panel.rows.rows if row.layout.display == ""]


def test_the_result_is_what_the_verb_returns(make, net, photos):
    panel = make(target="red")
    found, expected = panel.run(), cw.concepts(net, photos, "conv", "red", 3)
    assert found.directions.tobytes() == expected.directions.tobytes()
    assert found.importance.tobytes() == expected.importance.tobytes()
    assert panel.state == "done"
    assert panel.progress == 1
    assert len(shown_rows(panel)) == 3


def test_a_row_shows_patches_picture_importance_and_map(make):
    panel = make(target=0)
    panel.run()
    for row in shown_rows(panel):
        for part in (row.patches, row.picture, row.map):
            assert "data:image/jpeg;base64," in part.value
            assert re.search(r'(alt|aria-label)="[^"]+concept', part.value)
        assert 'role="img"' in row.bar.value
    assert "explain" in panel._notes.value


def test_pictures_along_the_directions_arrive_step_by_step(make, net):
    looks = list(make()._frames())
    assert [look.step for look in looks] == list(range(1, looks[-1].steps + 1))
    assert set(looks[-1].drawn) == {0, 1, 2}
    as_a_class = {
        "parametrization": cw.parametrizations.fourier(1.25),
        "transforms": [cw.transforms.crop(0.55, 0.95), cw.transforms.noise(0.03)],
    }
    *_, frame = cw.ascend(net, looks[-1].found.objective(1), 16, 2, **as_a_class)
    assert np.array_equal(looks[-1].drawn[1].pixels, frame.pictures[0])


def test_the_chosen_concept_lies_on_the_photograph(make, net, photos):
    panel = make(target=0)
    found = panel.run()
    seen = {}
    for index in range(3):
        panel.concept = index
        seen[index] = panel.screen.data
        heat = found.maps(photos[0])[index]
        assert np.array_equal(panel._paint(panel._last), cw.pictures.overlay(photos[0], heat.map))
    assert len(set(seen.values())) == 2, "only one color is in the first photograph"
    panel.photograph = 1
    panel._run.wait()
    assert np.array_equal(panel._last.photo, photos[1])
    assert panel.result is found, "nothing is searched again"


def test_one_picture_and_one_concept_are_singular(make, photos):
    panel = make(pictures=photos[:1], count=1)
    assert "1 picture into crops and searches 1 concept in conv" in panel._invitation()
    panel.run()
    assert "1 concept in conv. Name it." in panel.status


def test_rows_stand_side_by_side_on_a_wide_page(make):
    panel = make()
    assert (panel.layout.width, panel.layout.max_width, panel.rows.layout.flex_flow) == ("100%", WIDE, "row wrap")


def test_naming_and_merging(make):
    panel = make(target=0)
    found = panel.run()
    panel.name(0, "<i>warm</i>")
    assert panel.result.names[0] == "<i>warm</i>"
    assert shown_rows(panel)[0].name.value == "<i>warm</i>"
    assert "<i>" not in shown_rows(panel)[0].bar.value
    panel.merge(0, 2)
    panel._run.wait()
    assert len(panel.result) == 2
    assert panel.result.names == ("<i>warm</i>", "")
    assert panel.result.directions.tobytes() == found.named(0, "x").merged(0, 2).directions.tobytes()
    assert len(shown_rows(panel)) == 2
    assert set(panel._last.drawn) == {0, 1}
    panel.run()
    assert len(panel.result) == 3, "Start searches again"


def test_the_buttons_of_a_row_name_choose_and_merge(make):
    panel = make(target=0)
    panel.run()
    rows = shown_rows(panel)
    rows[1].name.value = "second"
    assert panel.result.names[1] == "second"
    rows[1].choose.click()
    assert panel.concept == 1
    assert rows[1].merge.disabled
    rows[0].merge.click()
    panel._run.wait()
    assert len(panel.result) == 2
    assert panel.result.names[0] == "second"
    assert panel.concept == 0


def test_saved_concepts_are_loaded_with_their_names(make, net, tmp_path, opened):
    panel = make(target=0)
    panel.run()
    panel.name(1, "green things")
    path = panel.save(tmp_path / "mine.json")
    other = make(count=2)
    other.load(path)
    other._run.wait()
    assert other.state == "done"
    assert other.result.names[1] == "green things"
    assert other.count == 3
    assert len(shown_rows(other)) == 3
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(BadPicture, match="damaged"):
        other.load(tmp_path / "bad.json")
    assert other.result.names[1] == "green things"
    with pytest.raises(BadModel):
        opened(cw.ConceptPanel(Network(colors(bias=0.1), "unit"), [np.ones((9, 9, 3))] * 3, "conv", count=2)).load(path)


def test_the_file_buttons_write_and_read_in_the_notebooks_folder(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = make()
    panel._guarded(panel._save_file)
    assert "no finished concepts" in panel.status
    panel.run()
    panel._save_file()
    assert (tmp_path / "concepts.json").exists()
    panel._file.value = "none.json"
    panel._guarded(lambda: panel.load(panel._file.value))
    assert "cannot be opened" in panel.status


def test_the_saved_picture_is_made_again(make, net, photos, tmp_path):
    panel = make(target="red", seed=3)
    found = panel.run()
    path = panel.save(tmp_path / "found.png")
    assert np.array_equal(np.asarray(PIL.Image.open(path)), tiles_of(found))
    assert cw.rerun(path, net, photos) == path.read_bytes()
    with pytest.raises(BadPicture, match="other pictures"):
        cw.rerun(path, net, photos[:5])
    with pytest.raises(BadPicture, match="need the pictures"):
        cw.rerun(path, net)
    panel.name(0, "warm")
    named = panel.save(tmp_path / "named.png")
    with pytest.raises(BadTarget, match="named or merged"):
        cw.rerun(named, net, photos)


def test_the_snippet_finds_the_same(make, net, photos):
    panel = make(target="red", seed=3)
    found = panel.run()
    names = {"net": net, "pictures": photos}
    exec(panel.snippet(), names)
    assert names["found"].directions.tobytes() == found.directions.tobytes()


def test_another_setting_searches_again_once_there_are_concepts(make):
    panel = make(target=0)
    panel.count = 2
    assert panel.state == "idle"
    assert panel.result is None
    panel.run()
    panel.target = 1
    panel._run.wait()
    assert panel.state == "done"
    assert "blue" in panel.result.about
    assert "&lt;b&gt;blue" in shown_rows(panel)[0].bar.value


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("layer", "nope", BadTarget, "no layer 'nope'"),
        ("count", 0, BadTarget, "count must be"),
        ("count", 60, BadTarget, "count must be at most 4"),
        ("importance", "x", BadTarget, "importance must be one of"),
        ("target", "purple", BadTarget, "no class 'purple'"),
        ("concept", 3, BadTarget, "concept must be an integer from 0 to 2"),
        ("photograph", 9, BadTarget, "photograph must be an integer from 0 to 8"),
        ("pictures", [], BadPicture, "at least one picture"),
        ("seed", None, BadTarget, "seed must be"),
    ],
)
def test_a_wrong_setting_is_refused_and_the_old_one_stays(make, name, value, error, words):
    panel = make()
    before = getattr(panel, name)
    with pytest.raises(error, match=words):
        setattr(panel, name, value)
    assert getattr(panel, name) is before
    assert re.search(words, panel.status)


def test_the_constructor_refuses_what_the_verb_refuses(net, photos, tmp_path):
    for given, error in (({"count": 99}, BadTarget), ({"pictures": tmp_path}, BadPicture), ({"layer": "x"}, BadTarget)):
        with pytest.raises(error):
            cw.ConceptPanel(net, **{"pictures": photos, "layer": "conv", "count": 3, **given})


def test_a_folder_whose_first_file_is_no_picture(make, photos, tmp_path):
    (tmp_path / "0.txt").write_text("no")
    for index, photo in enumerate(photos):
        (tmp_path / f"{index + 1}.png").write_bytes(to_png(photo))
    panel = make(tmp_path)
    assert panel.photograph == 1
    panel.run()
    assert "0.txt" in panel.result.note
    assert "0.txt" in panel._notes.value


def test_stop_keeps_what_is_there(make):
    panel = make()
    panel.start()
    panel.stop()
    assert panel.state in ("stopped", "done")
    assert PIL.Image.open(io.BytesIO(panel.screen.data)).size == (32, 24)


@pytest.mark.parametrize("name", ["sequential", "siamese", "dense_only", "channels_first", "inputs_as_dict"])
def test_every_kind_of_model(name, opened):
    network = Network(seeded(MODELS[name]()))
    numbers = np.random.default_rng(0)
    pictures = [numbers.random((32, 32, 3)).astype(np.float32) for _ in range(3)]
    given = [[one, one[::-1]] for one in pictures] if name == "siamese" else pictures
    layer = {"siamese": "encoder/conv", "dense_only": "hidden", "channels_first": "conv2"}.get(name, "conv")
    panel = opened(cw.ConceptPanel(network, given, layer, count=2, crops=16))
    panel.run()
    assert panel.state == "done", panel.status
    assert len(shown_rows(panel)) == 2


def test_closing_it_leaves_nothing(net, photos):
    import ipywidgets

    before = set(ipywidgets.widgets.widget._instances)
    panel = cw.ConceptPanel(net, photos, "conv", count=3)
    panel.run()
    panel.close()
    assert set(ipywidgets.widgets.widget._instances) <= before
