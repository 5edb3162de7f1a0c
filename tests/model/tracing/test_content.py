"""What graphs are kept under: another content is another key, whatever the address; what cannot be read has none."""

from __future__ import annotations

import collections
import functools
import threading
import time
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.tracing.content import live
from cnnwidgets.model.tracing.source import Unreadable

FACTOR = 1.0
NUMBERS = np.ones(3)
SETTINGS: dict[str, Any] = {"deep": [{"factor": 1.0}]}
HOLDER = types.SimpleNamespace(inner=types.SimpleNamespace(factor=1.0))
MODULE = types.ModuleType("notebook_settings")
MODULE.factor = 1.0


def helper(x):
    return x * FACTOR


class Scaled:
    shift = 0.0

    def __init__(self, factor=1.0):
        self._factor = np.array([factor])

    @property
    def factor(self):
        return self._factor + self.shift

    def __call__(self, x):
        return x * self.factor


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor=1.0):
        self.factor = factor


@dataclass
class Plain:
    factor: float = 1.0
    rate: float = field(default=1.0, compare=False)


def changes():
    """(what, a value, a change of what it reads): the content must follow."""
    numbers, box, scaled, slotted, plain = np.ones(3), [1.0], Scaled(), Slotted(), Plain()
    table, names = {"a": [1.0]}, {1, 2}

    def inside(x):
        return [helper(one) for one in x]

    def with_default(x, by=box):
        return x * by[0]

    def put(target, name, value):
        return lambda: setattr(target, name, value)

    here = globals()
    yield "a global", lambda x: x * FACTOR, lambda: here.update(FACTOR=2.0)
    yield "a global behind another function", inside, lambda: here.update(FACTOR=3.0)
    yield "an array of the notebook", lambda x: x * NUMBERS, lambda: NUMBERS.__setitem__(0, 5.0)
    yield "deep in a dict", lambda x: x * SETTINGS["deep"][0]["factor"], lambda: SETTINGS["deep"][0].update(factor=2.0)
    yield "an attribute of an attribute", lambda x: x * HOLDER.inner.factor, put(HOLDER.inner, "factor", 2.0)
    yield "an attribute of a module", lambda x: x * MODULE.factor, put(MODULE, "factor", 2.0)
    yield "another helper", inside, lambda: here.update(helper=lambda x: x)
    yield "a captured array", lambda x: x * numbers, lambda: numbers.__setitem__(0, 2.0)
    yield "a captured list", lambda x: x * box[0], lambda: box.append(2.0)
    yield "a default", with_default, lambda: box.append(3.0)
    yield "a default for a keyword", lambda x, *, by=table: x * by["a"][0], lambda: table["a"].append(1.0)
    yield "a set", lambda x: x * len(names), lambda: names.add(3)
    yield "a private array of an object", scaled, lambda: scaled._factor.__setitem__(0, 2.0)
    yield "a bound method", scaled.__call__, lambda: scaled._factor.__setitem__(0, 3.0)
    yield "an attribute of its class", scaled, put(Scaled, "shift", 1.0)
    yield "a method of its class", scaled, put(Scaled, "__call__", lambda self, x: x)
    yield "a slot", slotted, put(slotted, "factor", 2.0)
    yield "a field", plain, put(plain, "factor", 2.0)
    yield "inside a partial", functools.partial(helper, box), lambda: box.append(4.0)
    yield "behind a decorator", tf.function(lambda x: x * FACTOR), lambda: here.update(FACTOR=4.0)
    yield "behind a cache", functools.lru_cache(lambda x: x * FACTOR), lambda: here.update(FACTOR=5.0)
    yield "an attribute of a function", helper, put(helper, "note", 1)
    yield "a queue", collections.deque(box), None


@pytest.mark.parametrize("number", range(sum(1 for _ in changes())))
def test_the_content_follows_whatever_a_value_reads(number):
    what, value, change = list(changes())[number]
    kept = {name: globals()[name] for name in ("FACTOR", "helper")}
    arrays = NUMBERS.copy()
    try:
        before = live(value)
        assert live(value) == before and hash(live(value)) == hash(before), what
        if change is not None:
            change()
            assert live(value) != before, what
    finally:
        globals().update(kept)
        NUMBERS[:] = arrays


@pytest.mark.parametrize(
    "one, other",
    [
        (lambda: lambda o: o[:, 1], lambda: lambda o: o[:, 2]),
        (lambda: Plain(1.0), lambda: Plain(2.0)),
        (lambda: Plain(1), lambda: Plain(1.0)),
        (lambda: Scaled(1.0), lambda: Scaled(2.0)),
        (lambda: np.float32(2).__mul__, lambda: np.float32(2).__add__),
        (lambda: functools.partial(helper, 1), lambda: functools.partial(helper, 2)),
        (lambda: tf.constant([1.0]), lambda: tf.constant([2.0])),
        (lambda: [0.0], lambda: [-0.0]),
        (lambda: np.sin, lambda: np.cos),
    ],
)
def test_two_that_differ_have_two_contents_and_two_alike_have_one(one, other):
    assert live(one()) == live(one()) != live(other())


def test_what_takes_no_part_in_a_comparison_takes_none_in_a_key():
    assert live(Plain(1.0, rate=1.0)) == live(Plain(1.0, rate=2.0))


def test_a_variable_and_a_layer_stand_for_themselves_and_are_kept_alive():
    variable, layer = tf.Variable(1.0), keras.layers.Dense(2)
    before = live([variable, layer])
    variable.assign(2.0)
    assert live([variable, layer]) == before != live([tf.Variable(2.0), layer])
    assert variable in [one.thing for one in before.content if hasattr(one, "thing")]


@pytest.mark.parametrize(
    "value",
    [(x for x in ()), threading.Lock(), np.random.default_rng(), lambda x: time.time() * x,
     lambda x: np.random.rand() * x, lambda x: eval(x), lambda x: Path(x).read_text(), time.time],
)  # fmt: skip
def test_what_answers_differently_each_time_has_no_content(value):
    with pytest.raises(Unreadable):
        live(value)
    with pytest.raises(Unreadable):
        live(lambda x: value)


def test_what_a_function_only_writes_to_is_no_content():
    seen, by_name, count, total = [], {}, [0], 0

    def noting(x):
        nonlocal total
        seen.append(x)
        by_name["last"] = x
        count[0] += 1
        total += 1
        return x

    def reading(x):
        seen.append(x)
        return x * len(seen)

    before = live(noting), live(reading)
    noting(1)
    assert live(noting) == before[0] and live(reading) != before[1]


def test_what_holds_itself_is_read():
    ring = [1]
    ring.append(ring)

    def again(x):
        return again(x) if ring else x

    assert live(again) == live(again)
