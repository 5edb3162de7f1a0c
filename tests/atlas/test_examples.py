"""Examples of the user's own pictures in an atlas: strongest patches and histograms, in bounded memory."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets.activations.feature_maps import feature_maps
from cnnwidgets.atlas.examples import example_store, part_responses, search
from cnnwidgets.atlas.examples.patches import seen_part, seen_parts
from cnnwidgets.atlas.examples.responses import BINS, STRONGEST, Responses, from_bytes, histogram
from cnnwidgets.atlas.render_atlas import AtlasSettings
from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import resize, to_uint8
from tests.atlas.synthetic import synthetic
from tests.panels.conftest import small
from tests.tiny_networks import channels_first, dense_only, fire, nested, siamese

SETTINGS = {"size": 16, "steps": 1, "units": [0]}


@pytest.fixture(scope="module")
def photos():
    """Pictures of two sizes, in blocks of one color, so that a patch shows where it was cut."""
    numbers = np.random.default_rng(0)
    shapes = [(5, 6), (6, 4)]
    return [np.kron(numbers.random((*shapes[i % 2], 3)), np.ones((8, 8, 1))).astype(np.float32) for i in range(21)]


@pytest.fixture(scope="module")
def made(net, photos, tmp_path_factory):
    return cw.render_atlas(net, tmp_path_factory.mktemp("examples") / "a", pictures=photos, **SETTINGS)


def test_patches_are_those_of_the_strongest_responses(made, net, photos):
    assert made.examples == ("conv1", "conv2")
    for path, unit in (("conv1", 0), ("conv1", 5), ("conv2", 0), ("conv2", 19)):
        patches = made.patches(path, unit)
        assert patches.dtype == np.uint8
        assert patches.shape == (9, 48, 48, 3)
        best = cw.top_patches(net, photos, path, unit)
        values = made._known_examples(path).values((unit,))[0]
        np.testing.assert_allclose(values, [patch.value for patch in best], rtol=1e-4)
        whole = cw.receptive_field(net, path).size
        inner = [i for i, patch in enumerate(best) if patch.pixels.shape[:2] == whole]  # not cut off by the border
        for index in inner:
            expected = to_uint8(resize(best[index].pixels, (48, 48)))
            assert np.abs(patches[index].astype(int) - expected).mean() < 1
        assert inner


def test_a_unit_that_never_fires_has_no_patches(made):
    assert made.patches("conv2", 3).shape == (0, 48, 48, 3)


def test_a_histogram_counts_each_picture_once(made, net, photos):
    for path, unit in (("conv1", 2), ("conv2", 7), ("conv2", 3)):
        counts, edges = made.histogram(path, unit)
        values = [feature_maps(net, photo, [path])[path][..., unit].max() for photo in photos]
        assert counts.sum() == len(photos)
        assert len(edges) == len(counts) + 1
        assert edges[0] <= min(values)
        assert max(values) <= edges[-1]
        np.testing.assert_array_equal(counts, np.histogram(values, edges)[0])


@pytest.mark.parametrize("part", [1, 7, 200])
def test_responses_keep_the_strongest_and_merge_bins_exactly(part):
    numbers = np.random.default_rng(3)
    values = (numbers.normal(size=(200, 4)) * [0.01, 1, 1000, 0]).astype(np.float32)
    values[:, 1] = np.abs(values[:, 1])
    values[60:63, 0] = values[63, 0] = values[:, 0].max()  # of equal ones the earliest come first
    responses = Responses.none(4)
    for start in range(0, 200, part):
        own = values[start : start + part]
        rows, units = np.nonzero((own > responses.worst()) & (own != 0))
        indices = np.arange(start, start + len(own), dtype=np.int32)
        responses.add(indices, own, rows, units, np.repeat(indices[rows, None], 2, 1))
    for unit in range(3):
        order = np.argsort(-values[:, unit], kind="stable")[:STRONGEST]
        assert responses.pictures[unit].tolist() == order.tolist()
        assert responses.cells[unit, :, 0].tolist() == order.tolist()
        counts, edges = histogram(responses.counts[unit], int(responses.exponents[unit]))
        np.testing.assert_array_equal(counts, np.histogram(values[:, unit], edges)[0])
        assert counts.sum() == 200
        assert BINS // 4 <= len(counts) <= BINS
    assert responses.pictures[3].tolist() == [-1] * STRONGEST
    assert histogram(responses.counts[3], int(responses.exponents[3]))[0].tolist() == [200]
    again, rest = from_bytes(responses.to_bytes() + b"x", 4)
    assert rest == b"x"
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(vars(again).values(), vars(responses).values(), strict=True)
    )


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of four pictures, each saved at once."""
    monkeypatch.setattr(part_responses, "PART", 4)
    monkeypatch.setattr(search, "INTERVAL", 0.0)


def same(one, other):
    for path in one.layers:
        for unit in range(one[path].shape[0]):
            assert one.patches(path, unit).tobytes() == other.patches(path, unit).tobytes()
            assert all(
                np.array_equal(a, b)
                for a, b in zip(one.histogram(path, unit), other.histogram(path, unit), strict=True)
            )


