"""The documentation's pages name everything that there is, and nothing that there is not. `make docs` builds them."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

import cnnwidgets

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "lessons" not in path.relative_to(DOCS).parts)
MARKDOWN = [*PAGES, PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)|```\{image\} (\S+)")


def told(folder: Path = DOCS / "api") -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in sorted(folder.glob("*.md")))


def test_every_public_name_is_in_the_reference():
    named = set(re.findall(r"auto\w+:: cnnwidgets\.(\w+)$", told(), re.MULTILINE))
    assert set(cnnwidgets.__all__) - named == set()


def test_the_reference_names_only_what_there_is():
    rooms = {module.name for module in pkgutil.iter_modules(cnnwidgets.__path__)}
    named = set(re.findall(r"auto\w+:: cnnwidgets\.(\w+)$", told(), re.MULTILINE))
    assert named - set(cnnwidgets.__all__) - rooms == set()


def test_every_lesson_has_its_line_for_teachers():
    table = (DOCS / "teachers.md").read_text(encoding="utf-8")
    for lesson in (PROJECT / "notebooks").glob("*.ipynb"):
        assert lesson.stem.startswith("00-") or f"| `{lesson.stem}` |" in table, lesson.name


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for groups in LINK.findall(page.read_text(encoding="utf-8")):
        target = "".join(groups).partition("#")[0]
        if not target or re.match(r"https?:", target):
            continue
        assert (page.parent / target).exists(), target


def test_the_map_of_the_house_has_a_line_for_each_room():
    page = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = [path.name for path in (PROJECT / "cnnwidgets").iterdir() if (path / "__init__.py").exists()]
    plain = [path.name for path in (PROJECT / "cnnwidgets").glob("[a-z]*.py")]
    assert [room for room in rooms if f"{room}/" not in page] == []
    assert [file for file in plain if file not in page] == []
