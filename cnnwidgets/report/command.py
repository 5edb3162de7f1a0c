"""`python -m cnnwidgets explain model.keras cat.jpg folder`: an explanation from the command line."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnwidgets.errors import BadTarget, quoted_path
from cnnwidgets.paths import checked_path
from cnnwidgets.terminal import clear_progress, show_progress

INTERVAL = 0.1  # seconds between two states of the bar
MOST = 2**24  # bytes of a file of class names


def add_to(commands: Any) -> None:
    """Add `explain` to the commands of a parser."""
    about = "Explain one prediction: heatmaps, what they are worth, the strongest units, as a folder with a page."
    parser = commands.add_parser("explain", help="explain a prediction, to be kept", description=about)
    parser.add_argument("network", help="squeezenet, efficientnet_lite0, or a .keras or .h5 file")
    parser.add_argument("pictures", nargs="+", metavar="picture", help="a picture, or one for each input of the model")
    parser.add_argument("folder", help="a new or empty folder, or one with an earlier explanation")
    parser.add_argument("--target", metavar="CLASS", help="a class by name or index (default: the top class)")
    parser.add_argument("--against", metavar="CLASS", nargs="+", help="why the target rather than these classes")
    parser.add_argument("--of", default="logit", help="logit or log_odds")
    parser.add_argument("--output", help="of a model with several outputs: its name or index")
    parser.add_argument("--layer", metavar="PATH", help="of class activation maps and units")
    parser.add_argument("--methods", nargs="+", help="default: grad_cam integrated_gradients occlusion")
    parser.add_argument("--units", type=int, default=6, metavar="N", help="strongest units that are shown (default: 6)")
    parser.add_argument("--steps", type=int, default=32, help="gradient steps for the picture of a unit (default: 32)")
    parser.add_argument("--size", type=int, help="pixels of the longer side, at which the network looks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preprocess", default="auto", help="for a file: auto, none, unit, tf, caffe or torch")
    parser.add_argument("--classes", metavar="FILE", help="for a file: a text file with a class name in each line")
    parser.set_defaults(run=run, stopped="Stopped. A folder without manifest.json is not finished.")


def run(options: argparse.Namespace) -> None:
    """Explain a prediction, and print the path of the page."""
    from cnnwidgets.report.explaining import ExplainSettings
    from cnnwidgets.report.folder import check_folder
    from cnnwidgets.zoo import network_named

    check_folder(options.folder)  # before anything is computed
    classes = None if options.classes is None else _class_names(options.classes)
    net = network_named(options.network, options.preprocess, classes)
    given = {name: value for name, value in vars(options).items() if value is not None}
    names = {"target": net.class_names, "output": [info.name for info in net.outputs]}
    for name in given.keys() & names.keys():
        given[name] = _name_or_index(given[name], names[name])
    if "against" in given:
        given["against"] = [_name_or_index(one, net.class_names) for one in given["against"]]
    pictures = options.pictures[0] if len(options.pictures) == 1 else list(options.pictures)
    shown_at = float("-inf")
    show_progress(0, "reading the network")
    for frame in ExplainSettings.given(given).check(net, pictures).frames():
        if time.monotonic() - shown_at >= INTERVAL:
            shown_at = time.monotonic()
            show_progress(frame.step / frame.steps, frame.doing)
    page = frame.result().save(options.folder)
    clear_progress()
    _print_path(page)


def _print_path(page: Path) -> None:
    sys.stdout.write(f"{page}\n")
    sys.stdout.flush()


def _name_or_index(text: str, names: Sequence[str] | None) -> str | int:
    """A class or output as it is typed: the index of one, unless a name is written like that."""
    return text if text in (names or ()) or not text.lstrip("-").isdecimal() else int(text)


def _class_names(file: str) -> list[str]:
    """The class names in a text file, one in each line."""
    path = checked_path("classes", file)
    try:
        if path.stat().st_size > MOST:
            raise ValueError("it is too large")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8
        why = getattr(error, "strerror", None) or ("it is not UTF-8" if isinstance(error, UnicodeError) else error)
        raise BadTarget(
            f"{quoted_path(path)} cannot be read: {why}. Give a text file with the name of a class in each line."
        ) from error
    return [line.strip() for line in lines if line.strip()]
