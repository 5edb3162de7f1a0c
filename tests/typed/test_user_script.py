"""What type checkers see of the package in a script of its users."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import cnnwidgets as cw

SCRIPT = Path(__file__).with_name("user_script.py")
PROJECT = SCRIPT.parent.parent.parent


def test_mypy_accepts_right_uses_and_refuses_wrong_ones(tmp_path):
    settings = tmp_path / "mypy.ini"  # a user's, not the project's
    settings.write_text("[mypy]\nstrict = true\nignore_missing_imports = true\nfollow_imports = silent\n")
    cache = PROJECT / ".mypy_cache" / "of-users"
    command = [sys.executable, "-m", "mypy", "--config-file", settings, "--cache-dir", cache, SCRIPT]
    environment = os.environ | {"MYPYPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_uses_each_panel_rightly_and_wrongly():
    parts = ast.parse(SCRIPT.read_text(encoding="utf-8")).body
    body = {one.name: ast.unparse(one) for one in parts if isinstance(one, ast.FunctionDef)}
    panels = [name for name in cw.__all__ if hasattr(getattr(cw, name), "class_traits")]
    assert [name for name in panels if f"cw.{name}(" not in body["panels"]] == []
    assert [name for name in panels if f"cw.{name}(" not in body["wrong"]] == []


def test_each_trait_of_a_panel_is_visible_to_checkers_which_do_not_run_decorators():
    for panel in (getattr(cw, name) for name in cw.__all__):
        if not hasattr(panel, "class_traits"):
            continue
        ours = [one for one in panel.__mro__ if one.__module__.startswith("cnnwidgets")]
        written = {name for one in ours for name in (*inspect.get_annotations(one), *assigned(one))}
        theirs = {name for one in panel.__mro__ if one not in ours for name in vars(one)}
        assert set(panel.class_trait_names()) - theirs - written == set(), panel


def assigned(kind: type) -> set[str]:
    """The names that the body of a class assigns."""
    tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    found = next(one for one in ast.walk(tree) if isinstance(one, ast.ClassDef) and one.name == kind.__name__)
    return {target.id for one in found.body if isinstance(one, ast.Assign) for target in one.targets
            if isinstance(target, ast.Name)}  # fmt: skip


def test_the_package_says_that_it_is_typed():
    assert (PROJECT / "cnnwidgets" / "py.typed").exists()
