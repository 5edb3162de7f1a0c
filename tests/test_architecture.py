"""The walls of the house: who may import whom, and what nobody may call. Read from the source, nothing is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "cnnwidgets"

PLAIN = {"errors", "frame", "html_page", "keywords", "paths", "pictures", "quantities", "samples", "terminal"}
CORE = {"activations", "explain", "model", "visualize"}  # arrays in, arrays or frames out
MAY_IMPORT = {  # room -> the rooms (or modules in them) that it may import, besides itself and the plain ones
    **dict.fromkeys(PLAIN, set()),
    "model": set(),
    "visualize": {"model"},
    # A concept is something to optimize, too; and calling the room calls the verb above it.
    "explain": {"model", "visualize.objectives", "report.explaining", "report.explanation.Explanation"},
    "activations": {"model"},
    "training": {"activations", "explain", "model", "visualize"},
    "jobs": set(),
    "zoo": {"model.backend", "model.network", "model.sizes.picture_size", "model.preprocessing"},
    "provenance": CORE | {"zoo"},
    "atlas": {"activations", "jobs", "model", "provenance.recipe", "visualize", "zoo"},
    "report": {"explain", "model", "provenance", "visualize.units", "zoo"},
    "panels": CORE | {"training", "atlas.atlas", "jobs", "provenance", "zoo"},  # what is there is read, never rendered
    "__init__": CORE | {"atlas", "jobs", "panels", "provenance", "report", "training", "zoo"},
    "__main__": {"command_line"},
    "command_line": {"atlas.command", "jobs.failure", "report.command"},
}
KERAS = {"keras", "tensorflow"}
DRAWING = {"IPython", "ipyevents", "ipywidgets"}
THREADS = {"_thread", "asyncio", "concurrent", "multiprocessing", "threading"}
FORBIDDEN = {  # room -> names, with all that is below them, that it may not reach
    **dict.fromkeys(PLAIN, KERAS | DRAWING),
    **dict.fromkeys(CORE, DRAWING | THREADS | {"time.sleep"}),
    "training": DRAWING | THREADS | {"time.sleep"},
    "provenance": DRAWING | THREADS,
    "report": DRAWING | THREADS,
    "jobs": KERAS | DRAWING,
    "zoo": DRAWING,
    "atlas": DRAWING,
    "panels": set(),
    "__init__": KERAS | DRAWING,
    "__main__": KERAS | DRAWING,
    "command_line": KERAS | DRAWING,
}
# All that the core may use of threads.
LOCKS = {"threading.Condition", "threading.Lock", "threading.RLock", "threading.get_ident"}
EXECUTES = {  # reading a file with these runs what the file says
    "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "torch",
    "builtins.__import__", "builtins.eval", "builtins.exec", "os.system", "yaml.load",
    "keras.config.enable_unsafe_deserialization",
}  # fmt: skip
NOBODY = EXECUTES | {"matplotlib.pyplot", "pylab", "builtins.print"}
UNSAFE_KEYWORDS = {"allow_pickle": True, "safe_mode": False}
INTERNALS = "model/keras_internals.py"
PRIVATE = {  # names of Keras and TensorFlow that may change without notice, and methods that are patched
    "_add_function_recursive", "_build_shapes_dict", "_convert_input_args", "_convert_inputs_to_tensors",
    "_flatten_layers", "_functional", "_get_function", "_gradient_op_type", "_handle_data", "_losses",
    "_nodes_by_depth", "_remat_mode", "_resize_images", "_set_attr", "RegisterGradient", "convolution_op",
    "gradient_override_map",
}  # fmt: skip
OTHERS_PRIVATE = {"_closed", "_lru_cache_wrapper", "_replace", "_asdict", "_fields", "_repr_mimebundle_", "_view_count"}
VAGUE = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}

Use = tuple[int, str]  # line, dotted name


def room_of(file: Path, package: Path) -> str:
    return file.relative_to(package).parts[0].removesuffix(".py")


def imports(tree: ast.AST, file: Path, package: Path) -> Iterator[tuple[int, str, str]]:
    """(line, dotted name, local name) of every import, wherever it stands: in a function, or for the type checker."""
    here = [package.name, *file.relative_to(package).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, alias.asname or alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}".removesuffix(".*"), alias.asname or alias.name


def dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    """`np.random.seed` -> "numpy.random.seed", as the file's imports have it; a name that no import made: a builtin."""
    if isinstance(node, ast.Name):
        return names.get(node.id, f"builtins.{node.id}")
    if isinstance(node, ast.Attribute) and (base := dotted(node.value, names)):
        return f"{base}.{node.attr}"
    return None


