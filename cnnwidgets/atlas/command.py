"""`python -m cnnwidgets atlas squeezenet atlas.zarr --workers 2`: an atlas from a terminal."""

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
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m cnnwidgets", description="Render what every unit of a network responds to, and keep it."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="atlas")
    atlas = verbs.add_parser("atlas", help="render an atlas, or go on with one", description=parser.description)
    atlas.add_argument("network", help="squeezenet, efficientnet_lite0, or a .keras or .h5 file")
    atlas.add_argument("path", help="the folder of the atlas, such as atlas.zarr, or any fsspec address")
    atlas.add_argument("--layers", nargs="+", metavar="PATH", help="layers by their paths; all convolutions otherwise")
    atlas.add_argument("--size", type=int, help="pixels; 64, or the network's own size, otherwise")
    atlas.add_argument("--steps", type=int, default=32, help="how often each picture is changed; 32 otherwise")
    atlas.add_argument("--recipe", default="fourier", help="fourier, natural or textbook")
    atlas.add_argument("--seed", type=int, default=0)
    atlas.add_argument("--preprocess", default="auto", help="of a file: auto, none, unit, tf, caffe or torch")
    atlas.add_argument("--workers", type=int, default=0, metavar="N", help="processes on this machine; none otherwise")
    atlas.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler that is running already, instead")
    atlas.add_argument("--html", metavar="FILE", help="write the atlas as one page, too")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    asked = arguments().parse_args(words)
    try:
        _render(asked)
    except KeyboardInterrupt:
        _say("\nStopped. What is done is kept: the same command goes on where it stopped.\n")
        return STOPPED
    except (CnnWidgetsError, ImportError) as error:
        _say(f"\r{error}\n")
        return BROKEN
    except Exception as error:  # a traceback helps nobody who sits at a terminal
        _say(f"\r{Failure.of(error).line}\n")
        return BROKEN
    return 0


def _render(asked: argparse.Namespace) -> None:
    from cnnwidgets.atlas.atlas import open_atlas
    from cnnwidgets.atlas.rendering import plan_rendering

    net = _network(asked)
    with _client(asked) as client:
        rendering = plan_rendering(
            net, asked.path, asked.layers, None, asked.size, asked.steps, asked.recipe, client, asked.seed
        )
        told = float("-inf")
        with contextlib.closing(rendering.frames()) as frames:
            for progress in frames:
                if time.monotonic() - told >= INTERVAL:
                    told = time.monotonic()
                    _say(f"\r{_line(progress)}")
    failed = f", {progress.failed} could not be rendered" if progress.failed else ""
    _say(f"\r{f'{progress.done} of {progress.total} pictures in {asked.path}{failed}.':<70}\n")
    if asked.html:
        file = open_atlas(asked.path).to_html(asked.html)
        _say(f"{file} is {file.stat().st_size / 1e6:.1f} MB: open it in a browser, or put it on a web server.\n")


def _network(asked: argparse.Namespace) -> Any:
    from cnnwidgets.model.network import Network
    from cnnwidgets.zoo import NETWORKS, load_network

    if asked.network not in NETWORKS and (Path(asked.network).suffix or Path(asked.network).exists()):
        return Network.from_file(asked.network, asked.preprocess)
    return load_network(asked.network)


@contextlib.contextmanager
def _client(asked: argparse.Namespace) -> Iterator[Any]:
    """A client of the workers that were asked for, or `None`."""
    if not asked.workers and not asked.scheduler:
        yield None
        return
    from cnnwidgets.atlas.optional_imports import needed

    needed("distributed")
    from distributed import Client

    from cnnwidgets.atlas.cluster import local_cluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # of workers that are stopped, nobody need hear
    if asked.scheduler:
        with Client(asked.scheduler) as client:
            yield client
        return
    with local_cluster(asked.workers) as cluster, Client(cluster) as client:
        yield client


def _line(progress: Any) -> str:
    left = "" if progress.seconds_left is None else f", about {durations.spoken(progress.seconds_left)} left"
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{f'{progress.done} of {progress.total} pictures{left}{failed}':<70}"


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
