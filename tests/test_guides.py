"""The how-to guides do what they say: each page's code runs from top to bottom, as a reader would run it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from cnnwidgets.jobs import worker

PROJECT = Path(__file__).parent.parent
GUIDES = sorted((PROJECT / "docs" / "guides").glob("*.md"))
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

# What a page says about its values, in words or in a comment.
SAID = {
    "an-explanation-to-keep": "page.exists() and cw.rerun(file, net, photo) == open(file, 'rb').read()",
    "feature-maps": "maps['conv1'].shape == (75, 112, 64)",
    "pictures-of-a-class": "frame.prediction.name == 'goldfish' == net.predict(pics.pictures[0], top=1)[0].name",
    "where-it-looks": "[h.input for h in maps] == ['left', 'right'] and heat.map.shape == (300, 451)",
    "what-a-filter-looks-for": "pics.pictures.shape == (8, 64, 64, 3)",
    "why-this-class": "abs(found.shares.sum() - found.total) < 1e-3",
}


def code_of(page: Path) -> str:
    return "\n".join(CODE.findall(page.read_text(encoding="utf-8")))


def run(code: str, name: str) -> dict[str, Any]:
    """Execute the code, and close the panels that it leaves, displayed or named."""
    tree = ast.parse(code, name)
    names: dict[str, Any] = {"displayed": []}
    for position, node in enumerate(tree.body):
        if isinstance(node, ast.Expr):  # what Jupyter would display
            shown = ast.parse("displayed.append(x)").body[0]
            shown.value.args[0] = node.value  # type: ignore[attr-defined]
            tree.body[position] = ast.copy_location(shown, node)
    try:
        exec(compile(ast.fix_missing_locations(tree), name, "exec"), names)
    finally:
        for thing in [*names["displayed"], *names.values()]:
            if hasattr(thing, "close") and hasattr(thing, "layout"):
                thing.close()
    return names


@pytest.mark.notebook
@pytest.mark.parametrize("page", [page for page in GUIDES if code_of(page)], ids=lambda page: page.stem)
def test_the_code_of_a_guide_runs_and_gives_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run(code_of(page), page.name)
    assert eval(SAID.get(page.stem, "True"), names)
    assert worker().jobs == ()


@pytest.mark.notebook
def test_the_code_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # What a reader has: a siamese model, a model, data.
    training = code_of(PROJECT / "docs" / "guides" / "watch-it-train.md")
    looking = code_of(PROJECT / "docs" / "guides" / "where-it-looks.md")
    readers_own = f"{looking}\n{training.partition('recorder =')[0]}"
    run(f"{readers_own}\n{code_of(PROJECT / 'README.md')}", "README.md")
    assert worker().jobs == ()


def test_every_guide_is_in_the_list_of_guides():
    listed = (PROJECT / "docs" / "guides" / "index.md").read_text(encoding="utf-8")
    assert [page.stem for page in GUIDES if page.stem != "index" and f"\n{page.stem}\n" not in listed] == []
