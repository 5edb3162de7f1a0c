"""TensorFlow comes in quietly, other people's lines are not swallowed, and a card is shared or the user is told."""

import os
import runpy
import sys

import numpy as np
import pytest

from cnnwidgets.errors import BadModel, BadTarget, JobFailed
from cnnwidgets.model import backend
from cnnwidgets.model.backend import keras, limit_gpu, tf
from cnnwidgets.model.tracing.compiled import compiled

CHATTER = (
    b"2025-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.\n"
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795303502.023032   18722 port.cc:153] oneDNN custom operations are on.\n"
    b"E0000 00:00:1795303502.023032   18722 cuda_dnn.cc:8310] Unable to register cuDNN factory\n"
    b"To enable the following instructions: AVX2, rebuild TensorFlow with the appropriate compiler flags.\n"
)


def test_start_up_lines_are_held_back_and_other_lines_pass(capfd):
    with backend._quietly():
        os.write(2, CHATTER + b"somebody's own warning\n")
        print("and from Python", file=sys.stderr, flush=True)
    assert sorted(capfd.readouterr().err.splitlines()) == ["and from Python", "somebody's own warning"]


def test_nothing_is_held_back_where_it_fails(capfd):
    with pytest.raises(ImportError), backend._quietly():
        os.write(2, CHATTER)
        raise ImportError
    assert capfd.readouterr().err.encode() == CHATTER


def test_what_comes_afterwards_is_seen_again(capfd):
    with backend._quietly():
        os.write(2, CHATTER)
    os.write(2, CHATTER)
    assert capfd.readouterr().err.encode() == CHATTER


def test_a_machine_without_a_card_is_no_complaint(capfd, monkeypatch):
    complaint = b"E0000 00:00:1795303502.0 18722 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error\n"
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: os.write(2, complaint) and [])
    assert backend.graphics_cards() == []
    monkeypatch.setattr(tf, "constant", lambda value: os.write(2, complaint + b"a line of somebody's own\n"))
    backend.start_device()
    assert capfd.readouterr().err == "a line of somebody's own\n"


def test_descriptor_two_may_be_closed():
    kept = os.dup(2)
    try:
        os.close(2)
        with backend._quietly():
            pass
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_another_keras_backend_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(BadModel, match="runs on its 'jax' backend.*KERAS_BACKEND=tensorflow.*restart"):
        runpy.run_path(backend.__file__)


def test_many_graphs_of_one_step_are_traced_without_a_warning(caplog):
    tf.get_logger().propagate = True
    try:
        for offset in range(8):
            step = compiled(lambda x, offset=offset: x + offset)
            assert float(step(tf.constant(1.0))) == 1 + offset
    finally:
        tf.get_logger().propagate = False
    assert "retracing" not in caplog.text


# -- limit_gpu


@pytest.mark.parametrize("megabytes", [0, -1, 1.5, "4096", True, False])
def test_a_limit_that_cannot_be_is_refused(megabytes):
    with pytest.raises(BadTarget, match="megabytes must"):
        limit_gpu(megabytes)


@pytest.fixture
def two_cards(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["card 0", "card 1"] if kind == "GPU" else [])


def test_no_number_lets_the_memory_grow(monkeypatch, two_cards):
    calls = []
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda *a: calls.append(a))
    assert limit_gpu() is None
    assert calls == [("card 0", True), ("card 1", True)]


def test_a_number_is_a_hard_limit(monkeypatch, two_cards):
    calls = []
    monkeypatch.setattr(tf.config, "set_logical_device_configuration", lambda card, how: calls.append((card, how)))
    limit_gpu(4096)
    assert [(card, how[0].memory_limit, len(how)) for card, how in calls] == [("card 0", 4096, 1), ("card 1", 4096, 1)]


@pytest.mark.parametrize("megabytes", [None, 4096])
def test_called_too_late_it_says_so(monkeypatch, two_cards, megabytes):
    def refuse(*_):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    monkeypatch.setattr(tf.config, "set_logical_device_configuration", refuse)
    with pytest.raises(JobFailed, match=r"already in use.*Restart the kernel and call cw\.limit_gpu\(\) first"):
        limit_gpu(megabytes)


def test_without_a_card_there_is_nothing_to_do(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert limit_gpu() is None and limit_gpu(1000) is None


# What computes, as recipes and people call it.


def test_a_recipe_knows_what_changes_bytes_on_a_cpu(monkeypatch):
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 3)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert backend.device_kind() == "cpu, 3 threads, oneDNN"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert backend.device_kind() == "cpu, 3 threads"


def test_a_card_is_called_by_its_name(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["card"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda card: {"device_name": "RTX 9000"})
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda name: {"current": 5, "peak": 9})
    assert (backend.device_kind(), backend.device_name(), backend.memory_in_use()) == ("gpu", "RTX 9000", 5)


def test_the_memory_of_this_process_is_told():
    before = backend.memory_in_use()
    held = np.ones(2**24)
    assert 50e6 < before <= backend.memory_in_use() < 100e9
    del held
