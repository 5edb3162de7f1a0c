"""Stand-ins for rendering: a worker imports no more than this."""

import os
import signal
import time
from pathlib import Path


def deadly(task):
    """Kill the process if the task says so."""
    if task == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def deadly_for_some(path):
    """Kill the process if a file beside `path` has its number; the process."""
    if (Path(path).parent / str(os.getpid())).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def nap(seconds):
    """Sleep; the process."""
    time.sleep(seconds)
    return os.getpid()
