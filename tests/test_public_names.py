"""What `import cnnwidgets` gives, and what it leaves alone."""

import ast
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest

import cnnwidgets

HEAVY = {"IPython", "dask", "ipyevents", "ipywidgets", "keras", "matplotlib.pyplot", "skimage", "tensorflow", "zarr"}

LOOK = """
import json, sys, threading, time
start = time.perf_counter()
import cnnwidgets
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "modules": sorted(sys.modules), "threads": threading.active_count()}))
"""


def test_all_is_sorted_and_without_doubles():
    assert list(cnnwidgets.__all__) == sorted(set(cnnwidgets.__all__))


def test_all_is_complete():
    rooms = {module.name for module in pkgutil.iter_modules(cnnwidgets.__path__)}
    shown = {name for name in dir(cnnwidgets) if not name.startswith("_")}
    assert shown - rooms == set(cnnwidgets.__all__) - rooms


def test_a_type_checker_sees_the_same_names():
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(cnnwidgets))) if isinstance(node, ast.ImportFrom)]
    ours = {alias.name for node in imports if str(node.module).startswith("cnnwidgets") for alias in node.names}
    assert ours == set(cnnwidgets.__all__)


@pytest.mark.parametrize("name", cnnwidgets.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert inspect.getdoc(getattr(cnnwidgets, name)), f"cnnwidgets.{name} has no docstring"


PUBLIC = [getattr(cnnwidgets, name) for name in cnnwidgets.__all__]


@pytest.mark.parametrize("kind", [one for one in PUBLIC if inspect.isclass(one)], ids=lambda kind: kind.__name__)
def test_every_method_of_a_public_class_is_documented(kind):
    ours = {name: one for name, one in inspect.getmembers_static(kind) if is_of_ours(one) and not name.startswith("_")}
    assert [name for name in ours if not inspect.getdoc(getattr(kind, name))] == []


def is_of_ours(member):
    """Whether it is a method or property that this package defines."""
    function = getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
    return inspect.isfunction(function) and function.__module__.startswith("cnnwidgets.")


@pytest.mark.parametrize("name", ["CnnWidgetsError", "BadPicture", "BadModel", "BadTarget", "JobFailed"])
def test_the_error_family_is_public(name):
    assert name in cnnwidgets.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = cnnwidgets.no_such_name


def test_the_import_is_light_and_silent():
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)  # anything else printed would not be JSON
    print(f"import cnnwidgets: {seen['seconds']:.3f} s")
    assert HEAVY & set(seen["modules"]) == set()
    assert seen["threads"] == 1
    assert done.stderr == ""
