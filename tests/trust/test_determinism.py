"""The same seed gives the same picture: in any process, beside any neighbour, whatever the reader does meanwhile."""

import hashlib
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import to_uint8
from tests.tiny_networks import fire, seeded

STEPS = 128  # of Adam: a difference in the last bit is seen after 64


def painted(steps=STEPS):
    """A picture of a network in which another order of sums would change the last bits."""
    return cw.visualize_units(Network(seeded(fire()), "unit"), "concat", [5, 71], 40, steps, seed=7)


def digest(pics):
    return hashlib.sha256(to_uint8(pics.pictures).tobytes() + pics.values.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def here():
    return painted()


PROGRAM = """
import json, sys, threading
sys.path[:0] = json.loads(sys.argv[1])
from tests.trust import test_determinism as test

stop = threading.Event()
if sys.argv[2] == "loaded":
    threading.Thread(target=lambda: [sum(range(10000)) for _ in iter(stop.is_set, True)]).start()
pics = test.painted(int(sys.argv[3]))
stop.set()
print(json.dumps([test.digest(pics), pics.values.tolist(), test.to_uint8(pics.pictures).tolist()]))
"""


def fresh_process(how, steps, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "OMP_"))}
    command = [sys.executable, "-c", PROGRAM, json.dumps([path for path in sys.path if path]), how, str(steps)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**kept, **environment}, **pipes)


@pytest.fixture(scope="module")
def elsewhere():
    """Two more processes, which begin while other tests run: what they have painted, by name."""
    running = {
        "busy": fresh_process("loaded", STEPS, PYTHONHASHSEED="99"),
        "other arithmetic": fresh_process("idle", 32, TF_ENABLE_ONEDNN_OPTS="0", TF_NUM_INTRAOP_THREADS="1"),
    }

    def painted_by(name):
        told, complaints = running[name].communicate(timeout=300)
        assert running[name].returncode == 0, complaints
        return json.loads(told)

    yield painted_by
    for process in running.values():
        process.kill()
        process.communicate()


def test_the_same_bytes_twice_in_one_process(here, elsewhere):
    assert digest(painted()) == digest(here)


def test_the_same_bytes_beside_another_job(here, net, photo, opened, waiting):
    dream = opened(cw.DeepDreamPanel(net, photo, octaves=1, steps=2000))
    dream.start()
    waiting(lambda: dream.frames_shown)
    pics = painted()
    assert dream.state == "running" and digest(pics) == digest(here)
    dream.stop()


def test_what_the_reader_draws_meanwhile_changes_nothing_and_stays_his(net):
    def climb(meddle):
        for frame in cw.ascend(net, cw.objectives.channel("conv2", 5), 24, 40, seed=1):
            meddle(frame.step)
        return frame.pictures

    def meddle(step):
        random.seed(step)
        np.random.seed(step)
        tf.random.normal([3])
        if step % 16 == 0:  # it empties TensorFlow's own caches, so that the next step is slow
            tf.random.set_seed(step)

    states = random.getstate(), np.random.get_state()
    try:
        assert climb(meddle).tobytes() == climb(lambda step: None).tobytes()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def test_a_run_that_is_held_again_and_again_is_the_uninterrupted_one(net, opened, waiting):
    gallery = opened(cw.FilterGallery(net, "conv2", range(3), 16, 40, 4))
    gallery.start()
    for _ in range(3):
        shown = gallery.frames_shown
        waiting(lambda shown=shown: gallery.frames_shown > shown or gallery.state == "done")
        gallery.pause()
        waiting(lambda: gallery.state in ("paused", "done"))
        gallery.resume()
    waiting(lambda: gallery.state == "done")
    alone = cw.visualize_units(net, "conv2", range(3), 16, 40, seed=4)
    assert gallery.result.pictures.tobytes() == alone.pictures.tobytes()


def test_a_kept_picture_is_the_one_that_would_be_painted(net, opened):
    first = opened(cw.FilterGallery(net, "conv2", [2, 5], 16, 8, 9))
    made = first.run()
    second = opened(cw.FilterGallery(net, "conv2", [2, 5], 16, 8, 8))
    second.seed = 9
    assert second.state == "idle" and second.result.pictures.tobytes() == made.pictures.tobytes()
    assert second.run().pictures.tobytes() == made.pictures.tobytes()


def test_sixteen_units_alone_are_those_of_the_gallery(net, opened):
    gallery = opened(cw.FilterGallery(net, "conv2", range(4, 20), 16, 12))
    together = gallery.run()
    for unit, picture in zip(together.units, together.pictures, strict=True):
        alone = cw.visualize_units(net, "conv2", [unit], 16, 12)
        assert alone.pictures[0].tobytes() == picture.tobytes()


def test_the_same_bytes_in_a_fresh_process_on_a_busy_machine(here, elsewhere):
    assert elsewhere("busy")[0] == digest(here)


def test_with_other_arithmetic_a_short_run_looks_the_same_and_reaches_as_much(elsewhere):
    """One thread and no oneDNN: another order of sums. What is promised is 32 steps, to the eye, and 5 %."""
    mine = painted(32)
    _, values, pixels = elsewhere("other arithmetic")
    np.testing.assert_allclose(values, mine.values, rtol=0.05)
    error = np.asarray(pixels, float) - to_uint8(mine.pictures)
    assert 10 * np.log10(255**2 / max((error**2).mean(), 1e-9)) > 35, "dB"
