"""What computes, as recipes and people call it."""

from __future__ import annotations

import numpy as np

from cnnwidgets.model import device
from cnnwidgets.model.backend import tf


def test_a_recipe_knows_what_changes_bytes_on_a_cpu(monkeypatch):
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 3)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert device.device_kind() == "cpu, 3 threads, oneDNN"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert device.device_kind() == "cpu, 3 threads"


def test_a_card_is_called_by_its_name(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["card"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda card: {"device_name": "RTX 9000"})
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda name: {"current": 5, "peak": 9})
    assert (device.device_kind(), device.device_name(), device.memory_in_use()) == ("gpu", "RTX 9000", 5)


def test_the_memory_of_this_process_is_told():
    before = device.memory_in_use()
    held = np.ones(2**24)
    assert 50e6 < before <= device.memory_in_use() < 100e9
    del held
