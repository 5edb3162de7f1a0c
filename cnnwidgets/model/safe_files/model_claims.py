"""The claims that a model file may make, and refusals of others."""

from __future__ import annotations

from pathlib import Path

from cnnwidgets.errors import BadModel, quoted

GROWTH, FREE_BYTES = 4, 64_000_000  # weights may take four times what the file takes, and 64 MB
AGAIN = "Copy or download it again"
DISTRUST = "Do not use this file"


def damaged(file: Path) -> BadModel:
    """The error for a file that ends too early, or does not add up."""
    return BadModel(f"{quoted(file.name)} is cut off or damaged. {AGAIN}.")


def check_claim(file: Path, claimed: int) -> None:
    """Refuse a file that claims more bytes than it may."""
    size = file.stat().st_size
    if claimed > GROWTH * size + FREE_BYTES:
        raise BadModel(
            f"{quoted(file.name)} has {megabytes(size)} and claims {megabytes(claimed)} of weights, "
            f"more than {GROWTH} times its size. {DISTRUST}, or build the model in Python."
        )


def megabytes(count: int) -> str:
    """A size as a person reads it: "12.3 MB"."""
    return f"{count / 1e6:,.1f} MB"


def rebuild(file: Path) -> str:
    """What opens nearly any file of Keras, its weights at least."""
    return f"Build the model in Python, call its load_weights({quoted(file.name)}), and give it to cw.Network"
