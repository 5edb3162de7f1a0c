"""A train function that takes turns with device work."""

from __future__ import annotations

import pytest

from cnnwidgets.model.tracing.compiled import TURNS
from cnnwidgets.training.train_function import TrainFunction


def test_an_error_in_a_batch_frees_the_weights_and_puts_the_function_back():
    put_back = []

    def fail():
        raise ZeroDivisionError

    fail.other = 3
    batches = TrainFunction(fail, [], lambda: put_back.append(True))
    with pytest.raises(ZeroDivisionError):
        batches()
    assert put_back == [True]
    assert batches.other == 3
    with TURNS.reading():
        pass
