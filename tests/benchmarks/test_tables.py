"""The benchmark's own arithmetic, and what becomes of a row that cannot be measured."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

from tests.benchmarks import jobs, others, process, table
from tests.benchmarks.__main__ import alternating

SLOW = {"first": 9.0, "again": 4.0, "cpu": 8.0, "two_cpu": 20.0, "memory": 700.0, "check": 20.0}
FAST = {**SLOW, "again": 2.0, "cpu": 4.0, "two_cpu": 15.0}


def row_of(text, name):
    return next(line.split("|")[2:-1] for line in text.splitlines() if line.startswith(f"| {name} "))


def test_a_ratio_is_our_least_processor_time_over_the_rows():
    text = table.job("work", "step", {"ours": [FAST, SLOW], "theirs": [SLOW, SLOW]}, "ours")
    assert tuple(map(float, row_of(text, "theirs"))) == (9, 4, 8, 0.5, 0.75, 700, 20)
    assert float(row_of(text, "ours")[1]) == 2.0  # the least


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
    assert not next(iter(job.CONTENDERS.values())).is_slow
    quick, usual = job.work(True), job.work(False)
    assert jobs.amount(job, quick) < jobs.amount(job, usual) or quick.steps < usual.steps


def test_a_row_that_fails_by_itself_tells_its_reason_alone(monkeypatch):
    script = "echo 'tests.benchmarks.process.RowFailed: paints nothing' >&2; exit 1"
    monkeypatch.setattr(process.subprocess, "run", _instead(process.subprocess.run, ["/bin/sh", "-c", script]))
    with pytest.raises(process.RowFailed, match="^paints nothing$"):
        process.run("row")


MODULES = sorted(Path(__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_what_a_measurement_imports_from_the_package_exists(module):
    found = [node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    for node in found:
        if node.module and node.module.startswith("cnnwidgets"):
            for name in node.names:
                owner = import_module(node.module)
                assert hasattr(owner, name.name) or import_module(f"{node.module}.{name.name}"), name.name


def _instead(run, command):
    return lambda _command, **settings: run(command, **settings)


def test_what_others_took_of_the_machine_is_what_is_busy_less_our_own(monkeypatch):
    readings = iter([(100.0, 1000.0), (160.0, 1100.0)])  # busy and all processor seconds, of 2 CPUs for 50 s
    monkeypatch.setattr(others, "machine", lambda: next(readings))
    owned = iter([5.0, 45.0])
    monkeypatch.setattr(others, "own", lambda: next(owned))
    assert others.Others().words() == "Others took 20% of the machine meanwhile."  # 60 busy, 40 ours


def test_where_the_system_does_not_say_nothing_is_claimed(monkeypatch):
    monkeypatch.setattr(others, "machine", lambda: None)
    assert others.Others().words() == "What others took of the machine is not known here."
