"""An explanation of one prediction: its parts agree with the verbs, for any model, and are made again."""

import inspect
import json
import math
import subprocess
import sys
from dataclasses import MISSING, fields

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.model.backend import keras
from cnnwidgets.report.explaining import ExplainSettings
from tests.tiny_networks import seeded

L = keras.layers
SHORT = {"units": 2, "steps": 2}


@pytest.fixture(scope="module")
def plain(net):
    return net("plain")


@pytest.fixture(scope="module")
def picture(noise):
    return noise(24, 20, 3)


@pytest.fixture(scope="module")
def explained(plain, picture):
    return cw.explain(plain, picture, target=3, **SHORT)


def test_its_parts_are_what_the_verbs_return(explained, plain, picture):
    assert explained.predictions == tuple(plain.predict(picture))
    assert explained.target == 3 and explained.about == "'class 3'"
    grad_cam, gradients, occlusion = explained.heatmaps
    (heat,) = cw.class_activation_map(plain, picture, target=3)
    np.testing.assert_array_equal(grad_cam.maps[0].raw, heat.raw)
    (heat,) = cw.attribution(plain, picture, 3, "occlusion")
    np.testing.assert_array_equal(occlusion.maps[0].raw, heat.raw)
    assert gradients.method == "integrated_gradients"
    curve = cw.faithfulness(plain, picture, heat, target=3, metric="insertion")
    assert occlusion.curves[0]["insertion"].area == curve.area
    (found,) = cw.unit_attribution(plain, picture, target=3)
    assert [unit.unit for unit in explained.units] == found.top(2).tolist()
    assert [unit.share for unit in explained.units] == found.shares[found.top(2)].tolist()
    pics = cw.visualize_units(plain, found.path, found.top(2), steps=2)
    np.testing.assert_array_equal(explained.units[1].portrait.pixels, pictures.to_uint8(pics.pictures[1]))


def test_the_probability_is_that_of_the_prediction(explained, plain, picture):
    (line,) = [one for one in explained.predictions if one.index == 3]
    assert explained.probability == pytest.approx(line.probability, abs=1e-6)


def test_each_picture_can_be_made_again_from_its_file(explained, plain, picture, tmp_path):
    explained.save(tmp_path / "why")
    again = [file for file in (tmp_path / "why").glob("*.png") if not file.name.startswith("picture")]
    assert len(again) == 3 + 1 + 2
    for file in again:
        assert cw.rerun(file, plain, picture) == file.read_bytes(), file.name


def test_the_code_makes_the_same_explanation(explained, plain, picture, tmp_path, monkeypatch):
    explained.save(tmp_path / "first")
    monkeypatch.chdir(tmp_path)
    exec(explained.recipe["code"], {"net": plain, "picture": picture})
    for file in (tmp_path / "first").iterdir():
        assert (tmp_path / "explanation" / file.name).read_bytes() == file.read_bytes(), file.name


def three_channels_and_one():
    """Two pictures of different sizes; two outputs."""
    photo, scan = keras.Input((16, 16, 3), name="photo"), keras.Input((24, 20, 1), name="scan")
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="of_photo")(photo))
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="of_scan")(scan))
    both = L.Concatenate()([x, y])
    kind, box = L.Dense(3, activation="softmax", name="kind")(both), L.Dense(4, name="box")(both)
    return keras.Model([photo, scan], {"kind": kind, "box": box}, name="both")


def segmentation():
    photo = keras.Input((16, 16, 3), name="photo")
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")(photo)
    return keras.Model(photo, L.Conv2D(3, 1, activation="softmax", name="scores")(x), name="segmentation")


def without_gradient():
    photo = keras.Input((16, 16, 3), name="photo")
    x = keras.ops.stop_gradient(L.Conv2D(4, 3, activation="relu", name="conv")(photo))
    return keras.Model(photo, L.Dense(3, name="logits")(L.GlobalAveragePooling2D()(x)), name="cut")


def saved(explanation, folder):
    page = explanation.save(folder)
    return page.read_text(encoding="utf-8"), json.loads((page.parent / "manifest.json").read_text(encoding="utf-8"))


def test_two_pictures_and_two_outputs(noise, tmp_path):
    net = cw.Network(seeded(three_channels_and_one()))
    given = {"photo": noise(16, 16, 3), "scan": noise(24, 20)}
    found = cw.explain(net, given, output="kind", methods=["gradient"], units=0)
    assert [heat.input for heat in found.heatmaps[0].maps] == ["photo", "scan"]
    assert all(set(curves) == {"deletion", "insertion"} for curves in found.heatmaps[0].curves)
    assert found.output == "kind" and set(found.outputs) == {"kind", "box"} and math.isfinite(found.probability)
    page, manifest = saved(found, tmp_path / "why")
    assert {"picture-1.png", "picture-2.png"} <= set(manifest["files"])
    assert "Output box" in page and "input scan" in page


