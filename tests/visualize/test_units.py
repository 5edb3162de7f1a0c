"""Pictures of units: the same bytes whatever stands beside them, and the same in every process."""

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.visualize import units
from cnnwidgets.visualize.objectives import unit
from cnnwidgets.visualize.terms.objective_values import Values
from cnnwidgets.visualize.units import UnitsSettings, visualize_units

L = keras.layers


@pytest.fixture
def small_batch(monkeypatch):
    monkeypatch.setattr(units, "batch_size", lambda *_: 3)


# -- the same bytes


def test_a_units_picture_alone_is_the_same_bytes_as_among_others(net, small_batch):
    """Forty steps of Adam make a difference in the last bit visible, as another batch shape makes one here."""
    some = [5, 0, 71]
    among = visualize_units(net("fire"), "concat", some, size=48, steps=40, seed=2)
    for fewer in ([0], [5, 0]):
        pics = visualize_units(net("fire"), "concat", fewer, size=48, steps=40, seed=2)
        for unit_, picture, value in zip(fewer, pics.pictures, pics.values, strict=True):
            assert picture.tobytes() == among.pictures[some.index(unit_)].tobytes()
            assert value == among.values[some.index(unit_)]


def test_order_and_repetition_of_units_change_nothing(net, small_batch):
    one = visualize_units(net("plain"), "conv2", [1, 2, 3, 4], size=16, steps=6)
    other = visualize_units(net("plain"), "conv2", (4, 3, 3, 1, 2), size=16, steps=6)
    assert other.units == (4, 3, 3, 1, 2)
    for row, which in enumerate(other.units):
        np.testing.assert_array_equal(other.pictures[row], one.pictures[which - 1])


def test_a_fresh_process_makes_the_same_bytes_without_a_line(build, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import hashlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.tiny_networks import _build\n"
        "from cnnwidgets.visualize.units import visualize_units\n"
        "pics = visualize_units(_build('plain'), 'conv2', [0, 3, 8], size=24, steps=48, seed=1)\n"
        "print(hashlib.sha256(pics.pictures.tobytes() + pics.values.tobytes()).hexdigest(), pics.notes)\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS_", "TF_"))}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(program), str(Path(__file__).parents[2])]
    there = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    here = visualize_units(build("plain"), "conv2", [0, 3, 8], size=24, steps=48, seed=1)
    expected = hashlib.sha256(here.pictures.tobytes() + here.values.tobytes()).hexdigest()
    assert (there.returncode, there.stderr) == (0, "")
    assert there.stdout == f"{expected} {here.notes}\n"


