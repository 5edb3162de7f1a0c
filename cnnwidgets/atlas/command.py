"""`python -m cnnwidgets atlas squeezenet atlas.zarr --workers 2`: the command line for atlases."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cnnwidgets import durations
from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.jobs.failure import Failure

INTERVAL = 0.5  # seconds between two progress lines
BROKEN, STOPPED = 2, 130  # exit codes; the second is what a shell expects after Ctrl-C


def arguments() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m cnnwidgets",
        description="Render what every unit of a network responds to, and store the pictures.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="atlas")
    atlas = verbs.add_parser("atlas", help="render an atlas, or continue one", description=parser.description)
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
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = arguments().parse_args(words)
    try:
        _render(options)
    except KeyboardInterrupt:
        _say("\nStopped. Finished pictures are kept: the same command continues where it stopped.\n")
        return STOPPED
    except (CnnWidgetsError, ImportError) as error:
        _say(f"\r{error}\n")
        return BROKEN
    except Exception as error:  # a traceback does not help at a terminal
        _say(f"\r{Failure.of(error).line}\n")
        return BROKEN
    return 0


def _render(options: argparse.Namespace) -> None:
    from cnnwidgets.atlas.atlas import open_atlas
    from cnnwidgets.atlas.render_atlas import AtlasSettings

    net = _network(options)
    with _client(options) as client:
        rendering = AtlasSettings.given({**vars(options), "client": client}).check(net, options.path, options.pictures)
        shown_at = float("-inf")
        with contextlib.closing(rendering.frames()) as frames:
            for progress in frames:
                if time.monotonic() - shown_at >= INTERVAL:
                    shown_at = time.monotonic()
                    _say(f"\r{_line(progress)}")
    failed = f", {progress.failed} could not be rendered" if progress.failed else ""
    _say(f"\r{f'{progress.done} of {progress.total} pictures in {options.path}{failed}.':<70}\n")
    if options.html:
        file = open_atlas(options.path).to_html(options.html)
        _say(f"{file} is {file.stat().st_size / 1e6:.1f} MB: open it in a browser, or put it on a web server.\n")


def _network(options: argparse.Namespace) -> Any:
    from cnnwidgets.model.network import Network
    from cnnwidgets.zoo import NETWORKS, load_network

    if options.network not in NETWORKS and (Path(options.network).suffix or Path(options.network).exists()):
        return Network.from_file(options.network, options.preprocess)
    return load_network(options.network)


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
    left = "" if progress.seconds_left is None else f", about {durations.spoken(progress.seconds_left)} left"
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{f'{progress.done} of {progress.total} pictures{left}{failed}':<70}"


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
