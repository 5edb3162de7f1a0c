"""Concepts in one's own pictures: directions that are known by construction are found, mapped, weighed and kept."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.explain import concepts as concepts_
from cnnwidgets.explain.concept_search import factorization
from cnnwidgets.explain.concept_search.crops import crops_of
from cnnwidgets.explain.concept_search.found_concepts import Concepts, notes_on
from cnnwidgets.explain.concept_search.importance import total_indices
from cnnwidgets.explain.concepts import concepts
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.visualize.ascent import ascend

L = keras.layers
HEAD = np.array([[3.0, -1.0], [1.0, 0.0], [-2.0, 0.5], [0.0, 0.0]], np.float32)  # [channels, classes]


def colors(bias=0.0, activation="relu"):
    """Channels 0 to 2 are red, green and blue, channel 3 is dead; two linear classes of their means."""
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(4, 1, activation=activation, name="conv")(x)
    out = L.Dense(2, name="logits")(L.GlobalAveragePooling2D(name="gap")(x))
    model = keras.Model(picture, out, name="colors")
    kernel = np.concatenate([np.eye(3), np.zeros((3, 1))], 1).reshape(1, 1, 3, 4)
    model.set_weights([kernel, np.array([bias, bias, bias, -1.0 if activation else 0.0]), HEAD, np.zeros(2)])
    return model


@pytest.fixture(scope="module")
def net():
    return Network(colors(), "unit", size=32)


@pytest.fixture(scope="module")
def photos():
    """Twelve pictures, each a block of one color on black, of several sizes."""
    made = []
    for index in range(12):
        picture = np.zeros((36 + 4 * (index % 3), 40, 3), np.float32)
        picture[4:28, 4:30, index % 3] = 0.5 + index / 24
        made.append(picture)
    return made


@pytest.fixture(scope="module")
def found(net, photos):
    return concepts(net, photos, "conv", target=0, count=3)


def color_of(found, index):
    return int(found.directions[index].argmax())


def test_directions_that_are_there_are_found(found):
    assert found.path == "conv"
    assert found.directions.shape == (3, 4)
    assert (found.directions >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1, atol=1e-5)
    assert sorted(color_of(found, i) for i in range(3)) == [0, 1, 2]
    assert found.directions.max(1).min() > 0.98
    assert found.explained > 0.95


def test_patches_show_the_concept_strongest_first(found):
    for index in range(3):
        patches = found.patches[index]
        assert patches.dtype == np.float32
        assert patches.shape[1:] == (96, 96, 3)
        assert 1 <= len(patches) <= 9
        means = patches[..., color_of(found, index)].mean((1, 2))
        assert (np.diff(means) < 1e-3).all()
        assert means[0] > 0.4


def test_a_map_is_where_the_concept_is(found, photos):
    maps = found.maps(photos[4])  # green
    assert len(maps) == 3
    for index, heat in enumerate(maps):
        assert heat.map.shape == photos[4].shape[:2]
        if color_of(found, index) == 1:
            assert heat.map[10:22, 10:24].min() > 0.9
            assert heat.map[32:, 34:].max() < 0.1
        else:
            assert heat.map.max() == 0
            assert heat.note.startswith("zero: ")


def test_the_importance_is_each_concepts_part_of_the_class(found, net, photos):
    order = [color_of(found, i) for i in range(3)]
    assert order == [0, 1, 2], "the most important first: red speaks for class 0, blue against it"
    assert found.importance[0] > 0 > found.importance[2]
    logits = [net.call([np.asarray(cw.load_picture(p))[None]])[0][0, 0].numpy() for p in photos]
    assert found.importance.sum() == pytest.approx(np.mean(logits), rel=0.05)


def test_another_class_has_another_importance(net, photos):
    other = concepts(net, photos, "conv", target=1, count=3)
    assert [color_of(other, i) for i in range(3)] == [2, 1, 0]


def test_sobol_indices_are_zero_for_what_does_not_matter(net, photos):
    one = concepts(net, photos, "conv", target=1, count=3, importance="sobol")
    by_color = {color_of(one, i): one.importance[i] for i in range(3)}
    assert by_color[1] == pytest.approx(0, abs=1e-6)
    assert by_color[0] > 0.2
    assert by_color[2] > 0.2
    assert one.method == "sobol"


def test_total_indices_are_those_of_a_known_function():
    weights = np.array([3.0, 1.0, 0.0])
    found = total_indices(lambda x: x @ weights, 3)
    np.testing.assert_allclose(found, weights**2 / (weights**2).sum(), atol=0.06)
    assert total_indices(lambda x: np.ones(len(x)), 3).tolist() == [0, 0, 0]


def test_the_factorization_is_as_good_as_scikit_learn_called_directly():
    from sklearn.decomposition import NMF

    numbers = np.random.default_rng(0)
    activations = numbers.random((60, 5)) @ numbers.random((5, 20)) + 0.1 * numbers.random((60, 20))
    directions, has_settled = factorization.factorized(activations, 5, 3)
    ours = np.linalg.norm(activations - factorization.coefficients(activations, directions) @ directions)
    model = NMF(5, init="nndsvda", max_iter=factorization.MOST_ROUNDS, random_state=3)
    direct = model.fit_transform(activations)
    assert has_settled
    assert ours <= np.linalg.norm(activations - direct @ model.components_) * 1.0001


@pytest.mark.parametrize("kind", ["usual", "duplicate", "nearly a duplicate", "dead", "more than channels"])
def test_no_nonnegative_coefficients_come_nearer(kind):
    numbers = np.random.default_rng(1)
    directions = np.abs(numbers.normal(size=(12 if kind == "more than channels" else 4, 9)))
    directions[1] = {"duplicate": directions[0], "dead": 0.0}.get(kind, directions[1])
    if kind == "nearly a duplicate":
        directions[1] = directions[0] + 1e-9 * directions[2]
    activations = np.concatenate([numbers.random((7, 9)), np.zeros((1, 9)), directions])
    found = factorization.coefficients(activations, directions)
    slope = (activations - found @ directions) @ directions.T  # of the squared error, halved, downwards
    assert found.min() >= 0 and slope.max() < 1e-9 and np.abs(slope * found).max() < 1e-9
    np.testing.assert_allclose(found[-len(directions) :] @ directions, directions, atol=1e-6)


def test_explained_is_measured_on_held_pictures_and_low_where_nothing_recurs():
    numbers = np.random.default_rng(2)
    planted = numbers.random((50, 3)) @ numbers.random((3, 30))
    noise = numbers.random((50, 30))
    for data, low, high in ((planted, 0.98, 1.0), (noise, 0.0, 0.3)):
        train, held = data[:40], data[40:]
        directions, _ = factorization.factorized(train, 3, 0)
        assert low <= factorization.explained(held, directions, train.mean(0)) <= high


def test_the_same_seed_gives_the_same_bytes(net, photos, found):
    again = concepts(net, photos, "conv", target=0, count=3)
    assert again.directions.tobytes() == found.directions.tobytes()
    assert again.importance.tobytes() == found.importance.tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(again.patches, found.patches, strict=True))
    assert again.explained == found.explained


def test_a_concept_can_be_optimized(found, net):
    *_, frame = ascend(net, found.objective(0), size=32, steps=12)
    red = frame.pictures[0].mean((0, 1))
    assert red[0] > red[1]
    assert red[0] > red[2]


def test_a_concept_is_optimized_in_the_proportions_of_its_channels(found):
    term = found.objective(0).terms[0]
    assert term.power == 2
    assert not term.before_activation
    np.testing.assert_allclose(term.vector, found.directions[0], atol=1e-5)


def test_negative_activations_are_split_by_sign_and_that_is_noted(photos):
    network = Network(colors(bias=-0.3, activation=None), "unit", size=32)
    found = concepts(network, photos, "conv", target=0, count=3)
    assert found.directions.shape == (3, 8)
    assert (found.directions >= 0).all()
    assert found.note.startswith("split by sign: ")
    assert found.explained > 0.5
    assert len(found.objective(0).terms[0].vector) == 4
    assert min(min(found.objective(i).terms[0].vector) for i in range(3)) < 0
    assert len(found.maps(photos[0])) == 3


def test_naming_and_merging_leave_the_first_value_as_it_was(found):
    named = found.named(0, "red").named(1, "green")
    assert named.names == ("red", "green", "")
    assert found.names == ("", "", "")
    assert "red" in repr(named)
    merged = named.merged(1, 0)
    assert len(merged) == 2
    assert merged.names == ("green", "")
    both = merged.directions[0]
    assert both[0] > 0.2
    assert both[1] > 0.2
    assert np.linalg.norm(both) == pytest.approx(1, abs=1e-5)
    assert merged.importance[0] == pytest.approx(found.importance[0] + found.importance[1], rel=1e-5)
    assert merged.explained < found.explained
    assert len(merged.patches[0]) == max(len(found.patches[0]), len(found.patches[1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.named(3, "x"), "There is no concept 3. They are 0 to 2."),
        (lambda f: f.named(-1, "x"), "There is no concept -1"),
        (lambda f: f.named(True, "x"), "There is no concept True"),
        (lambda f: f.named(0, 7), "name must be one line"),
        (lambda f: f.named(0, "a\nb"), "name must be one line"),
        (lambda f: f.named(0, "x" * 101), "name must be one line"),
        (lambda f: f.merged(1, 1), "Two different concepts"),
        (lambda f: f.merged(0, "1"), "There is no concept '1'"),
        (lambda f: f.objective(9), "There is no concept 9"),
    ],
)
def test_what_concepts_refuse(found, change, words):
    with pytest.raises(BadTarget, match=words):
        change(found)


def test_dead_and_duplicate_concepts_say_so():
    directions = np.array([[1, 0, 0], [0.99, 0.1, 0], [0, 0, 0], [0, 0, 1]], np.float32)
    notes = notes_on(directions, np.array([1, 1, 0, 1], np.float32))
    assert notes[0] == ""
    assert notes[1].startswith("duplicate: nearly the direction of concept 0 (cosine 0.99)")
    assert notes[2].startswith("dead: ")
    assert notes[3] == ""


def test_a_concept_without_anything_left_to_find_is_dead(net, photos):
    """Only two colors are there, so one of three directions has nothing."""
    two = [photo for index, photo in enumerate(photos) if index % 3 != 2]
    found = concepts(net, two, "conv", target=0, count=3)
    dead = [i for i, note in enumerate(found.notes) if note]
    assert len(dead) == 1
    assert found.notes[dead[0]].startswith(("dead", "duplicate"))


def test_saved_concepts_are_the_same_with_their_names(found, net, photos, tmp_path):
    path = found.named(0, "<b>red</b>").save(tmp_path / "found.json")
    again = Concepts.load(path, net)
    assert again.names[0] == "<b>red</b>"
    assert again.directions.tobytes() == found.directions.tobytes()
    assert again.importance.tobytes() == found.importance.tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(again.patches, found.patches, strict=True))
    assert (again.path, again.call, again.explained, again.about) == (found.path, 0, found.explained, found.about)
    for a, b in zip(again.maps(photos[0]), found.maps(photos[0]), strict=True):
        np.testing.assert_array_equal(a.map, b.map)
    assert again.merged(0, 1).explained == found.merged(0, 1).explained


def test_concepts_of_another_network_are_refused(found, tmp_path):
    path = found.save(tmp_path / "found.json")
    with pytest.raises(BadModel, match="found in another network"):
        Concepts.load(path, Network(colors(bias=0.5), "unit"))


DAMAGES = {
    "nothing": lambda given: b"",
    "pickle": lambda given: pickle.dumps({"format": "cnnwidgets concepts 1"}),
    "list": lambda given: b"[]",
    "deep": lambda given: b"[" * 100_000,
    "format": lambda given: {**given, "format": "other"},
    "shape": lambda given: {**given, "directions": {**given["directions"], "shape": [2**40, 4]}},
    "negative shape": lambda given: {**given, "directions": {**given["directions"], "shape": [-3, -4]}},
    "type": lambda given: {**given, "directions": {**given["directions"], "type": "object"}},
    "count": lambda given: {**given, "names": ["a"]},
    "no names": lambda given: {name: value for name, value in given.items() if name != "names"},
    "number": lambda given: {**given, "path": 3},
    "call": lambda given: {**given, "call": -1},
    "explained": lambda given: {**given, "explained": 7},
    "not base64": lambda given: {**given, "mean": {**given["mean"], "data": "%%%"}},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_in_one_sentence(found, net, tmp_path, damage):
    path = found.save(tmp_path / "found.json")
    made = DAMAGES[damage](json.loads(path.read_text()))
    path.write_bytes(made if isinstance(made, bytes) else json.dumps(made).encode())
    with pytest.raises(BadPicture, match="is damaged, or not a file of concepts"):
        Concepts.load(path, net)


def test_a_file_that_does_not_exist_is_refused(net, tmp_path):
    with pytest.raises(BadPicture, match="cannot be opened"):
        Concepts.load(tmp_path / "none.json", net)


@pytest.fixture
def folder(photos, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for index, photo in enumerate(photos):
        place = tmp_path / ("deep/er" if index % 2 else ".") / f"{index}.png"
        Image.fromarray((photo * 255).astype(np.uint8)).save(place)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (tmp_path / ".hidden" / "x.txt").write_text("never read")
    return tmp_path


def test_a_folder_is_read_with_its_subfolders_and_what_is_no_picture_is_listed(net, folder):
    found = concepts(net, str(folder), "conv", target=0, count=3)
    assert found.explained > 0.95
    assert "skipped: 2 files are not pictures" in found.note
    assert "notes.txt" in found.note
    assert "broken.jpg" in found.note
    assert ".hidden" not in found.note


def test_a_picture_of_a_list_that_cannot_be_read_is_an_error(net, photos, folder):
    with pytest.raises(BadPicture, match="notes.txt"):
        concepts(net, [*photos, folder / "notes.txt"], "conv", count=3)


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ("no-such-folder", "does not exist. Give a folder"),
        (b"bytes", "pictures must be a folder, a list of pictures or an array"),
        (7, "pictures must be a folder"),
        (np.zeros((9, 9, 3)), r"got an array of shape \(9, 9, 3\)\. Put a single picture in a list"),
        ([], "at least one picture, got none"),
        ([np.zeros((9, 9, 3))] * 3, "8 concepts need at least 8 pictures, got 3. Give more pictures, or count=3."),
    ],
)
def test_what_holds_too_few_pictures_is_refused(pictures, words):
    with pytest.raises(BadPicture, match=words.replace("[", r"\[")):
        concepts(Network(wide(), "unit"), pictures, "conv", count=8)


def wide():
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(9, 3, activation="relu", name="conv")(x)
    return keras.Model(picture, L.Dense(2, name="logits")(L.GlobalAveragePooling2D(name="gap")(x)), name="wide")


def test_an_empty_folder_is_refused(net, tmp_path):
    with pytest.raises(BadPicture, match="holds no files"):
        concepts(net, tmp_path, count=2)
    (tmp_path / "one.png").write_bytes(b"no")
    (tmp_path / "two.txt").write_bytes(b"no")
    with pytest.raises(BadPicture, match=r"2 concepts need at least 2 pictures, got 0 \(2 could not be read\)"):
        concepts(net, tmp_path, count=2)
    with pytest.raises(BadPicture, match="is a file; give its folder"):
        concepts(net, tmp_path / "one.png", count=2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": 0}, "count must be an integer from 1 to 64, got 0."),
        ({"count": 5}, "count must be at most 4, the number of channels"),
        ({"layer": "nope"}, "There is no layer 'nope'"),
        ({"target": 5}, "There is no class 5"),
        ({"importance": "shapley"}, "importance must be one of 'gradient_x_activation', 'sobol', got 'shapley'."),
        ({"call": 1}, "no call 1"),
        ({"crops": 3}, "crops must be an integer from 16"),
        ({"patches": 0}, "patches must be an integer from 1"),
        ({"seed": "x"}, "seed must be an integer"),
        ({"size": -1}, "size must be"),
    ],
)
def test_bad_settings_are_refused(net, photos, given, words):
    with pytest.raises(BadTarget, match=words):
        concepts(net, photos, **{"layer": "conv", "count": 3, **given})


def test_a_layer_that_is_zero_everywhere_is_refused(net):
    with pytest.raises(BadTarget, match="is zero for every crop"):
        concepts(net, [np.zeros((20, 20, 3), np.float32)] * 4, "conv", count=2)


def test_a_layer_without_rows_and_columns_has_concepts_but_no_maps(net, photos):
    found = concepts(net, photos, "gap", target=0, count=3)
    assert found.explained > 0.9
    assert found.importance[0] > 0
    with pytest.raises(BadTarget, match="has no rows and columns"):
        found.maps(photos[0])


def test_of_many_pictures_no_more_are_read_than_crops_are_wanted(net, photos, monkeypatch):
    read = []
    opened = Network.opened
    monkeypatch.setattr(Network, "opened", lambda self, given: read.append(1) or opened(self, given))
    found = concepts(net, photos * 5, "conv", target=0, count=3, crops=16, patches=2)
    assert len(read) <= 16 + 2 * 3
    assert found.directions.shape == (3, 4)


def test_crops_of_two_scales_lie_inside_the_picture_and_cover_it():
    for height, width in ((30, 40), (40, 30), (7, 90), (1, 1), (2, 3)):
        crops = crops_of(0, height, width)
        covered = np.zeros((height, width), bool)
        for crop in crops:
            assert crop.top >= 0
            assert crop.left >= 0
            assert crop.top + crop.side <= height
            assert crop.left + crop.side <= width
            covered[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side] = True
        assert covered.all()
    assert len({crop.side for crop in crops_of(0, 30, 40)}) == 2


LAYERS = {
    "plain": "conv2",
    "sequential": "conv",
    "nested": "backbone/deep.v2/conv",
    "siamese": "encoder/conv",
    "twice": "conv",
    "dense_only": "hidden",
    "subclassed": "block/deep_conv",
    "inputs_as_dict": "conv",
    "channels_first": "conv2",
    "mixed_float16": "conv",
    "with_state": "conv",
}


@pytest.mark.parametrize("name", LAYERS)
def test_any_model_has_concepts_and_stays_as_it_was(name, build, noise, snapshot_of):
    network = Network(build(name))
    before = snapshot_of(network.model)
    pictures = [noise(32, 40, 3, seed=seed) for seed in range(4)]
    given = [[one, one[::-1]] for one in pictures] if name == "siamese" else pictures
    found = concepts(network, given, LAYERS[name], count=2, crops=16)
    units = network.layer(LAYERS[name]).units
    assert found.directions.shape[1] in (units, 2 * units)
    assert np.isfinite(found.importance).all()
    assert 0 <= found.explained <= 1
    if name != "dense_only":
        assert all(heat.map.shape == (32, 40) for heat in found.maps(given[0]))
    assert snapshot_of(network.model) == before


def test_without_scikit_learn_the_command_is_given(net, photos, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.decomposition", None)
    with pytest.raises(ImportError, match=r'pip install "cnnwidgets\[concepts\]"'):
        concepts(net, photos, "conv", count=3)


def test_a_search_yields_a_frame_for_each_picture_and_decision(net, photos):
    frames = list(concepts_.ConceptsSettings(layer="conv", count=3).check(net, photos).frames())
    assert [f.step for f in frames] == list(range(1, len(frames) + 1))
    assert {f.steps for f in frames} == {len(frames)}
    assert frames[-1].found is not None
    assert all(f.found is None for f in frames[:-1])
