"""Measure this package beside its peers, each row in a process of its own, and print Markdown tables.

    python -m tests.benchmarks [--rounds 5] [--quick]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.benchmarks import process, table
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.peers import folder_of
from tests.benchmarks.process import Numbers, RowFailed
from tests.benchmarks.table import Rounds
from tests.benchmarks.work import Work

OURS = next(iter(CONTENDERS))
LEGEND = (
    "Milliseconds for each picture and step, tracing included in the first gallery of a process; the least of the "
    "rounds. A ratio is our time divided by the row's. The network itself answers to the finished pictures in 8 bits: "
    "the channels' mean on noise, and on them."
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


def gallery(work: Work, rounds: int) -> str:
    """Every contender's gallery, and how near to the machine's limit ours comes."""
    process.run("network_file", asdict(work))
    measured = alternating({name: partial(_gallery_of, name, work) for name in CONTENDERS}, rounds)
    limit = process.run("peak", work.layer, work.size)
    title = f"{work.count} units of `{work.layer}`, {work.size} px, {work.steps} steps"
    return f"{table.gallery(title, measured, OURS)}\n\n{LEGEND} {_limit(limit, measured[OURS])}"


def _gallery_of(name: str, work: Work) -> Numbers:
    peer = CONTENDERS[name].peer
    return process.run("gallery", name, asdict(work), str(folder_of(peer)) if peer else "")


def _limit(limit: Numbers, ours: Rounds) -> str:
    floor = 1000 * limit["step"] / limit["peak"]  # ms
    reached = "" if isinstance(ours, RowFailed) else f": we reach {floor / table.least(ours, 'step'):.0%} of it"
    return (
        f"The fastest float32 convolution here runs at {limit['peak']:.0f} GFLOP/s, and a picture-step takes "
        f"{1000 * limit['step']:.1f} MFLOP, {floor:.2f} ms at that speed{reached}."
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, 101), metavar="N", help="5 if not given")
    parser.add_argument("--quick", action="store_true", help="one round of little work: does everything still run?")
    options = parser.parse_args()
    size, steps, rounds = (64, 8, 1) if options.quick else (128, 64, options.rounds)
    machine = f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before, {rounds} rounds"
    with tempfile.TemporaryDirectory() as folder:
        beside = gallery(Work(str(Path(folder) / "squeezenet.keras"), size=size, steps=steps), rounds)
    print(f"{beside}\n\n{fresh(16, size // 2, steps // 2, rounds)}\n\n{machine}")


if __name__ == "__main__":
    main()