def uses(tree: ast.AST, file: Path, package: Path) -> Iterator[Use]:
    """Every dotted name that the file imports, reaches through an import, or asks for as text."""
    names = {}
    for line, name, local in imports(tree, file, package):
        names[local] = name.split(".")[0] if local == name.split(".")[0] else name
        yield line, name
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and (name := dotted(node, names)):
            yield node.lineno, name
        if isinstance(node, ast.Call) and str(dotted(node.func, names)).endswith("import_module"):
            yield from ((node.lineno, arg.value) for arg in node.args if isinstance(arg, ast.Constant))


def below(name: str, tops: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:count]) in tops for count in range(1, len(parts) + 1))


def source_files(package: Path) -> Iterator[tuple[Path, str, ast.AST]]:
    for file in sorted(package.rglob("*.py")):
        yield file, room_of(file, package), parsed(file, file.stat().st_mtime_ns)


@cache
def parsed(file: Path, _changed: int) -> ast.AST:
    """The syntax tree of a file, which all checks share."""
    return ast.parse(file.read_text(encoding="utf-8"))


def broken_directions(package: Path) -> list[str]:
    """Imports between rooms that run the wrong way."""
    found = []
    for file, room, tree in source_files(package):
        allowed = {f"{package.name}.{r}" for r in MAY_IMPORT.get(room, set()) | PLAIN | {room, "__version__"}}
        for line, name, _ in imports(tree, file, package):
            if below(name, {package.name}) and not below(name, allowed):
                found.append(f"{file.relative_to(package)}:{line}: {room} imports {name}")
    return found


def forbidden_names(package: Path) -> list[str]:
    """Names from outside that the room may not reach."""
    found = []
    for file, room, tree in source_files(package):
        walls = FORBIDDEN.get(room, set()) | NOBODY
        doors = LOCKS | {"threading"} if room in CORE else set()  # the import alone does nothing yet
        for line, name in uses(tree, file, package):
            if below(name, walls) and name not in doors:
                found.append(f"{file.relative_to(package)}:{line}: {room} reaches {name}")
    return found


