"""TensorFlow and Keras, imported once and quietly.

TensorFlow writes start-up lines to file descriptor 2 whatever the log level is, and a notebook shows them under the
cell. Where this package is the one that imports it, those lines are held back; anything else is passed on.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnnwidgets.errors import BadModel, BadTarget, JobFailed, quoted

_CHATTER = re.compile(
    rb"All log messages before absl::InitializeLog"
    rb"|^[IWE]0000 "
    rb"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    rb"|^To enable the following instructions"
    rb"|^Skipping registering GPU devices"
)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hold back TensorFlow's start-up lines; pass on every other line, and all of them where the body fails."""
    try:
        sys.stderr.flush()
        original = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no such descriptor: nothing can be spilled either
        yield
        return
    failed = True
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            lines = [line for line in held if failed or not _CHATTER.search(line)]
            if lines:
                os.write(2, b"".join(lines))


if "tensorflow" in sys.modules:
    import keras
    import tensorflow as tf
else:
    with _quietly():
        import keras
        import tensorflow as tf

if keras.backend.backend() != "tensorflow":
    raise BadModel(
        f"Keras runs on its {keras.backend.backend()!r} backend here. Set the environment variable "
        "KERAS_BACKEND=tensorflow before Keras is imported, and restart."
    )


def graphics_cards() -> list[Any]:
    """The graphics cards that TensorFlow finds; where there is none, its full build complains of that."""
    with _quietly():
        return list(tf.config.list_physical_devices("GPU"))


def start_device() -> None:
    """Make TensorFlow open its device now, without the lines that it prints while it does."""
    check_eager()
    with _quietly():
        tf.constant(0)


def check_eager() -> None:
    """Refuse to compute inside a user's own graph.

    Raises:
        BadModel: inside a `tf.function` or `tf.Graph`, or where eager execution is off.
    """
    if not tf.executing_eagerly():
        raise BadModel(
            "TensorFlow does not execute eagerly here. Call this outside of tf.function and tf.Graph, and without "
            "tf.compat.v1.disable_eager_execution()."
        )


def limit_gpu(megabytes: int | None = None) -> None:
    """Share a graphics card among kernels: call it before anything is computed.

    Args:
        megabytes: a hard limit for this kernel; `None` lets its memory grow as needed instead of taking all at once.

    Raises:
        BadTarget: for a limit that is not a positive number.
        JobFailed: when the device is already in use, so that nothing can be changed any more.
    """
    if megabytes is not None and (isinstance(megabytes, bool) or not isinstance(megabytes, int) or megabytes <= 0):
        raise BadTarget(f"megabytes must be a positive integer or None, got {quoted(megabytes)}.")
    try:
        for card in graphics_cards():
            if megabytes is None:
                tf.config.experimental.set_memory_growth(card, True)
            else:
                limit = tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)
                tf.config.set_logical_device_configuration(card, [limit])
    except RuntimeError as error:
        raise JobFailed(
            "The graphics card is already in use, so its memory can no longer be limited. "
            "Restart the kernel and call cw.limit_gpu() first."
        ) from error


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


__all__ = [
    "check_eager", "device_kind", "device_name", "graphics_cards", "keras", "limit_gpu", "memory_in_use",
    "start_device", "tf",
]  # fmt: skip
