"""The device that TensorFlow uses, and the memory in use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cnnwidgets.model.backend import graphics_cards, tf


def device_kind() -> str:
    """What a recipe says, since each changes bytes: "gpu", or "cpu, 2 threads, oneDNN"."""
    if graphics_cards():
        return "gpu"
    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    optimized = ", oneDNN" if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0" else ""
    return f"cpu, {threads} threads{optimized}"


def device_name() -> str:
    """The device as a person calls it: "CPU, 2 cores", or the name of the card."""
    cards = graphics_cards()
    if not cards:
        return f"CPU, {os.cpu_count()} cores"
    return str(tf.config.experimental.get_device_details(cards[0]).get("device_name", "GPU"))


def memory_in_use() -> int | None:
    """Bytes: what the pictures and networks take of the card, or the most that this process has had of the machine.

    `None` if the system does not report it.
    """
    if graphics_cards():
        return int(tf.config.experimental.get_memory_info("GPU:0")["current"])
    return _most_of_this_process()


def _most_of_this_process() -> int | None:
    status = Path("/proc/self/status")
    if status.exists():  # Linux; `resource` counts what the parent process had, too
        return next((1024 * int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line), None)
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
