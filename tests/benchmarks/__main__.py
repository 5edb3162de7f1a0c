"""Measure this package beside its peers, each row in a process of its own, and print Markdown tables.

python -m tests.benchmarks [--rounds 1] [--quick] [--all] [--job unit_pictures ...]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.benchmarks import jobs, process, table
from tests.benchmarks.others import Others
from tests.benchmarks.peers import folder_of
from tests.benchmarks.process import Numbers, RowFailed
from tests.benchmarks.table import Rounds
from tests.benchmarks.work import Work

LEGEND = (
    'Tracing is included in the first time of a process; the least of the rounds counts. "Ours is" our processor time '
    'divided by the row\'s, "two" that of the first two times together. The result is checked by the network itself, '
    "on the finished pictures in 8 bits."
)


def alternating(rows: Mapping[str, Callable[[], Numbers]], rounds: int) -> dict[str, Rounds]:
    """Every row once in each round, so that a slow minute of the machine hits them all; what fails is not repeated."""
    measured: dict[str, Rounds] = {name: [] for name in rows}
    for count in range(1, rounds + 1):
        for name, row in rows.items():
            so_far = measured[name]
            if isinstance(so_far, RowFailed):
                continue
            print(f"round {count} of {rounds}: {name}", file=sys.stderr, flush=True)
            try:
                measured[name] = [*so_far, row()]
            except RowFailed as error:
                measured[name] = error
    return measured


def beside(name: str, network_file: str, rounds: int, quick: bool, slow: bool) -> str:
    """Every contender's way to do one job; the slow ones only if asked for."""
    job = import_module(f"tests.benchmarks.jobs.{name}")
    work = replace(job.work(quick), network_file=network_file)
    who_takes_part = [who for who, one in job.CONTENDERS.items() if slow or not one.is_slow]
    measured = alternating({who: partial(_row, job, name, who, work) for who in who_takes_part}, rounds)
    ours = next(iter(job.CONTENDERS))
    made = table.job(job.TITLE.format(**asdict(work)), job.UNIT, measured, ours)
    return f"{made}\n\n{_limit(work, measured[ours])}" if name == "unit_pictures" else made


def _row(job: Any, name: str, who: str, work: Work) -> Numbers:
    peer = job.CONTENDERS[who].peer
    return process.run("row", name, who, asdict(work), str(folder_of(peer)) if peer else "")


def _limit(work: Work, ours: Rounds) -> str:
    """How near to the machine's own limit we come."""
    limit = process.run("peak", work.layer, work.size)
    floor = 1000 * limit["step"] / limit["peak"]  # ms
    reached = "" if isinstance(ours, RowFailed) else f": we reach {floor / table.least(ours, 'again'):.0%} of it"
    return (
        f"The fastest float32 convolution here runs at {limit['peak']:.0f} GFLOP/s, and a picture-step of the whole "
        f"network takes {1000 * limit['step']:.1f} MFLOP, {floor:.2f} ms at that speed{reached}."
    )


def fresh(count: int, size: int, steps: int, rounds: int) -> str:
    """What a fresh process spends."""
    rows = {
        "`import cnnwidgets`, without tensorflow": partial(process.run, "fresh"),
        f"import, load, paint {count} units, {size} px, {steps} steps": partial(
            process.run, "fresh", count, size, steps
        ),
    }
    return table.fresh(alternating(rows, rounds))


def panel(rounds: int) -> str:
    """A panel over its verb."""
    measured = alternating({"panel": partial(process.run, "waiting", "panel")}, rounds)["panel"]
    if isinstance(measured, RowFailed):
        return f"A gallery's panel could not be measured: {measured}"
    return f"A gallery's panel takes {table.least(measured, 'panel over verb'):.2f} times its verb's processor time."


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1, choices=range(1, 101), metavar="N", help="1 if not given")
    parser.add_argument("--all", action="store_true", help="also those that are known to be slow")
    parser.add_argument("--quick", action="store_true", help="one round of little work: does everything still run?")
    parser.add_argument("--job", nargs="*", choices=jobs.NAMES, default=jobs.NAMES, help="all if not given")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    load, others = os.getloadavg()[0], Others()
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "squeezenet.keras")
        process.run("network_file", file)
        for name in options.job:
            print(beside(name, file, rounds, options.quick, options.all), end="\n\n", flush=True)
    print(f"{fresh(16, 64, 32, rounds)}\n\n{panel(rounds)}\n\n{LEGEND}\n")
    print(f"{os.cpu_count()} CPUs, load {load:.1f} before, rounds: {rounds}. {others.words()}")


if __name__ == "__main__":
    main()
