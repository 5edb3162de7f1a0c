"""One result at a time from the worker, and the guard against one's own changes."""

from __future__ import annotations

import threading

from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.runs.request import Request


def test_a_request_has_one_result_and_is_idle_afterwards():
    results, failures = [], []
    request = Request(results.append, failures.append)
    request.begin(lambda: 42)
    request.wait()
    assert results == [42] and not failures and not request.is_busy


def test_a_request_that_fails_says_how():
    results, failures = [], []
    request = Request(results.append, failures.append)
    request.begin(lambda: {}["nothing"])
    request.wait()
    assert not results and failures[0].kind == "KeyError" and "nothing" in failures[0].traceback


def test_only_the_latest_request_has_a_result_and_a_dropped_one_none():
    results, go = [], threading.Event()
    request = Request(results.append, results.append)
    request.begin(lambda: go.wait(10))
    request.begin(lambda: "second")
    go.set()
    request.wait()
    assert results == ["second"]
    request.begin(lambda: go.wait(10))
    request.drop()
    assert not request.is_busy and results == ["second"]


def test_updating_nests_ends_with_an_error_and_is_of_one_thread():
    updating, elsewhere = Updating(), []
    with updating:
        with updating:
            pass
        assert updating
        thread = threading.Thread(target=lambda: elsewhere.append(bool(updating)))
        thread.start()
        thread.join()
    assert not updating and elsewhere == [False]
    try:
        with updating:
            raise ValueError
    except ValueError:
        assert not updating
