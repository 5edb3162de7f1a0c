"""Durations and counts in words."""

import pytest

from cnnwidgets.quantities import plural, spoken


@pytest.mark.parametrize(("seconds", "said"), [(3.4, "3 s"), (99, "99 s"), (600, "10 min"), (7200, "2.0 h")])
def test_a_duration_is_said_as_a_person_says_it(seconds, said):
    assert spoken(seconds) == said


def test_tenths_are_said_below_ten_seconds():
    assert [spoken(seconds, tenths=True) for seconds in (4.23, 9.96)] == ["4.2 s", "10 s"]


# Nouns that agree with a count.


def test_only_one_is_singular():
    assert [f"{count} {plural('unit', count)}" for count in (0, 1, 2)] == ["0 units", "1 unit", "2 units"]
    assert [plural(noun, 2) for noun in ("class", "patch", "layer")] == ["classes", "patches", "layers"]
