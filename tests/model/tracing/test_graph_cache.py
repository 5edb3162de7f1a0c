"""Traced functions are kept, and forgotten before they pile up."""

import functools

import pytest

from cnnwidgets.model.tracing.content import Held
from cnnwidgets.model.tracing.graph_cache import Traces


def _build(built, key):
    built.thing.append(key)
    return key


def test_what_is_kept_is_not_built_again():
    traces, built = Traces(), []
    for _ in range(3):
        assert traces.get(functools.partial(_build, Held(built), "a")) == "a"
    assert built == ["a"] and len(traces) == 1


def test_the_least_recently_used_is_forgotten():
    traces, built = Traces(limit=2), []

    def get(key):
        return traces.get(functools.partial(_build, Held(built), key))

    for key in "abaca":
        assert get(key) == key
    assert built == ["a", "b", "c"]  # "a" was used last, so "b" went
    get("b")
    assert built == ["a", "b", "c", "b"] and len(traces) == 2


def test_what_failed_to_build_is_not_kept():
    traces = Traces()
    with pytest.raises(ZeroDivisionError):
        traces.get(lambda: 1 / 0)
    assert len(traces) == 0 and traces.get(lambda: 5) == 5


def test_contents_of_one_hash_are_still_told_apart():
    """-1 and -2 have the same hash in Python."""
    traces = Traces()
    assert [traces.get(functools.partial(pow, n, 3)) for n in (-1, -2, -1)] == [-1, -8, -1] and len(traces) == 2
