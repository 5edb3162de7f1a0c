"""What is released: the wheel and the sdist, their content, and whether the wheel works without the project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import cnnwidgets

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "cnnwidgets"
ABOUT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOOK = """
import cnnwidgets
print(cnnwidgets.__file__, len([getattr(cnnwidgets, name) for name in cnnwidgets.__all__]))
"""


def run(*command: object, **options: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel, which is built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, PROJECT)
    return folder


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert inside == {path.relative_to(PROJECT).as_posix() for path in files}
    assert {"cnnwidgets/py.typed", "cnnwidgets/panels/base/panels.css"} <= inside


def test_the_wheel_is_small_and_for_every_system(built):
    wheel = next(built.glob("*.whl"))
    assert wheel.name == f"cnnwidgets-{cnnwidgets.__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < 1_000_000


def test_the_sdist_has_what_a_packager_needs(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "cnnwidgets/py.typed"} <= inside


def test_the_metadata_is_accepted(built):
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())


def test_links_and_pictures_of_the_readme_work_on_a_package_index(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        about = wheel.read(f"cnnwidgets-{cnnwidgets.__version__}.dist-info/METADATA").decode()
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    given, shown = (re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text) for text in (readme, about.partition("\n\n")[2]))
    assert [kind for kind, _ in shown] == [kind for kind, _ in given]
    for (kind, link), (_, absolute) in zip(given, shown, strict=True):
        to_file = f"https://{'raw.githubusercontent.com' if kind else 'github.com'}/cnnwidgets/cnnwidgets/"
        path = link if link.startswith("https:") else f"{to_file}{'main' if kind else 'blob/main'}/{link}"
        assert absolute == path


def test_the_wheel_works_without_the_project(built, tmp_path):
    site = tmp_path / "site"
    wheel = next(built.glob("*.whl"))
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel)
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    said = run(sys.executable, "-c", LOOK, cwd=tmp_path, env=environment)
    assert said.split() == [str(site / "cnnwidgets" / "__init__.py"), str(len(cnnwidgets.__all__))]


@pytest.mark.parametrize("file", ["Makefile", "README.md", "CONTRIBUTING.md", ".github/workflows/tests.yml"])
def test_the_same_pythons_everywhere(file):
    text = (PROJECT / file).read_text(encoding="utf-8")
    classified = [line.rpartition(" ")[2] for line in ABOUT["classifiers"] if re.search(r"Python :: 3\.\d", line)]
    oldest, newest = classified[0], classified[-1]
    assert ABOUT["requires-python"] == f">={oldest},<3.{int(newest.partition('.')[2]) + 1}"
    assert set(re.findall(r"\b3\.1\d\b", text.replace("3.14", ""))) >= {oldest, newest}


def test_what_make_check_runs_is_there():
    listed = re.search(r"^CHECK := ((?:.*\\\n)*.*)", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    paths = listed[1].replace("\\", "").split()
    assert [path for path in paths if not any(PROJECT.glob(path))] == []
    rooms = {path.name for path in (PROJECT / "tests").iterdir() if path.is_dir()} - {"browser", "benchmarks"}
    assert {"model", "visualize", "explain", "panels", "trust"} <= {path.split("/")[1] for path in paths} & rooms


def test_every_dependency_has_a_lower_bound_and_all_but_one_an_upper_one():
    bounds = {re.split(r"[<>=]", line)[0]: line for line in ABOUT["dependencies"]}
    assert [name for name, line in bounds.items() if not re.search(r">=|==", line)] == []
    assert [name for name, line in bounds.items() if not re.search(r"<|==", line)] == ["pillow"]  # a major each quarter


def test_the_version_to_cite_is_the_one_that_is_released():
    cited = (PROJECT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {cnnwidgets.__version__}\n" in cited
    assert ABOUT["urls"]["Homepage"] in cited
