"""`python -m cnnwidgets`: the commands, their errors in a sentence, and their exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cnnwidgets.atlas import command as atlas
from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.report import command as report
from cnnwidgets.terminal import clear_progress, say

BROKEN, STOPPED = 2, 130  # exit codes; the second is what a shell expects after Ctrl-C


def arguments() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m cnnwidgets", description="A microscope for Keras CNNs.")
    commands = parser.add_subparsers(dest="verb", required=True)
    report.add_to(commands)
    atlas.add_to(commands)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = arguments().parse_args(words)
    try:
        options.run(options)
    except KeyboardInterrupt:
        clear_progress()
        say(f"\n{options.stopped}\n")
        return STOPPED
    except (CnnWidgetsError, ImportError) as error:
        clear_progress()
        say(f"\r{error}\n")
        return BROKEN
    except Exception as error:  # a traceback does not help at a terminal
        clear_progress()
        say(f"\r{Failure.of(error).line}\n")
        return BROKEN
    return 0