def unsafe_keywords(package: Path) -> list[str]:
    """Keywords that make a reader execute what it reads."""
    return [
        f"{file.relative_to(package)}:{node.value.lineno}: {node.arg}={ast.unparse(node.value)}"
        for file, _, tree in source_files(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg in UNSAFE_KEYWORDS
        and not (isinstance(node.value, ast.Constant) and node.value.value is not UNSAFE_KEYWORDS[node.arg])
    ]  # fmt: skip


def misplaced_modules(package: Path) -> list[str]:
    """Modules with a vague name, and rooms that the plan of the house does not have."""
    files = [file.relative_to(package) for file in sorted(package.rglob("*.py"))]
    vague = [f"{f}: says nothing by its name" for f in files if VAGUE & set(re.split(r"[_/.]", str(f)))]
    unplanned = [f"{f}: no such room in MAY_IMPORT" for f in files if f.parts[0].removesuffix(".py") not in MAY_IMPORT]
    return vague + unplanned


def own_names(package: Path) -> set[str]:
    """The private names that the package itself gives, to functions, fields and attributes of `self`."""
    found = set()
    for _, _, tree in source_files(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and of_self(node):
                found.add(node.attr)
    return found


def of_self(node: ast.Attribute) -> bool:
    whose = node.value
    if isinstance(whose, ast.Name):
        return whose.id in ("self", "cls")
    return isinstance(whose, ast.Call) and ast.unparse(whose) == "super()"


def private_names(package: Path) -> list[str]:
    """Private names of Keras and TensorFlow outside of the one module that may use them."""
    own = own_names(package) | OTHERS_PRIVATE
    found = []
    for file, _, tree in source_files(package):
        if file.relative_to(package).as_posix() == INTERNALS:
            continue
        for line, name, _ in imports(tree, file, package):
            if below(name, {"keras.src", "tensorflow.python"}):
                found.append(f"{file.relative_to(package)}:{line}: {name} belongs in {INTERNALS}")
        for node in ast.walk(tree):
            name = ""
            if isinstance(node, ast.Attribute) and not of_self(node):
                is_foreign = re.match("_[a-z]", node.attr) and node.attr not in own
                name = node.attr if is_foreign or node.attr in PRIVATE | {"_layers"} else ""
            elif isinstance(node, ast.Constant) and node.value in PRIVATE:
                name = node.value
            if name:
                found.append(f"{file.relative_to(package)}:{node.lineno}: {name} belongs in {INTERNALS}")
    return found


CHECKS = [private_names, broken_directions, forbidden_names, unsafe_keywords, misplaced_modules]


@pytest.mark.parametrize("check", CHECKS)
def test_the_house_keeps_its_walls(check):
    assert list(PACKAGE.rglob("*.py")), "no source was found, so nothing was checked"
    assert check(PACKAGE) == []


BROKEN = [
    ("explain/a.py", "import cnnwidgets.jobs.job", "explain imports cnnwidgets.jobs.job"),
    ("model/a.py", "from ..visualize import ascent", "model imports cnnwidgets.visualize.ascent"),
    ("visualize/a.py", "from ..explain import targets", "visualize imports cnnwidgets.explain.targets"),
    ("provenance/a.py", "from ..panels import base", "provenance imports cnnwidgets.panels.base"),
    ("model/a.py", "def f():\n    from ..panels import tiles", "model imports cnnwidgets.panels.tiles"),
    ("jobs/a.py", "import typing\nif typing.TYPE_CHECKING:\n    from ..visualize import ascent", "jobs imports"),
    ("jobs/deep/a.py", "from ...visualize.ascent import ascend", "jobs imports cnnwidgets.visualize.ascent.ascend"),
    ("zoo/a.py", "from cnnwidgets.visualize import ascent", "zoo imports cnnwidgets.visualize.ascent"),
    ("atlas/a.py", "from cnnwidgets import panels", "atlas imports cnnwidgets.panels"),
    ("panels/a.py", "from cnnwidgets.atlas import rendering", "panels imports cnnwidgets.atlas.rendering"),
    ("pictures.py", "from .jobs import cache", "pictures imports cnnwidgets.jobs.cache"),
    ("jobs/a.py", "import cnnwidgets", "jobs imports cnnwidgets"),
    ("explain/a.py", "from cnnwidgets.report import folder", "explain imports cnnwidgets.report"),
    ("report/a.py", "from cnnwidgets.panels import gallery", "report imports cnnwidgets.panels"),
    ("model/a.py", "import ipywidgets as w", "model reaches ipywidgets"),
    ("zoo/a.py", "from IPython.display import display", "zoo reaches IPython.display.display"),
    ("jobs/a.py", "def f():\n    import keras", "jobs reaches keras"),
    ("jobs/a.py", "from tensorflow.experimental import numpy", "jobs reaches tensorflow"),
    ("errors.py", "import tensorflow as tf", "errors reaches tensorflow"),
    ("panels/a.py", "import matplotlib.pyplot as plt", "panels reaches matplotlib.pyplot"),
    ("panels/a.py", "from matplotlib import pyplot", "panels reaches matplotlib.pyplot"),
    ("panels/a.py", "from importlib import import_module\nimport_module('matplotlib.pyplot')", "matplotlib.pyplot"),
    ("model/a.py", "import threading\nthreading.Thread()", "model reaches threading.Thread"),
    ("model/a.py", "from threading import Event as Lock", "model reaches threading.Event"),
    ("model/a.py", "import concurrent.futures", "model reaches concurrent.futures"),
    ("model/a.py", "from time import sleep", "model reaches time.sleep"),
    ("model/a.py", "import time as t\nt.sleep(1)", "model reaches time.sleep"),
    ("jobs/a.py", "print('hello')", "jobs reaches builtins.print"),
    ("zoo/a.py", "import pickle\npickle.load(f)", "zoo reaches pickle.load"),
    ("jobs/a.py", "import pickle", "jobs reaches pickle"),
    ("zoo/a.py", "from torch import load", "zoo reaches torch.load"),
    ("zoo/a.py", "import os as o\nf = o.system", "zoo reaches os.system"),
    ("zoo/a.py", "import yaml\nyaml.load(f)", "zoo reaches yaml.load"),
    ("panels/a.py", "eval('1')", "panels reaches builtins.eval"),
    ("panels/a.py", "run = exec", "panels reaches builtins.exec"),
    ("panels/a.py", "__import__('os')", "panels reaches builtins.__import__"),
    ("atlas/a.py", "import joblib, dill, shelve, cloudpickle", "atlas reaches cloudpickle"),
    ("model/a.py", "import keras\nkeras.config.enable_unsafe_deserialization()", "enable_unsafe_deserialization"),
    ("zoo/a.py", "import numpy\nnumpy.load(f, allow_pickle=True)", "allow_pickle=True"),
    ("zoo/a.py", "import numpy\nnumpy.load(f, allow_pickle=trusted)", "allow_pickle=trusted"),
    ("model/a.py", "import keras\nkeras.models.load_model(f, safe_mode=False)", "safe_mode=False"),
    ("model/a.py", "for one in model._flatten_layers(): pass", "_flatten_layers belongs in"),
    ("model/a.py", "inner = layer._layers", "_layers belongs in"),
    ("explain/a.py", "import tensorflow as tf\ntf.RegisterGradient('mine')", "RegisterGradient belongs in"),
    ("explain/a.py", "getattr(model, '_functional', None)", "_functional belongs in"),
    ("model/a.py", "wrap(layer, 'convolution_op', mine, restore)", "convolution_op belongs in"),
    ("model/a.py", "from tensorflow.python.eager import record", "tensorflow.python.eager.record belongs in"),
    ("visualize/a.py", "layer._some_new_secret()", "_some_new_secret belongs in"),
    ("panels/tile_utils.py", "", "says nothing by its name"),
    ("common/__init__.py", "", "says nothing by its name"),
    ("kitchen/a.py", "", "no such room"),
]  # fmt: skip

SOUND = [
    ("__init__.py", "from .panels import gallery\nfrom .model import network"),
    ("panels/a.py", "import ipywidgets\nfrom ..jobs import job\nfrom cnnwidgets.visualize.ascent import ascend"),
    ("zoo/a.py", "import pickletools\nfrom cnnwidgets.model.network import Network\nimport keras"),
    ("model/a.py", "import threading\nfrom ..errors import BadTarget\nlock = threading.Lock()"),
    ("model/b.py", "import keras\nimport numpy as np\nmodel.eval()\nnp.load(f, allow_pickle=False)"),
    ("model/keras_internals.py", "inner = layer._layers\nlayer._some_new_secret()"),
    ("panels/a.py", "class A:\n    def __init__(self): self._layers = [self._layers, self._of_a_parent]"),
    ("panels/a.py", "class A:\n    _size: int = 3\n    def is_like(self, other): return other._size"),
    ("jobs/a.py", "import threading\nfrom . import job\nfrom cnnwidgets import pictures\nthreading.Thread()"),
]


def house(root: Path, file: str, source: str) -> Path:
    path = root / "cnnwidgets" / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    return root / "cnnwidgets"


@pytest.mark.parametrize(("file", "source", "message"), BROKEN)
def test_a_broken_wall_is_seen(tmp_path, file, source, message):
    package = house(tmp_path, file, source)
    assert any(message in line for check in CHECKS for line in check(package))


@pytest.mark.parametrize(("file", "source"), SOUND)
def test_a_sound_wall_is_left_alone(tmp_path, file, source):
    package = house(tmp_path, file, source)
    assert [line for check in CHECKS for line in check(package)] == []
