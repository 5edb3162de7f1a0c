"""The documentation for language models: `llms.txt` (llmstxt.org) and a Markdown page for each public name."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import cnnwidgets

HERE = Path(__file__).parent
SUMMARY = (
    "Jupyter panels and plain functions that show what a Keras convolutional network has learned: feature "
    "visualization, class activation maps, unit attribution, DeepDream, and training, live."
)


def write_markdown_pages(app: Any, exception: Exception | None) -> None:
    """Beside the HTML pages, after a build that went well."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    reference = out / "markdown" / "reference"
    reference.mkdir(parents=True, exist_ok=True)
    for name in cnnwidgets.__all__:
        (reference / f"{name}.md").write_text(page(name), encoding="utf-8")
    for folder in ("guides", "explanation"):
        shutil.copytree(HERE / folder, out / "markdown" / folder, dirs_exist_ok=True)
    (out / "llms.txt").write_text(llms_txt(), encoding="utf-8")


def page(name: str) -> str:
    """Signature and docstring of a public name."""
    thing = getattr(cnnwidgets, name)
    return f"# cnnwidgets.{name}\n\n{signature(name, thing)}{inspect.getdoc(thing)}\n"


def signature(name: str, thing: Any) -> str:
    """As a Markdown code block, or nothing for what is not called."""
    if not callable(thing) or (isinstance(thing, type) and issubclass(thing, Exception)):
        return ""
    written = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))  # annotations are kept as text
    return f"```python\ncnnwidgets.{name}{written}\n```\n\n"


def llms_txt() -> str:
    """The list of all Markdown pages, a line each."""
    sections = [("Guides", "guides"), ("Explanation", "explanation")]
    lines = ["# cnnwidgets", "", f"> {SUMMARY}", "", "`import cnnwidgets as cw` gives every name of the reference.", ""]
    for title, folder in sections:
        lines += [f"## {title}", ""]
        for path in sorted((HERE / folder).glob("*.md")):
            if path.stem != "index":
                lines.append(f"- [{heading(path)}](markdown/{folder}/{path.name})")
        lines.append("")
    lines += ["## Reference", ""]
    for name in cnnwidgets.__all__:
        first = str(inspect.getdoc(getattr(cnnwidgets, name))).partition("\n")[0]
        lines.append(f"- [{name}](markdown/reference/{name}.md): {first}")
    return "\n".join(lines) + "\n"


def heading(path: Path) -> str:
    """A page's title."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
