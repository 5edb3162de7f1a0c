"""The Binder folder: what it pins is what the package asks for, and repo2docker reads it as it is meant."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent
BINDER = PROJECT / "binder"
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OTHER_NAMES = {"tensorflow": "tensorflow-cpu"}  # half the download, and Binder has no card


def asked() -> dict[str, Requirement]:
    """What the package and what its lessons need ask for, by the name that Binder installs it under."""
    extras = PYPROJECT["optional-dependencies"]
    every = [PYPROJECT["dependencies"], *(extras[name] for name in ("lab", "atlas", "concepts"))]
    found = [Requirement(line) for lines in every for line in lines]
    return {OTHER_NAMES.get(one.name, one.name): one for one in found}


def pinned() -> dict[str, str]:
    """The versions in binder/requirements.txt."""
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    assert all([one.operator for one in each.specifier] == ["=="] for each in found), "each at one version"
    return {one.name: next(iter(one.specifier)).version for one in found}


def test_binder_installs_what_the_package_asks_for_and_nothing_else():
    assert pinned().keys() == asked().keys()


@pytest.mark.parametrize("name", sorted(asked()))
def test_the_pinned_version_is_one_that_the_package_takes(name):
    assert asked()[name].specifier.contains(pinned()[name])


def test_the_python_is_named_and_new_enough():
    name, _, version = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip().partition("-")
    assert name == "python" and re.fullmatch(r"3\.\d+", version)
    assert Requirement(f"python{PYPROJECT['requires-python']}").specifier.contains(version)


def test_the_package_is_installed_without_its_dependencies():
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    assert re.search(r"pip install .*--no-deps \.$", script.read_text(encoding="utf-8"), re.MULTILINE)


def test_visitors_land_on_a_lesson_that_exists():
    config = json.loads((BINDER / "jupyter_server_config.json").read_text(encoding="utf-8"))
    for app in ("LabApp", "ServerApp"):
        assert (PROJECT / config[app]["default_url"].removeprefix("/lab/tree/")).is_file()


def test_repo2docker_reads_the_folder():
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(PROJECT)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    steps = told.stdout + told.stderr
    assert told.returncode == 0, steps
    python = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
    install = 'pip install --no-cache-dir -r "binder/requirements.txt"'
    assert [step for step in (f"python={python}", install, "RUN ./binder/postBuild") if step not in steps] == []
