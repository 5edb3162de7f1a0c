"""Nouns that agree with a count."""

from __future__ import annotations

from cnnwidgets.plurals import plural


def test_only_one_is_singular():
    assert [f"{count} {plural('unit', count)}" for count in (0, 1, 2)] == ["0 units", "1 unit", "2 units"]
    assert [plural(noun, 2) for noun in ("class", "patch", "layer")] == ["classes", "patches", "layers"]
