"""Builds the page, and keeps what was computed under build/, by the content of everything that it depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cnnwidgets import pictures
from cnnwidgets.html_page import document, json_block, source
from cnnwidgets.provenance.recipe import installed_versions

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent / "cnnwidgets"
ROOMS = ("activations", "explain", "model", "pictures", "report", "visualize", "zoo")  # those that change a pixel
MOST = 8_000_000  # bytes of the page


def build(folder: Path, kept: Path, amount: Any = None) -> Path:
    """Write the page into a folder; returns its path.

    Args:
        folder: where the page goes.
        kept: the folder of what was computed before.
        amount: an `Amount`; all that the page shows, if not given.
    """
    from try_page.views import Amount

    amount = amount or Amount()
    networks = {name: _kept(kept, replace(amount, networks=(name,))) for name in amount.networks}
    shots = {name: shot for one in networks.values() for name, shot in one["photographs"].items()}
    page = page_of({"photographs": shots, "networks": {name: one["views"] for name, one in networks.items()}})
    if len(page.encode()) > MOST:
        raise ValueError(f"The page has {len(page.encode())} bytes, more than {MOST}. Show fewer or smaller pictures.")
    folder.mkdir(parents=True, exist_ok=True)
    return pictures.write_file(folder / "try.html", page.encode())


def _kept(kept: Path, amount: Any) -> dict[str, Any]:
    """The views of one network, from a file of an earlier build where nothing changed since."""
    file = kept / f"{amount.networks[0]}-{_key(amount)[:16]}.json"
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    from try_page.views import network_views, photographs

    made = {"photographs": photographs(amount), "views": network_views(amount.networks[0], amount)}
    kept.mkdir(parents=True, exist_ok=True)
    for old in kept.glob(f"{amount.networks[0]}-*.json"):
        old.unlink()
    pictures.write_file(file, json.dumps(made).encode())
    return made


def _key(amount: Any) -> str:
    """A sha256 of all that the views depend on: settings, versions, and the source that computes them."""
    digest = hashlib.sha256(json.dumps([asdict(amount), installed_versions()], sort_keys=True).encode())
    files = [HERE / "views.py", *(file for room in ROOMS for file in (PACKAGE / room).rglob("*.py"))]
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def page_of(data: dict[str, Any]) -> str:
    """The HTML; our own script and style run by their hashes, and everything else is data."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src {source(style)}; script-src {source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    title = "Try cnnwidgets without installing"
    return document(HERE / "page.html", policy, title, style, data=json_block(data), script=script)
