"""A frame is a frozen value that copies from the device only when it is read."""

import numpy as np
import pytest

from cnnwidgets.frame import Frame
from cnnwidgets.model.backend import tf


def lazy(pictures):
    calls = []

    def make():
        calls.append(1)
        return pictures

    return make, calls


def test_pictures_are_made_at_the_first_reading_and_once():
    pictures = np.zeros((2, 4, 4, 3), np.float32)
    make, calls = lazy(pictures)
    frame = Frame(make, 3, 8, tf.constant([1.0, 2.0]))
    _ = frame.step, frame.steps, frame.values, frame.notes, repr(frame)
    assert calls == []
    assert frame.pictures is pictures
    assert frame.pictures is pictures
    assert calls == [1]


def test_pictures_may_be_given_as_they_are():
    pictures = np.zeros((2, 4, 4, 3), np.float32)
    assert Frame(pictures, 1, 1, [0.0, 0.0]).pictures is pictures


def test_values_are_float32_wherever_they_come_from():
    for values in (tf.constant([1.0, 2.0]), [1, 2], np.array([1.0, 2.0])):
        frame = Frame(np.zeros((2, 4, 4, 3)), 1, 1, values)
        assert frame.values.dtype == np.float32
        np.testing.assert_array_equal(frame.values, [1, 2])


@pytest.mark.parametrize("name", ["pictures", "step", "steps", "values", "notes", "something_else"])
def test_a_frame_is_frozen(name):
    frame = Frame(np.zeros((1, 4, 4, 3)), 1, 2, [0.0])
    with pytest.raises(AttributeError):
        setattr(frame, name, 5)
    with pytest.raises(AttributeError):
        delattr(frame, name)
    assert (frame.step, frame.steps, frame.notes) == (1, 2, ())


def test_a_frame_shows_itself_in_one_line():
    frame = Frame(np.zeros((9, 4, 4, 3)), 3, 8, np.arange(9.0))
    assert repr(frame) == "Frame(step 3 of 8, values [0. 1. 2. 3.])"
