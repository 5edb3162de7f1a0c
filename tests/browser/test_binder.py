"""The first lesson as a visitor of Binder gets it: what `binder/` pins, in a fresh environment, in a real browser.

It takes minutes, most of them pip's, and 2 GB of disk while it runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.lab import Lab
from tests.browser.server import PROJECT, Server

pytestmark = pytest.mark.binder

TILES = ".widget-hbox > .cnnw-stage > img"
BUILT_FROM = ("binder", "cnnwidgets", "notebooks", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[Path]:
    """A copy of the repository, and beside it the environment that Binder's two steps make."""
    folder = tmp_path_factory.mktemp("binder")
    repository, environment = folder / "repository", folder / "environment"
    for name in BUILT_FROM:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        repository.mkdir(exist_ok=True)
        copy(source, repository / name)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    pins = repository / "binder/requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", "-r", pins], check=True)
    own = {"NB_PYTHON_PREFIX": str(environment), "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([repository / "binder/postBuild"], check=True, cwd=repository, env=os.environ | own)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def visit(house, tmp_path, browser) -> Iterator[Lab]:
    server = Server(tmp_path, house / "environment/bin/python", tree=None)
    shutil.copytree(house / "repository/notebooks", server.root / "notebooks")
    lab = Lab(server, browser)
    yield lab
    lab.close()
    server.stop()


def test_what_binder_pins_can_be_installed_and_fits_together(house):
    told = subprocess.run([house / "environment/bin/pip", "check"], capture_output=True, text=True).stdout.splitlines()
    assert [line for line in told if "requires tensorflow, which is not installed" not in line] == []  # -cpu is there


def test_the_first_lesson_runs_in_the_environment_that_binder_makes(visit):
    with urllib.request.urlopen(f"{visit.server.url}?token={visit.server.token}", timeout=30) as answer:
        assert answer.url.partition("?")[0].endswith("/lab/tree/notebooks/01-first-light.ipynb")

    notebook = visit.visit("notebooks/01-first-light.ipynb")
    notebook.width(1280, 3000)  # the whole lesson: JupyterLab draws only the cells in sight
    notebook.run_all(180)
    saved = json.loads((PROJECT / "notebooks/01-first-light.ipynb").read_text(encoding="utf-8"))
    code = [index for index, cell in enumerate(saved["cells"]) if cell["cell_type"] == "code"]
    put_out = [output for cell in code for output in notebook.outputs(cell)]
    assert [one for one in put_out if one["output_type"] == "error" or one.get("name") == "stderr"] == []
    assert notebook.kernel_eval("cw.__file__").endswith("site-packages/cnnwidgets/__init__.py")

    frames = notebook.count_frames(TILES)
    notebook.page.get_by_role("button", name="Start").first.click()
    frames.wait(shown=3, seconds=60)
    assert notebook.kernel_eval("gallery.run().pictures.shape") == (16, 64, 64, 3)
    assert notebook.console_errors == []
