"""Properties that are computed once do not make threads wait for each other."""

import threading

from cnnwidgets.model.unlocked_property import unlocked_property


class Slow:
    def __init__(self, wait=None):
        self.computed, self._wait = 0, wait

    @unlocked_property
    def value(self):
        """The value."""
        self.computed += 1
        return self.computed, self._wait is None or self._wait.wait(5)


def test_one_instance_is_read_while_another_one_is_computed():
    """On Python 3.11 the lock of `functools.cached_property` would stop the second, which the first one waits for."""
    go_on = threading.Event()
    slow, found = Slow(go_on), []
    thread = threading.Thread(target=lambda: found.append(slow.value))
    thread.start()
    assert Slow().value == (1, True)
    go_on.set()
    thread.join()
    assert found == [(1, True)]


def test_a_value_is_computed_once_and_keeps_its_docstring():
    one = Slow()
    assert one.value is one.value and one.computed == 1
    assert Slow.value.__doc__ == "The value."