@pytest.mark.parametrize("parts", [1, 3, 6, 7, 12])  # while it looks, follows layers to the picture, and cuts patches
def test_what_was_stopped_goes_on_where_it_was(net, photos, tmp_path, made, small_parts, monkeypatch, parts):
    looked = []
    frames = AtlasSettings(**SETTINGS).check(net, tmp_path / "b", photos).frames()
    for progress in frames:
        looked += [progress.looked.done] if progress.looked else []
        if len(looked) == parts:
            break
    frames.close()
    assert cw.open_atlas(tmp_path / "b").examples == (), "what is not complete is not shown"
    read = []
    opened = Network.opened
    monkeypatch.setattr(Network, "opened", lambda self, given: read.append(1) or opened(self, given))
    first = next(p for p in AtlasSettings(**SETTINGS).check(net, tmp_path / "b", photos).frames() if p.looked)
    assert first.looked.done > looked[-1] or looked[-1] == len(photos)
    assert len(read) <= 4 + len(photos)
    same(cw.render_atlas(net, tmp_path / "b", pictures=photos, **SETTINGS), made)


def test_what_was_stopped_between_two_layers_looks_at_no_picture_again(net, photos, tmp_path, made, monkeypatch):
    frames = AtlasSettings(**SETTINGS).check(net, tmp_path / "a", photos).frames()
    while not (next(frames) and cw.open_atlas(tmp_path / "a").examples):
        pass
    frames.close()
    assert cw.open_atlas(tmp_path / "a").examples == ("conv1",)
    monkeypatch.setattr(part_responses, "read_part", None)
    same(cw.render_atlas(net, tmp_path / "a", pictures=photos, **SETTINGS), made)


def test_each_picture_is_opened_once_to_look_and_once_to_cut(net, photos, tmp_path, made, monkeypatch):
    opened, given = Network.opened, []
    monkeypatch.setattr(Network, "opened", lambda self, one: given.append(one) or opened(self, one))
    same(cw.render_atlas(net, tmp_path / "a", pictures=photos, **SETTINGS), made)
    assert {sum(one is photo for one in given) for photo in photos} <= {1, 2}


@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (2, 6, 5), (3, 8), (2, 1, 1, 4)])
def test_the_strongest_responses_and_their_cells_are_found(shape):
    """Also where several are equal, and where a unit responds alike everywhere."""
    numbers = np.random.default_rng(1)
    activation = numbers.integers(0, 4, shape).astype(np.float32)
    activation[0, ..., 1] = 3
    maps = activation.reshape(shape[0], -1, shape[-1])  # [n, h * w, units]
    width = shape[2] if len(shape) == 4 else maps.shape[1]
    worst = np.where(np.arange(shape[-1]) % 2, -np.inf, 2).astype(np.float32)
    highest, *found = (one.numpy() for one in part_responses._strongest(tf.constant(activation), worst, 10))
    np.testing.assert_array_equal(highest, maps.max(1))
    expected = [
        (row, unit + 10, *divmod(int(maps[row, :, unit].argmax()), width))
        for row in range(shape[0])
        for unit in range(shape[-1])
        if maps[row, :, unit].max() > worst[unit] and (maps.shape[1] == 1 or np.ptp(maps[row, :, unit]))
    ]
    assert [(int(r), int(u), *c.tolist()) for r, u, c in zip(*found, strict=True)] == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_layer_whose_numbers_are_not_finite_is_named(photos, value):
    """Even where the device's ReLU makes 0 of NaN."""
    net = Network(small())
    kernel = net.model.get_layer("conv2").kernel
    kernel.assign(np.full(kernel.shape, value))
    parts = part_responses.responses_here(net, ("conv1", "conv2"), photos[:2], 0, Responses.none(26).worst)
    with pytest.raises(BadModel, match="The output of the layer 'conv2' .*NaN"):
        list(parts)


def test_a_state_that_was_cut_off_is_not_believed(net, photos, tmp_path, made, small_parts):
    frames = AtlasSettings(**SETTINGS).check(net, tmp_path / "a", photos).frames()
    while not ((progress := next(frames)).looked and progress.looked.done >= 12):
        pass
    frames.close()
    for file in tmp_path.glob(f"a/{example_store.STATE}-*/c/*"):
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    same(cw.render_atlas(net, tmp_path / "a", pictures=photos, **SETTINGS), made)


def test_the_same_pictures_are_not_read_again_and_others_replace_them(net, photos, tmp_path, made, monkeypatch):
    first = cw.render_atlas(net, tmp_path / "a", pictures=photos, **SETTINGS)
    read = []
    opened = Network.opened
    monkeypatch.setattr(Network, "opened", lambda self, given: read.append(1) or opened(self, given))
    same(cw.render_atlas(net, tmp_path / "a", pictures=photos, **SETTINGS), first)
    assert read == []
    assert list(tmp_path.glob(f"a/{example_store.STATE}-*")) == []
    other = cw.render_atlas(net, tmp_path / "a", pictures=photos[:5], **SETTINGS)
    assert other.histogram("conv1", 0)[0].sum() == 5
    assert len(other.patches("conv1", 0)) == 5


