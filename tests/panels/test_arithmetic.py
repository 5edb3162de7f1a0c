"""The arithmetic under the pointer, beside the feature maps."""

import re
import time

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras

L = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    picture = L.Input((None, None, 3))
    x = L.Conv2D(9, 3, padding="same", activation="relu", name="conv1")(picture)
    x = L.MaxPooling2D(name="pool")(x)
    x = L.ReLU(name="relu")(L.Conv2D(6, 3, strides=2, name="conv2")(x))
    return keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(x)))


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((24, 32, 3), np.float32)


@pytest.fixture
def panel(model, picture, waiting):
    made = cw.FeatureMapPanel(model, picture, "conv1")
    made.run()
    made._choose(4)
    made.arithmetic = True
    waiting(lambda: made.convolution is not None)
    yield made
    made.close()


def numbers(panel):
    """The last column of the table."""
    found = re.findall(r"<td>([^<]*)</td></tr>", panel._sums._table.value)
    return [float(text.replace(",", "").replace("= ", "")) for text in found if text not in ("", "sum")]


def test_it_is_that_of_the_verb_at_the_chosen_place(panel, model, picture):
    row, column = panel.place
    same = cw.convolution_at(model, picture, "conv1", 4, row, column)
    np.testing.assert_array_equal(panel.convolution.products, same.products)
    assert (panel.convolution.before, panel.convolution.after) == (same.before, same.after)


def test_the_numbers_shown_add_up(panel):
    *terms, before, after = numbers(panel)
    assert len(terms) == 4, "three channels and the bias"
    assert sum(terms) == pytest.approx(before, abs=1e-9) and before == pytest.approx(panel.convolution.before, rel=1e-2)
    assert after == pytest.approx(max(before, 0), abs=1e-2)
    assert "after relu" in panel._sums._table.value


def test_the_strongest_channels_come_first_and_the_others_are_one_sum(panel, waiting):
    panel.layer = "conv2"
    waiting(lambda: panel.state == "done" and panel._last.run.layer == "conv2")
    panel._choose(2)
    waiting(lambda: panel.convolution is not None)
    sums = panel.convolution.products.sum((0, 1))
    order = [int(n) for n in re.findall(r"channel (\d+)<", panel._sums._table.value)]
    assert order == list(np.argsort(-abs(sums), kind="stable")[:4]) and "5 other channels" in panel._sums._table.value
    *terms, before = numbers(panel)
    assert len(terms) == 6 and sum(terms) == pytest.approx(before, abs=1e-9)
    assert "before the activation" not in panel._sums._table.value, "its ReLU is a separate layer"


def test_pointing_shows_another_value_and_outlines_it_without_choosing(panel):
    chosen = panel.place
    panel._pointed(0.0, 0.0)
    assert (panel.convolution.row, panel.convolution.column) == (0, 0) and panel.place == chosen
    assert "cnnw-outline" in panel.one_map.map.over.value and "cnnw-outline" in panel.one_map.photograph.over.value
    assert "padding (gray)" in panel._sums._table.value
    panel._pointer_left()
    assert (panel.convolution.row, panel.convolution.column) == chosen
    assert panel.one_map.map.over.value == panel.one_map.photograph.over.value == ""


def test_pointing_is_throttled_and_sends_little(panel, page):
    assert 66 <= panel.one_map.map._pointing.wait <= 100
    page.sent.clear()
    panel._pointed(0.5, 0.5)
    assert sum(len(str(data)) for _, data in page.sent) < 12_000
    assert all("image" not in data.get("state", {}) for _, data in page.sent)


def test_ten_values_a_second_are_easy(panel):
    start = time.perf_counter()
    for i in range(20):
        panel._pointed(i / 20, i / 20)
    assert (time.perf_counter() - start) / 20 < 0.05


def test_row_and_column_move_the_place_by_one(panel):
    panel.place = (3, 4)
    row, column = panel._sums._fields
    assert (row.value, column.value, row.max, column.max) == (3, 4, 23, 31)
    row.value += 1
    assert panel.place == (4, 4) and panel.convolution.row == 4
    column.value -= 1
    assert panel.place == (4, 3) and panel.convolution.column == 3


def test_a_pooling_shows_which_value_won(panel, waiting):
    panel.layer = "pool"
    waiting(lambda: panel.state == "done" and panel._last.run.layer == "pool")
    panel._choose(1)
    waiting(lambda: isinstance(panel.convolution, cw.Pooling))
    p = panel.convolution
    winner = p.rows[p.winner[0]], p.columns[p.winner[1]]
    assert f"The largest value wins: row {winner[0]}, column {winner[1]} of the input." in panel._sums._table.value


def test_a_layer_without_arithmetic_says_which_have_it(panel, waiting):
    panel.layer = "relu"
    waiting(lambda: panel.state == "done" and panel._last.run.layer == "relu")
    assert panel.convolution is None
    assert "is a ReLU" in panel._sums._line.value and "conv1, pool, conv2" in panel._sums._line.value


def test_it_is_hidden_and_computes_nothing_until_it_is_asked_for(model, picture, opened):
    panel = opened(cw.FeatureMapPanel(model, picture, "conv1"))
    panel.run()
    panel._choose(4)
    panel._pointed(0.1, 0.1)
    assert panel.convolution is None and panel._sums._run.job is None and panel._sums.layout.display == "none"
    assert not panel._arithmetic_button.value


def test_another_picture_has_other_numbers(panel, waiting):
    before = panel.convolution.patch
    panel.picture = np.ones((24, 32, 3), np.float32)
    waiting(lambda: panel.state == "done" and panel.convolution is not None)
    assert not np.array_equal(panel.convolution.patch, before) and panel.convolution.patch.max() <= 255


def test_a_place_that_cannot_be_is_refused(panel):
    with pytest.raises(BadTarget):
        panel.place = (-1, 0)
