"""Print what the package needs as a pip requirements file, with the TensorFlow of one's choice.

A TensorFlow that this Python already has stays. To install beside it:

    python scripts/requirements.py lab | pip install -r /dev/stdin
    pip install --no-deps .
"""

from __future__ import annotations

import argparse
import re
import tomllib
from importlib import metadata
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
KINDS = ("tensorflow", "tensorflow-cpu")  # distributions that hold the same package, so only one may be there


def requirements(extras: list[str], tensorflow: str) -> list[str]:
    """The project's requirements and those of `extras`, with `tensorflow` in place of plain tensorflow."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [re.sub(r"^tensorflow\b(?!-)(\[.*\])?", tensorflow, line) for line in lines]  # the versions stay


def installed_tensorflow() -> str | None:
    """The TensorFlow distribution that this Python already has."""
    have = {(dist.name or "").lower().replace("_", "-") for dist in metadata.distributions()}
    return next((kind for kind in KINDS if kind in have), None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*", help="extras of pyproject.toml: lab, test, atlas, concepts, gpu")
    parser.add_argument("--tensorflow", default="tensorflow", help="what to install where there is none yet")
    options = parser.parse_args()
    print("\n".join(requirements(options.extras, installed_tensorflow() or options.tensorflow)))
