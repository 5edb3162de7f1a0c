"""The peers, each in a folder of its own that is made when it is missing; TensorFlow is the one that is here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.process import ROOT, RowFailed

FOLDER = ROOT / ".bench"

# What each needs beyond TensorFlow and what comes with it, since xplique pins an older TensorFlow.
REQUIREMENTS = {
    "xplique": (
        "xplique==2.0.2", "tensorflow-probability==0.25.0", "tf-keras", "dm-tree", "cloudpickle", "decorator",
        "scikit-learn==1.7.2", "joblib", "threadpoolctl", "opencv-python-headless", "einops", "deprecated",
    ),
    "tf-explain": ("tf-explain==0.3.1", "opencv-python-headless"),
    "tf-keras-vis": ("tf-keras-vis==0.8.7", "deprecated", "imageio"),
}  # fmt: skip


def folder_of(peer: str) -> Path:
    """Where a peer is installed, now at the latest.

    Raises:
        RowFailed: when pip cannot install it.
    """
    made = FOLDER / peer
    if not made.exists():
        part = FOLDER / f"{peer}.part"
        shutil.rmtree(part, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        done = subprocess.run([*pip, "--target", str(part), *REQUIREMENTS[peer]], capture_output=True, text=True)
        if done.returncode:
            raise RowFailed(f"not installed: {(done.stderr.strip().splitlines() or ['pip failed'])[-1]}")
        part.rename(made)  # whole, or not at all
    return made


def borrow(folder: str) -> None:
    """In the row's process: make a peer importable, behind everything that the environment itself has."""
    sys.path.append(folder)
