"""`python -m cnnwidgets atlas squeezenet atlas.zarr --workers 2`: an atlas from the command line."""

from __future__ import annotations

import argparse
import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from cnnwidgets.quantities import spoken
from cnnwidgets.terminal import say

INTERVAL = 0.5  # seconds between two progress lines


def add_to(commands: Any) -> None:
    """Add `atlas` to the commands of a parser."""
    about = "Render what every unit of a network responds to, and store the pictures."
    atlas = commands.add_parser("atlas", help="render an atlas, or continue one", description=about)
    atlas.add_argument("network", help="squeezenet, efficientnet_lite0, or a .keras or .h5 file")
    atlas.add_argument("path", help="the folder of the atlas, such as atlas.zarr, or any fsspec address")
    atlas.add_argument("--layers", nargs="+", metavar="PATH", help="layers by path (default: all convolutions)")
    atlas.add_argument("--size", type=int, help="pixels (default: 64, or a fixed network's own size)")
    atlas.add_argument("--steps", type=int, default=32, help="gradient steps for each picture (default: 32)")
    atlas.add_argument("--recipe", default="fourier", help="fourier, natural or textbook")
    atlas.add_argument("--seed", type=int, default=0)
    atlas.add_argument("--preprocess", default="auto", help="for a file: auto, none, unit, tf, caffe or torch")
    atlas.add_argument(
        "--workers", type=int, default=0, metavar="N", help="worker processes on this machine (default: none)"
    )
    atlas.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler to use instead")
    atlas.add_argument("--pictures", metavar="FOLDER", help="your own pictures: strongest patches for every unit")
    atlas.add_argument("--html", metavar="FILE", help="also write the atlas as one HTML page")
    stopped = "Stopped. Finished pictures are kept: the same command continues where it stopped."
    atlas.set_defaults(run=run, stopped=stopped)


def run(options: argparse.Namespace) -> None:
    """Render an atlas, and report the progress."""
    from cnnwidgets.atlas.atlas import open_atlas
    from cnnwidgets.atlas.render_atlas import AtlasSettings
    from cnnwidgets.zoo import network_named

    net = network_named(options.network, options.preprocess)
    with _client(options) as client:
        rendering = AtlasSettings.given({**vars(options), "client": client}).check(net, options.path, options.pictures)
        shown_at = float("-inf")
        with contextlib.closing(rendering.frames()) as frames:
            for progress in frames:
                if time.monotonic() - shown_at >= INTERVAL:
                    shown_at = time.monotonic()
                    say(f"\r{_line(progress)}")
    failed = f", {progress.failed} could not be rendered" if progress.failed else ""
    say(f"\r{f'{progress.done} of {progress.total} pictures in {options.path}{failed}.':<70}\n")
    if options.html:
        file = open_atlas(options.path).to_html(options.html)
        say(f"{file} is {file.stat().st_size / 1e6:.1f} MB: open it in a browser, or put it on a web server.\n")


@contextlib.contextmanager
def _client(options: argparse.Namespace) -> Iterator[Any]:
    """A client of the requested workers, or `None`."""
    if not options.workers and not options.scheduler:
        yield None
        return
    from cnnwidgets.atlas.store import needed

    needed("distributed")
    from distributed import Client

    from cnnwidgets.atlas.cluster import local_cluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # messages about stopped workers are noise
    if options.scheduler:
        with Client(options.scheduler) as client:
            yield client
        return
    with local_cluster(options.workers) as cluster, Client(cluster) as client:
        yield client


def _line(progress: Any) -> str:
    if progress.looked is not None:
        looked = progress.looked
        skipped = f", {looked.skipped} cannot be read" if looked.skipped else ""
        return f"{f'{looked.done} of {looked.total} of your pictures{skipped}':<70}"
    left = "" if progress.seconds_left is None else f", about {spoken(progress.seconds_left)} left"
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{f'{progress.done} of {progress.total} pictures{left}{failed}':<70}"
