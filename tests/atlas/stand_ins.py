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


def deadly_twice(path):
    """Kill the process, until two were killed; the process."""
    flag = Path(path).parent / str(os.getpid())
    if len(list(flag.parent.iterdir())) < 2:
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def nap(seconds):
    """Sleep; the process."""
    time.sleep(seconds)
    return os.getpid()