def test_another_seed_is_another_picture(net):
    one, other = (visualize_units(net("plain"), "conv2", [3], size=16, steps=6, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.pictures, other.pictures)


# -- what is returned


def test_the_result_has_pictures_units_values_and_notes(net):
    pics = visualize_units(net("plain"), "conv2", np.array([3, 8]), size=(16, 24), steps=4)
    assert pics.pictures.shape == (2, 16, 24, 3) and pics.pictures.dtype == np.float32
    assert pics.pictures.min() >= 0 and pics.pictures.max() <= 1
    assert pics.units == (3, 8) and pics.notes == ("", "") and pics.values.dtype == np.float32
    assert repr(pics) == "UnitPictures(2 pictures (16, 24, 3), 0 with a note)"


def test_values_are_what_the_network_answers_to_the_picture_in_8_bits(net, value_of):
    pics = visualize_units(net("plain"), "conv2", [3, 8], size=16, steps=4)
    eight_bits = (np.round(pics.pictures * 255) / 255).astype(np.float32)
    np.testing.assert_allclose(pics.values, value_of(net("plain"), unit("conv2", [3, 8]), eight_bits), atol=1e-5)


def test_more_steps_reach_more(net):
    values = [visualize_units(net("plain"), "conv2", [0, 6], size=16, steps=n).values for n in (1, 16)]
    assert (values[1] > values[0] + 0.02).all()


@pytest.mark.parametrize(
    "name, layer, some",
    [
        ("sequential", "predictions", [0, 3]),
        ("nested", "deep.v2/conv", [5]),
        ("inputs_as_dict", "conv", [1]),
        ("channels_first", "relu1", [5]),
    ],
)
def test_every_kind_of_model_is_visualized(net, name, layer, some):
    size = None if any(i.is_picture and i.is_fixed for i in net(name).inputs) else 16
    pics = visualize_units(net(name), layer, some, size=size, steps=2)
    assert len(pics.pictures) == len(pics.notes) == len(some)
    assert np.isfinite(pics.pictures).all() and np.isfinite(pics.values).all()
    assert (pics.pictures.std((1, 2, 3)) > 0).all()


def test_each_call_of_a_shared_layer_has_pictures_of_its_own(net):
    calls = [visualize_units(net("twice"), "conv", [0], size=16, steps=4, call=call) for call in (0, 1)]
    assert not np.array_equal(calls[0].pictures, calls[1].pictures)


def test_the_default_size_is_64_pixels_or_the_networks_own(net):
    assert visualize_units(net("linear"), "conv", [0], steps=1).pictures.shape == (1, 64, 64, 3)
    assert visualize_units(net("sequential"), "conv", [0], steps=1).pictures.shape == (1, 32, 32, 1)


# -- frames


def test_frames_count_every_step_of_every_batch_and_fill_the_tiles(net, small_batch):
    frames = list(UnitsSettings("conv2", range(7), size=16, steps=4).check(net("plain")).frames())
    assert [(f.step, f.steps) for f in frames] == [(n, 8) for n in range(1, 9)]  # batches of 3 and 3, then of 1
    assert all(f.pictures.shape == (7, 16, 16, 3) for f in frames)
    begun = [(frame.pictures != 0.5).any((1, 2, 3)).tolist() for frame in frames[:2]]
    assert begun == [[True] * 6 + [False], [True] * 7]
    assert np.isnan(frames[0].values[6:]).all() and np.isfinite(frames[1].values).all()
    assert [f.notes for f in frames] == [()] * 7 + [("",) * 7]


def test_the_last_frame_is_the_result_and_any_frame_is_what_there_is_so_far(net):
    frames = list(UnitsSettings("conv2", [3, 8], size=16, steps=4).check(net("plain")).frames())
    so_far, last = frames[1].result(), frames[-1].result()
    assert so_far.units == (3, 8) and so_far.notes == ("", "")
    np.testing.assert_array_equal(so_far.pictures, frames[1].pictures)
    pics = visualize_units(net("plain"), "conv2", [3, 8], size=16, steps=4)
    np.testing.assert_array_equal(last.pictures, pics.pictures)
    np.testing.assert_array_equal(last.values, pics.values)


def test_frames_count_up_to_their_last_also_where_dead_units_are_retried():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Conv2D(2, 1, activation="relu", name="conv", bias_initializer=keras.initializers.Constant([1.0, -1e4])),
        ]
    )
    frames = list(UnitsSettings("conv", [0, 1], size=8, steps=2).check(model).frames())
    steps = [frame.step for frame in frames]
    assert steps == sorted(set(steps)) and steps[:2] == [1, 2]
    assert frames[-1].step == frames[-1].steps and all(frame.step < frame.steps for frame in frames[1:-1])
    assert frames[-1].notes[0] == "" and frames[-1].notes[1].startswith("never fires: ")


def test_twenty_requests_over_one_layer_are_traced_once(build, monkeypatch):
    network, traced, kept = Network(build("plain")), [], set()
    original = Values.__call__
    monkeypatch.setattr(Values, "__call__", lambda *arguments: traced.append(1) or original(*arguments))
    for k in range(20):
        some = list(itertools.islice(itertools.cycle(range(12)), k, k + 1 + k % 4))
        visualize_units(network, "conv2", some, size=16, steps=1 + k % 2, seed=k)
        kept.add(len(network.traces))
    assert len(traced) == len(kept) == 1


# -- wrong settings

BAD = [
    ({"layer": "conv3"}, "no layer 'conv3'.*conv1"),
    ({"layer": None}, "no layer None"),
    ({"layer": "picture"}, "never called"),
    ({"units": [12]}, "no unit 12. Its units are 0 to 11"),
    ({"units": [0, -1]}, "no unit -1"),
    ({"units": [True]}, "no unit True"),
    ({"units": [1.0]}, "no unit 1.0"),
    ({"units": ["1"]}, "no unit '1'"),
    ({"units": "12"}, "units must .*got '12'"),
    ({"units": 3}, "units must be a list of indices, .* got 3"),
    ({"units": None}, "units must .*got None"),
    ({"units": []}, "units must name at least one unit"),
    ({"call": 1}, "no call 1. Its calls are 0 to 0"),
    ({"call": -1}, "no call -1"),
    ({"recipe": "furier"}, "no recipe 'furier'.*fourier"),
    ({"recipe": None}, "no recipe None.*fourier, natural, textbook"),
    *[({"steps": steps}, "steps must") for steps in (0, 2049, 1.5, "8", True)],
    *[({"size": size}, "size must") for size in (7, 1025, 16.5, "64", (16,))],
    *[({"seed": seed}, "seed must") for seed in ("x", 1.5, True, None)],
]


@pytest.mark.parametrize("wrong, words", BAD, ids=str)
def test_a_wrong_setting_is_refused_in_words_before_any_computing(net, monkeypatch, wrong, words):
    for name in ("batch_size", "optimize"):
        monkeypatch.setattr(units, name, lambda *_: pytest.fail("it was begun"))
    settings = {"layer": "conv2", "units": [0], "size": 16, "steps": 2, **wrong}
    with pytest.raises(BadTarget, match=words):
        visualize_units(net("plain"), **settings)
