"""Measure the atlas: pictures a minute, what it costs beside the bare verb, resuming, opening, and a scheduler's load.

    python -m tests.benchmarks.atlas [--quick]

Each row is measured in a process of its own, the network loaded and every layer's step traced in it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import process
from tests.benchmarks.table import markdown

LAYERS = ("fire2_expand3x3", "fire4_expand3x3", "fire6_expand3x3", "fire8_expand3x3")
CLUSTER = 64  # workers of the simulated one


def bare(path: str, units: int, steps: int) -> process.Numbers:
    """The verb, layer by layer."""
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    start = time.perf_counter()
    for layer in LAYERS:
        cw.visualize_units(net, layer, range(units), size=64, steps=steps)
    return {"seconds": time.perf_counter() - start}


def here(path: str, units: int, steps: int) -> process.Numbers:
    """The same as an atlas; then the call that finds nothing left to do."""
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    start = time.perf_counter()
    cw.render_atlas(net, path, LAYERS, range(units), 64, steps)
    seconds = time.perf_counter() - start
    net = cw.load_network("squeezenet")
    start = time.perf_counter()
    cw.render_atlas(net, path, LAYERS, range(units), 64, steps)
    return {"seconds": seconds, "resume": time.perf_counter() - start}


def shared(path: str, units: int, steps: int, workers: int) -> process.Numbers:
    """The same on workers of this machine; the cluster has started, and TensorFlow is loaded in each of them."""
    from distributed import Client

    import cnnwidgets as cw
    from cnnwidgets.atlas.cluster import common_environment, local_cluster

    net = cw.load_network("squeezenet")
    with local_cluster(workers) as cluster, Client(cluster) as client:
        common_environment(client)
        start = time.perf_counter()
        cw.render_atlas(net, path, LAYERS, range(units), 64, steps, client=client)
        return {"seconds": time.perf_counter() - start}


def opened(path: str) -> process.Numbers:
    """A whole SqueezeNet of pictures that nobody painted: opened, read, shown in a gallery, written as a page."""
    import cnnwidgets as cw
    from tests.atlas.synthetic import synthetic

    net = cw.load_network("squeezenet")
    layers = {info.path: info.units for info in net.layers if info.kind == "conv"}
    synthetic(Path(path), layers, 64, "squeezenet", fingerprint=net.fingerprint())
    took: dict[str, float] = {"pictures": sum(layers.values())}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        took[name] = time.perf_counter() - start
        return result

    atlas = timed("open", lambda: cw.open_atlas(path))
    timed("read", lambda: atlas["fire9_expand3x3"][96:112])
    cw.FilterGallery(net, "fire9_expand3x3").close()  # what a layer costs once, with an atlas or without
    gallery = timed("gallery", lambda: cw.FilterGallery(net, "fire9_expand3x3", range(16), atlas=atlas))
    pages = 10
    timed("turns", lambda: [gallery._next.click() for _ in range(pages)])
    took["turn"] = took["turns"] / pages
    assert gallery.result.units[0] == 16 * pages, "the pages were not turned"
    file = timed("html", lambda: atlas.to_html(f"{path}.html"))
    return took | {"megabytes": file.stat().st_size / 1e6}


@dataclass(frozen=True)
class Nap:
    """A task for the simulated cluster: sleep as long as a batch takes."""

    seconds: float


def sleeping(nap: Nap) -> float:
    """A stand-in for rendering."""
    time.sleep(nap.seconds)
    return nap.seconds


def scheduled(path: str, seconds: float, tasks: int) -> process.Numbers:
    """Our own handing out of tasks to a scheduler of many workers, all of it in this one process."""
    from distributed import Client, LocalCluster

    from cnnwidgets.atlas.dispatch import results

    with (
        LocalCluster(
            n_workers=CLUSTER, threads_per_worker=1, processes=False, dashboard_address=None, memory_limit=0
        ) as cluster,
        Client(cluster) as client,
    ):
        list(results(client, [[Nap(0.0)] * CLUSTER], sleeping))
        start = time.perf_counter()
        assert len(list(results(client, [[Nap(seconds)] * tasks], sleeping))) == tasks
        spent = time.perf_counter() - start
    return {"rate": tasks / spent, "busy": tasks * seconds / (CLUSTER * spent)}


ROWS = {row.__name__: row for row in (bare, here, shared, opened, scheduled)}


def _run(row: str, *arguments: Any) -> process.Numbers:
    print(row, *arguments, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return process.run("atlas", row, str(Path(folder) / "a.zarr"), *arguments)


def rendering(units: int, steps: int) -> str:
    """Pictures a minute."""
    pictures, rows = units * len(LAYERS), {}
    measured = {
        "visualize_units": _run("bare", units, steps),
        "render_atlas, here": _run("here", units, steps),
        "render_atlas, 1 worker": _run("shared", units, steps, 1),
        "render_atlas, 2 workers": _run("shared", units, steps, 2),
    }
    least = measured["visualize_units"]["seconds"]
    for name, numbers in measured.items():
        seconds = numbers["seconds"]
        rows[name] = [f"{seconds:.1f}", f"{60 * pictures / seconds:.0f}", f"{seconds / least:.2f}"]
    header = (f"{pictures} pictures, 64 px, {steps} steps", "seconds", "pictures a minute", "time, of the bare verb's")
    resume = measured["render_atlas, here"]["resume"]
    return f"{markdown(header, rows)}\n\nThe same call again, with nothing left to do: {resume:.2f} s."


def opening() -> str:
    """How long a finished atlas keeps one waiting."""
    took = _run("opened")
    told = {"open": "open_atlas", "read": "read 16 pictures", "gallery": "FilterGallery(..., atlas=atlas)",
            "turn": "turn a page of it", "html": "to_html"}  # fmt: skip
    rows = {words: [f"{1000 * took[name]:.0f}"] for name, words in told.items()}
    header = (f"{took['pictures']:.0f} pictures", "ms")
    return (
        f"{markdown(header, rows)}\n\nThe page has {took['megabytes']:.1f} MB "
        "(smooth noise; painted pictures take more)."
    )


def scheduling(tasks: int) -> str:
    """What a scheduler of many workers carries."""
    rows = {}
    for seconds in (0.0, 0.1, 0.25, 1.0, 4.0):
        count = min(tasks, max(CLUSTER * 2, round(tasks / (1 + 10 * seconds))))
        took = _run("scheduled", seconds, count)
        rows[f"{seconds:g} s"] = [str(count), f"{took['rate']:.0f}", f"{took['busy']:.0%}"]
    return markdown((f"{CLUSTER} workers, a task sleeps", "tasks", "tasks a second", "workers busy"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.atlas", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="little work: does everything still run?")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    units, steps, tasks = (16, 4, 200) if options.quick else (64, 32, 4000)
    print("\n\n".join([rendering(units, steps), opening(), scheduling(tasks)]))
    print(f"\n{os.cpu_count()} CPUs, load {load:.1f} before and {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("["):
        row, *given = json.loads(sys.argv[1])
        process.report(**ROWS[row](*given))
    else:
        main()
