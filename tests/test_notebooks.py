"""The lessons run from top to bottom: without a browser, without an error, without a word on stderr."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PROJECT = Path(__file__).parent.parent
LESSONS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
SECONDS = 120  # for a whole lesson


@pytest.fixture
def classroom(tmp_path, monkeypatch):
    """A copy of the lessons, and a kernel that knows the tree under test and no one's own Jupyter settings."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return shutil.copytree(PROJECT / "notebooks", tmp_path / "notebooks")


@pytest.mark.notebook
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_lesson_runs(lesson, classroom):
    notebook = nbformat.read(classroom / lesson.name, as_version=4)
    start = time.monotonic()
    NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(classroom)}}).execute()
    seconds = time.monotonic() - start
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert seconds < SECONDS