def test_a_layer_that_is_added_later_gets_its_examples(net, photos, tmp_path, made):
    cw.render_atlas(net, tmp_path / "a", layers=["conv1"], pictures=photos, **SETTINGS)
    atlas = cw.render_atlas(net, tmp_path / "a", layers=["conv1", "conv2"], pictures=photos, **SETTINGS)
    same(atlas, made)


def test_files_that_cannot_be_read_are_listed_and_skipped(net, photos, tmp_path, made):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, photo in enumerate(photos):
        Image.fromarray(np.round(photo * 255).astype(np.uint8)).save(folder / f"{index:02d}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    (folder / "notes.txt").write_text("no")
    atlas = cw.render_atlas(net, tmp_path / "a", pictures=str(folder), **SETTINGS)
    assert [re.split(":", one)[0] for one in atlas.skipped] == ["broken.jpg", "notes.txt"]
    assert atlas.histogram("conv1", 0)[0].sum() == len(photos)
    assert made.skipped == ()


def test_memory_does_not_grow_with_the_pictures(net, photos, tmp_path, monkeypatch):
    """As many pictures as one part has are there at once."""
    held, most = [0], [0]

    class Counted(np.ndarray):
        def __array_finalize__(self, _):
            held[0] += 1
            most[0] = max(most[0], held[0])

        def __del__(self):
            held[0] -= 1

    fitted = Network.fitted
    monkeypatch.setattr(part_responses, "PART", 4)
    monkeypatch.setattr(Network, "fitted", lambda self, *a: [one.view(Counted) for one in fitted(self, *a)])
    cw.render_atlas(net, tmp_path / "a", layers=["conv1"], pictures=photos, **SETTINGS)
    assert 4 <= most[0] <= 12


@pytest.mark.parametrize(
    ("pictures", "words"),
    [("no-such-folder", "does not exist"), ([], "at least one picture"), (3, "pictures must be a folder"),
     (["a.png", "b.png"], "None of the 2 pictures can be read. The first: a.png")],
)  # fmt: skip
def test_what_holds_no_pictures_is_refused(net, tmp_path, pictures, words):
    with pytest.raises(BadPicture, match=words):
        cw.render_atlas(net, tmp_path / "a", layers=["conv1"], pictures=pictures, **SETTINGS)


def test_an_atlas_without_examples_says_how_to_get_them(tmp_path):
    atlas = synthetic(tmp_path / "a", {"conv1": 4})
    assert atlas.examples == ()
    for ask in (atlas.patches, atlas.histogram):
        with pytest.raises(BadTarget, match="no examples for 'conv1'.*pictures=folder"):
            ask("conv1", 0)
        with pytest.raises(BadTarget, match="no layer 'conv9'"):
            ask("conv9", 0)


@pytest.mark.parametrize("unit", [-1, 6, True, "0", None])
def test_an_unknown_unit_is_refused(made, unit):
    with pytest.raises(BadTarget, match="Its units are 0 to 5"):
        made.patches("conv1", unit)


def test_foreign_examples_are_refused_before_they_are_read(net, photos, tmp_path):
    cw.render_atlas(net, tmp_path / "a", layers=["conv1"], pictures=photos[:3], **SETTINGS)
    (file,) = tmp_path.glob("a/examples/*/patches/zarr.json")
    file.write_text(file.read_text().replace('"uint8"', '"int8"'))
    with pytest.raises(BadTarget, match="damaged"):
        cw.open_atlas(tmp_path / "a").patches("conv1", 0)


def test_the_page_has_patches_and_histograms(made, tmp_path):
    page = made.to_html(tmp_path / "atlas.html").read_text()
    assert 'id="p-0-0"' in page
    assert '"histograms"' in page
    counts = json.loads(page.split('id="atlas">')[1].split("</script>")[0])["layers"][1]["patches"]
    assert counts == [len(made.patches("conv2", unit)) for unit in made.units("conv2")] and 0 in counts
    assert page.count("</script>") == page.count("<script")


@pytest.mark.parametrize("make", [fire, nested, siamese, channels_first, dense_only])
def test_layers_that_are_followed_together_see_what_each_sees_alone(make):
    net = Network(make())
    paths = [info.path for info in net.layers if info.calls]
    together = list(seen_parts(net, paths))
    assert together == [seen_part(net, path) for path in paths]
    assert len(set(together)) > (make is not dense_only)


@pytest.mark.parametrize("path", ["conv1", "conv2"])
def test_the_part_that_a_cell_sees_is_its_receptive_field(net, path):
    part, field = seen_part(net, path), cw.receptive_field(net, path)
    assert part.size == field.size
    assert part.stride == field.stride
    assert part.first == tuple(start + size / 2 for start, size in zip(field.start, field.size, strict=True))
    for cell in ((0, 0), (3, 5)):
        top, left, bottom, right = part.square(cell, (40, 60), (80, 120))
        assert 0 <= top < bottom <= 80
        assert 0 <= left < right <= 120
        assert bottom - top == right - left
