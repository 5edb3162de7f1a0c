"""The documentation's pages name everything that there is, and nothing that there is not. `make docs` builds them."""

from __future__ import annotations

import os
import pkgutil
import re
from pathlib import Path

import pytest
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from voila.app import Voila

import cnnwidgets

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "lessons" not in path.relative_to(DOCS).parts)
READMES = [PROJECT / "README.md", PROJECT / "README.zh-CN.md"]
MARKDOWN = [*PAGES, *READMES, PROJECT / "CONTRIBUTING.md"]
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


def test_the_page_for_visitors_has_a_token_an_end_and_a_share_of_the_card():
    """The options that are named are options that there are."""
    pages = [DOCS / "guides" / f"{name}.md" for name in ("class-of-thirty", "jupyterhub")]
    page = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    options = re.findall(r"--(\w+)\.(\w+)=", page)
    classes = {"MappingKernelManager": AsyncMappingKernelManager, "Voila": Voila}
    assert [name for owner, name in options if name not in classes[owner].class_traits(config=True)] == []
    assert {"cull_idle_timeout", "cull_interval", "cull_connected", "ip"} <= {name for _, name in options}
    for flag in ("token", "pool_size", "port"):
        assert f"--{flag}=" in page and (flag in Voila.aliases or flag in Voila.flags), flag
    for words in ("TF_FORCE_GPU_ALLOW_GROWTH", "cw.limit_gpu(megabytes=", "divided by the number of kernels"):
        assert words in page


def test_the_page_for_visitors_lets_them_open_no_file_of_the_server():
    app = (PROJECT / "notebooks" / "00-app.ipynb").read_text(encoding="utf-8")
    assert "files=False" in app and "limit_gpu()" in app


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for groups in LINK.findall(page.read_text(encoding="utf-8")):
        target = "".join(groups).partition("#")[0]
        if not target or re.match(r"https?:", target):
            continue
        file = Path(os.path.normpath(page.parent / target))
        if file.is_relative_to(DOCS / "lessons"):  # where the build copies them to
            file = PROJECT / "notebooks" / file.relative_to(DOCS / "lessons")
        assert file.exists(), target


def test_the_map_of_the_house_has_a_line_for_each_room():
    page = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = [path.name for path in (PROJECT / "cnnwidgets").iterdir() if (path / "__init__.py").exists()]
    plain = [path.name for path in (PROJECT / "cnnwidgets").glob("[a-z]*.py")]
    assert [room for room in rooms if f"{room}/" not in page] == []
    assert [file for file in plain if file not in page] == []


@pytest.mark.parametrize("same", [r"```.*?```", r"\]\(([^)]*)\)", r"\d+(?:[.,]\d+)*"], ids=["code", "links", "figures"])
def test_both_readmes_have_the_same(same):
    english, chinese = (page.read_text(encoding="utf-8") for page in READMES)
    other = {"README.md", "README.zh-CN.md"}  # each links to the other one
    kept = [[one for one in re.findall(same, text, re.DOTALL) if one not in other] for text in (english, chinese)]
    assert sorted(kept[0]) == sorted(kept[1])


def test_the_readme_is_short():
    assert len(READMES[0].read_text(encoding="utf-8").splitlines()) <= 200
