"""One HTML page that needs no other file: its head, and a body in which a template's fields are filled in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{policy}}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{{meta}}<title>{{title}}</title>
<style>{{style}}</style>
</head>
<body>
{{body}}
</body>
</html>
"""


def document(body: Path, policy: str, title: str, style: str, meta: str = "", **parts: str) -> str:
    """A whole page. Each part is HTML already: names must be escaped.

    Args:
        body: the file of its template, with fields like {{title}}.
        policy: what the browser may load and run; see `source` for our own script and style.
        title: also a field of the body.
        style: CSS.
        meta: more lines of the head.
        parts: the other fields of the body.
    """
    filled_body = _filled(body.read_text(encoding="utf-8").rstrip("\n"), {"title": title, **parts})
    return _filled(DOCUMENT, {"policy": policy, "meta": meta, "title": title, "style": style, "body": filled_body})


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with its fields replaced once: a part that holds {{...}} stays as it is."""
    first, *others = template.split("{{")
    return first + "".join(parts[name] + rest for name, rest in (other.split("}}", 1) for other in others))


def source(text: str) -> str:
    """How a content security policy names a script or style that may run, by its hash."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def json_block(value: object) -> str:
    """JSON for a script element, so that no name in it can end the element."""
    text = json.dumps(value, ensure_ascii=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
