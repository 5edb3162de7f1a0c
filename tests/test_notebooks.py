"""The lessons run from top to bottom: without a browser, without an error, without a word on stderr.

As they are saved they can be read where no kernel is: small, with pictures, and with nothing that only a kernel shows.
"""

import base64
import io
import shutil
import time
from pathlib import Path

import nbformat
import PIL.Image
import pytest
from nbclient import NotebookClient

PROJECT = Path(__file__).parent.parent
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if not path.name.startswith("00-")]  # 00-app is a page for visitors, not a lesson
SECONDS = 120  # for a whole lesson
KILOBYTES = 300  # saved, with what it puts out
IMAGES = ("image/png", "image/jpeg")
WIDGET = "application/vnd.jupyter.widget-view+json"
PANELS = ("Gallery(", "Panel(", "Picker(")


@pytest.fixture
def classroom(tmp_path, monkeypatch):
    """A copy of the lessons, and a kernel that knows the tree under test and no one's own Jupyter settings."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return shutil.copytree(PROJECT / "notebooks", tmp_path / "notebooks")


@pytest.mark.notebook
@pytest.mark.parametrize("lesson", NOTEBOOKS, ids=lambda lesson: lesson.stem)
def test_lesson_runs(lesson, classroom):
    notebook = nbformat.read(classroom / lesson.name, as_version=4)
    start = time.monotonic()
    NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(classroom)}}).execute()
    seconds = time.monotonic() - start
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert seconds < SECONDS


each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)


def outputs(path):
    """What is saved under the code cells, as (cell, output)."""
    cells = nbformat.read(path, as_version=4).cells
    return [(cell, output) for cell in cells for output in cell.get("outputs", [])]


def pictures(path):
    """The pictures that a reader without a kernel sees, decoded."""
    data = [output.get("data", {}) for _, output in outputs(path)]
    return [PIL.Image.open(io.BytesIO(base64.b64decode(one[kind]))) for one in data for kind in IMAGES if kind in one]


def test_the_lessons_are_numbered_without_a_gap():
    assert [int(lesson.name[:2]) for lesson in LESSONS] == list(range(1, len(LESSONS) + 1))


@each_notebook
def test_a_notebook_is_valid_small_and_names_no_kernel_of_its_author(notebook):
    read = nbformat.read(notebook, as_version=4)
    nbformat.validate(read)
    assert notebook.stat().st_size < KILOBYTES * 1000
    assert read.metadata.kernelspec.name == "python3"
    assert "widgets" not in read.metadata, "widget state makes it large, and useless without its kernel"


@each_lesson
def test_a_lesson_can_be_read_without_a_kernel(lesson):
    assert [cell.source for cell, output in outputs(lesson) if WIDGET in output.get("data", {})] == []
    seen = pictures(lesson)
    assert seen, "no picture remains without a kernel"
    assert all(max(high - low for low, high in picture.convert("RGB").getextrema()) > 100 for picture in seen), "grey"


@each_lesson
def test_what_is_saved_is_one_run_from_top_to_bottom_without_an_error(lesson):
    cells = nbformat.read(lesson, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [o for _, o in outputs(lesson) if o.output_type == "error" or o.get("name") == "stderr"] == []


@each_lesson
def test_a_lesson_teaches_with_words_a_panel_and_the_same_without_one(lesson):
    cells = nbformat.read(lesson, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert 8 <= len(cells) <= 14
    assert prose.startswith(f"# {int(lesson.name[:2])}. ")
    assert "question" in prose.lower() and len(prose.split()) > 150
    assert any(panel in code for panel in PANELS)
