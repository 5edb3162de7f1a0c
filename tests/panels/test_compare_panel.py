"""ComparePanel: two networks at the same seed, and what has no partner."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.model.backend import keras

L = keras.layers
PROBE = np.random.default_rng(0).random((12, 12, 3)).astype(np.float32)


def network(seed, units=10, head="logits", extra=False):
    keras.utils.set_random_seed(seed)
    layers = [L.Conv2D(units, 3, activation="relu", name="conv"), *([L.Conv2D(units, 1, name="more")] if extra else [])]
    return keras.Sequential(
        [
            keras.Input((12, 12, 3), name="picture"),
            *layers,
            L.GlobalAveragePooling2D(name="gap"),
            L.Dense(3, name=head),
        ],
        name=f"net{seed}",
    )


@pytest.fixture(scope="module")
def pair():
    before, after = network(1), network(1)
    kernel, bias = after.get_layer("conv").weights
    changed = kernel.numpy()
    changed[..., 7] = -changed[..., 7]
    changed[..., 2] *= 3
    kernel.assign(changed)
    bias.assign(np.full(10, 0.4, np.float32))
    before.get_layer("conv").bias.assign(np.full(10, 0.4, np.float32))
    return cw.Network(before), cw.Network(after)


@pytest.fixture
def panel(pair, opened):
    return opened(cw.ComparePanel(*pair, layer="conv", picture=PROBE, steps=3))


def test_both_galleries_are_those_of_each_network_at_the_same_seed(panel, pair):
    found = panel.run()
    assert panel.state == "done"
    for net, made in zip(pair, (found.before, found.after), strict=True):
        alone = cw.visualize_units(net, "conv", found.units, steps=3)
        assert np.array_equal(made.pictures, alone.pictures)
        assert made.notes == alone.notes
    shown = np.concatenate([found.before.pictures, found.after.pictures])
    assert np.array_equal(panel._last.pictures, shown)


def test_units_are_ranked_by_how_far_they_moved(panel, pair):
    found = panel.run()
    assert found.units[0] == 7
    assert found.moved == pytest.approx(cw.compare_units(*pair, "conv", [PROBE]))
    assert list(found.units) == list(np.argsort(-found.moved, kind="stable")[:8])
    assert f"<span>{found.moved[7]:.2f}</span>" in panel._moved.value


def test_heatmaps_and_predictions_of_both_are_there(panel, pair):
    found = panel.run()
    for net, heat, predictions in zip(
        pair, (found.heat_before, found.heat_after), (found.predictions_before, found.predictions_after), strict=True
    ):
        assert np.array_equal(heat[0].raw, cw.class_activation_map(net, PROBE, "conv")[0].raw)
        assert predictions == net.predict(PROBE)
    assert not panel.heat.is_empty
    assert "Predicted after" in panel._predictions.value


def test_units_that_are_named_are_shown_and_pictures_rank_them(pair, opened):
    numbers = np.random.default_rng(1).random((3, 12, 12, 3), np.float32)
    panel = opened(cw.ComparePanel(*pair, "conv", pictures=numbers, units=[4, 1], steps=2))
    found = panel.run()
    assert found.units == (4, 1)
    assert found.moved == pytest.approx(cw.compare_units(*pair, "conv", numbers))
    assert found.heat_before == ()


def test_without_pictures_nothing_is_ranked(pair, opened):
    panel = opened(cw.ComparePanel(*pair, steps=2))
    assert panel.run().moved is None
    assert "pictures=" in panel.status


def test_layers_without_a_partner_are_listed(opened):
    panel = opened(cw.ComparePanel(network(1, head="old"), network(2, extra=True), steps=2))
    assert "only before: old" in panel._unmatched.value
    assert "only after: more" in panel._unmatched.value
    assert set(panel._layers.options) == {"conv", "gap"}
    found = panel.run()
    assert (found.only_before, found.only_after) == (("old",), ("more", "logits"))


@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        ({"layer": "nope"}, cw.BadTarget, "no layer 'nope'"),
        ({"layer": "old"}, cw.BadTarget, "'old' has no partner"),
        ({"units": [10]}, cw.BadTarget, "0 to 9"),
        ({"steps": 0}, cw.BadTarget, "steps must be"),
        ({"picture": "nowhere.png"}, cw.BadPicture, "nowhere.png"),
        ({"pictures": []}, cw.BadPicture, "pictures must"),
        ({"pictures": 3}, cw.BadPicture, "pictures must"),
    ],
)
def test_what_cannot_be_compared_is_refused_at_once(settings, kind, said):
    with pytest.raises(kind, match=said):
        cw.ComparePanel(network(1, head="old"), network(2), **settings)


def test_networks_with_nothing_in_common_are_refused():
    picture = keras.Input((12, 12, 3))
    other = keras.Model(picture, L.Dense(2, name="other")(L.Flatten(name="flat")(picture)))
    with pytest.raises(cw.BadTarget, match="no layer in common"):
        cw.ComparePanel(network(1), other)


def test_another_layer_or_seed_begins_again(panel, waiting):
    panel.run()
    panel.seed = 5
    waiting(lambda: panel.state == "done")
    assert panel.result.before is not None
    with pytest.raises(cw.BadTarget):
        panel.layer = "nope"
    assert panel.layer == "conv"


def test_what_is_saved_says_which_networks_it_is_of(panel, pair, tmp_path):
    panel.run()
    png = panel.save(tmp_path / "two.png")
    made = pictures.read_png_metadata(png)
    assert made["networks"] == [net.name for net in pair]
    assert made["fingerprints"] == [net.fingerprint() for net in pair]
    assert made["settings"]["units"] == list(panel.result.units)
    with pytest.raises(cw.BadTarget, match=r"ComparePanel shows two networks, so it cannot be rerun\. Open cw\.Comp"):
        cw.rerun(png, pair[0])


def test_the_code_makes_the_same_pictures(panel, pair):
    found = panel.run()
    names = {"before": pair[0], "after": pair[1], "pictures": [PROBE]}
    exec(compile(panel.snippet(), "snippet", "exec"), names)
    assert np.array_equal(names["pics_before"].pictures, found.before.pictures)
    assert np.array_equal(names["pics"].pictures, found.after.pictures)
    assert names["moved"] == pytest.approx(found.moved)


def test_closing_frees_all_widgets(pair, page, living):
    panel = cw.ComparePanel(*pair, "conv", PROBE, steps=2)
    panel.run()
    panel.close()
    assert living() == []
