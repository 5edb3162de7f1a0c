"""The benchmark's own arithmetic, and what becomes of a row that cannot be measured."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.benchmarks import jobs, process, table
from tests.benchmarks.__main__ import alternating

SLOW = {"first": 9.0, "again": 4.0, "memory": 700.0, "check": 20.0}
FAST = {**SLOW, "again": 2.0}


def row_of(text, name):
    return next(line.split("|")[2:-1] for line in text.splitlines() if line.startswith(f"| {name} "))


def test_a_ratio_is_our_least_time_over_the_rows_least_time():
    text = table.job("work", "step", {"ours": [FAST, SLOW], "theirs": [SLOW, SLOW]}, "ours")
    assert tuple(map(float, row_of(text, "theirs"))) == (9, 4, 4, 0.5, 700, 20)
    assert float(row_of(text, "ours")[2]) == 3.0  # the median of 2 and 4


def test_a_row_that_fails_says_why_and_leaves_the_table_whole():
    text = table.job("work", "step", {"ours": [FAST], "theirs": process.RowFailed("not | installed")}, "ours")
    assert row_of(text, "theirs")[0].strip() == "not / installed"
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_rows_alternate_and_a_failed_one_is_not_repeated():
    order = []

    def row(name):
        order.append(name)
        if name == "bad":
            raise process.RowFailed("no")
        return FAST

    measured = alternating({name: lambda n=name: row(n) for name in ("a", "bad", "b")}, 2)
    assert order == ["a", "bad", "b", "a", "b"]
    assert len(measured["a"]) == 2
    assert isinstance(measured["bad"], process.RowFailed)


def test_a_process_that_dies_is_told_in_one_line():
    with pytest.raises(process.RowFailed, match="No module named tests.benchmarks.nothing"):
        process.run("nothing")


@pytest.mark.parametrize("name", jobs.NAMES)
def test_every_job_has_us_first_and_says_how_much_there_is_to_do(name):
    job = import_module(f"tests.benchmarks.jobs.{name}")
    assert next(iter(job.CONTENDERS)).startswith("cnnwidgets")
    assert job.per(job.work(True)) < job.per(job.work(False)) or name == "dream"


def test_a_row_that_fails_by_itself_tells_its_reason_alone(monkeypatch):
    script = "echo 'tests.benchmarks.process.RowFailed: paints nothing' >&2; exit 1"
    monkeypatch.setattr(process.subprocess, "run", _instead(process.subprocess.run, ["/bin/sh", "-c", script]))
    with pytest.raises(process.RowFailed, match="^paints nothing$"):
        process.run("row")


def _instead(run, command):
    return lambda _command, **settings: run(command, **settings)