def test_a_siamese_network_has_maps_and_units_for_both_pictures(net, noise, tmp_path):
    found = cw.explain(net("siamese"), [noise(32, 32, 3), noise(32, 32, 3, seed=8)], methods="grad_cam", **SHORT)
    assert [heat.input for heat in found.heatmaps[0].maps] == ["left", "right"]
    assert {unit.input for unit in found.units} == {"left", "right"} and len(found.units) == 4
    _, manifest = saved(found, tmp_path / "why")
    assert sum(name.startswith("unit-") for name in manifest["files"]) == 4


def test_a_segmentation_is_explained_inside_a_region(noise, tmp_path):
    net = cw.Network(seeded(segmentation()))
    picture = noise(16, 16, 3)
    found = cw.explain(net, picture, cw.targets.region(1, (2, 2, 10, 10)), methods="layer_cam", units=0)
    assert found.about == "'class 1' in the region" and math.isfinite(found.probability)
    saved(found, tmp_path / "why")
    file = tmp_path / "why" / "heatmap-layer_cam.png"
    assert cw.rerun(file, net, picture) == file.read_bytes()


def test_without_rows_and_columns_the_report_says_so(net, noise, tmp_path):
    found = cw.explain(net("dense_only"), noise(16, 16, 3), methods=["grad_cam", "gradient"], **SHORT)
    none, some = found.heatmaps
    assert none.maps == () and "rows and columns" in none.note and len(some.maps) == 1
    assert {unit.path for unit in found.units} == {"hidden"} and found.units[0].evidence is None
    page, manifest = saved(found, tmp_path / "why")
    assert "No heatmap: " in page and manifest["heatmaps"][0]["file"] is None


def test_without_a_gradient_the_other_methods_remain(noise, tmp_path):
    found = cw.explain(cw.Network(seeded(without_gradient())), noise(16, 16, 3), methods=["grad_cam", "occlusion"])
    assert "stop_gradient" in found.heatmaps[0].note and found.heatmaps[1].maps
    assert found.units == () and any(note.startswith("No shares of units: ") for note in found.notes)
    assert "No units are shown" in saved(found, tmp_path / "why")[0]


def test_a_function_is_a_target_too(plain, picture, tmp_path):
    found = cw.explain(plain, picture, lambda y: y[:, 0] - y[:, 1], methods="gradient", units=0)
    assert callable(found.target) and found.about == "your target" and math.isnan(found.probability)
    _, manifest = saved(found, tmp_path / "why")
    assert manifest["explained"]["target"] is None and manifest["explained"]["probability"] is None


def test_table_inputs_are_left_alone(net, noise):
    found = cw.explain(net("inputs_as_dict"), {"photo": noise(32, 32, 3)}, methods="grad_cam", units=0)
    assert len(found.heatmaps[0].maps) == 1 and found.units == ()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"target": "no such"}, cw.BadTarget, "no such"),
        ({"target": 9}, cw.BadTarget, "9"),
        ({"methods": ["gradcam"]}, cw.BadTarget, "grad_cam"),
        ({"methods": []}, cw.BadTarget, "methods must be a list"),
        ({"methods": 3}, cw.BadTarget, "methods must be a list"),
        ({"units": -1}, cw.BadTarget, "units must be an integer from 0 to 64, got -1"),
        ({"steps": 0}, cw.BadTarget, "got 0"),
        ({"layer": "conv9"}, cw.BadTarget, "conv1"),
        ({"output": "other"}, cw.BadTarget, "other"),
        ({"of": "odds"}, cw.BadTarget, "odds"),
        ({"against": 77}, cw.BadTarget, "77"),
        ({"size": 0}, cw.BadTarget, "0"),
        ({"seed": "x"}, cw.BadTarget, "seed"),
        ({"picture": "gone.png"}, cw.BadPicture, "gone.png"),
    ],
)
def test_bad_input_is_refused_before_anything_is_computed(plain, picture, wrong, error, message):
    with pytest.raises(error, match=message):
        cw.explain(plain, **{"picture": picture, **wrong})


CALLABLE = """
import sys
import {first}
import cnnwidgets as cw
assert callable(cw.explain), cw.explain
from cnnwidgets import explain
from cnnwidgets.explain import overlays
import cnnwidgets.explain.methods as methods
assert explain is cw.explain and callable(cw.explain)
assert cw.explain.methods is methods and cw.explain.overlays is overlays
assert "tensorflow" not in sys.modules
"""


@pytest.mark.parametrize("first", ["cnnwidgets", "cnnwidgets.explain.methods"])
def test_it_can_be_called_whatever_was_imported_before(first):
    subprocess.run([sys.executable, "-c", CALLABLE.format(first=first)], check=True)


def test_an_unknown_keyword_names_the_one_that_was_meant(plain, picture):
    with pytest.raises(TypeError, match="unexpected keyword argument .class_index.. Did you mean .target."):
        cw.explain(plain, picture, class_index=3)


def test_help_shows_the_verb():
    assert "Raises:" in inspect.getdoc(cw.explain) and "class_activation_map" in inspect.getdoc(cw.explain)


def test_the_signature_is_that_of_the_settings():
    given = inspect.signature(cw.explain).parameters
    own = {one.name: one.default for one in fields(ExplainSettings)}
    assert MISSING not in own.values()
    assert {name: p.default for name, p in given.items() if name not in ("net", "picture")} == own
