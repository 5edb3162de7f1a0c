"""Fields of settings: checked one by one, recorded unless they are the verb's alone."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.settings import SEED, STEPS, Number, Settings, Whole, setting


@dataclass(frozen=True, eq=False)
class Example(Settings):
    layer: str
    steps: int = setting(8, STEPS)
    rate: float = setting(0.5, Number(0, 1, above=True))
    tile: int | None = setting(None, Whole(2, 4, optional=True), recorded=False)
    seed: int = setting(0, SEED)


def test_they_are_taken_from_arguments_or_from_what_has_them_set():
    given = Example.given({"net": "other", "layer": "conv", "steps": 3, "tile": 2})
    assert vars(given) == {"layer": "conv", "steps": 3, "rate": 0.5, "tile": 2, "seed": 0}
    panel = SimpleNamespace(layer="conv", steps=4, rate=1, seed=7, tile=3)
    assert vars(Example.set_on(panel)) == {"layer": "conv", "steps": 4, "rate": 1, "tile": None, "seed": 7}


def test_those_of_the_verb_alone_are_not_recorded():
    assert Example.names() == ("layer", "steps", "rate", "seed")
    assert Example.defaults() == {"steps": 8, "rate": 0.5, "seed": 0}
    assert Example("conv", tile=2).recorded() == {"layer": "conv", "steps": 8, "rate": 0.5, "seed": 0}


def test_each_is_checked_by_its_own_field():
    assert vars(Example("conv", rate=1, tile=4).checked())["tile"] == 4
    assert (Example.allowed("tile").least, Example.allowed("tile").most) == (2, 4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps must be an integer from 1 to 2048, got 0."),
        ({"rate": 0}, "rate must be a finite number above 0 and up to 1, got 0."),
        ({"tile": 5}, "tile must be an integer from 2 to 4, got 5."),
        ({"seed": "x"}, "seed must be an integer, got 'x'."),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(given, message):
    with pytest.raises(BadTarget) as caught:
        Example("conv", **given).checked()
    assert str(caught.value) == message
