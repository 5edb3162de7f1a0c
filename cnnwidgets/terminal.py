"""What a command says on a terminal, on the standard error stream."""

from __future__ import annotations

import sys

WIDTH, BAR = 78, 24  # columns of a line and of a bar in it


def say(text: str) -> None:
    """Write text as it is."""
    sys.stderr.write(text)
    sys.stderr.flush()


def show_progress(share: float, doing: str) -> None:
    """A bar that replaces the line before it; nothing where no terminal is there to show it.

    Args:
        share: 0 to 1, how much is done.
        doing: what is done now, in a few words.
    """
    if sys.stderr.isatty():
        full = round(BAR * min(max(share, 0.0), 1.0))
        line = f"[{'#' * full}{'.' * (BAR - full)}] {share:4.0%}  {doing}"
        say(f"\r{line[:WIDTH]:<{WIDTH}}")


def clear_progress() -> None:
    """Remove the bar."""
    if sys.stderr.isatty():
        say(f"\r{'':<{WIDTH}}\r")
