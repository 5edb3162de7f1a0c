"""Model files that others made: what they hold is checked before it is built, and nothing in them is executed."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from cnnwidgets.compute.backend import keras, start_device, tf
from cnnwidgets.compute.model_archive import read_config
from cnnwidgets.compute.model_claims import check_claim, damaged
from cnnwidgets.errors import BadModel, quoted

FORMATS = (".keras", ".h5")
IN_PYTHON = "build the model in Python, and give it to cw.Network"

_CODE = {"__lambda__", "FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}  # these carry programs of their own
_UNKNOWN = re.compile(r"(?:Could not locate (?:class|function)|Unknown \w+:) '?([^'\n.]+)'?")


def load_model(path: str | PathLike[str]) -> Any:
    """The Keras model in a `.keras` or `.h5` file, loaded in Keras' safe mode, always; it is not compiled.

    Raises:
        BadModel: why the file cannot be read, or must not be.
    """
    file = _existing(path)
    config = read_config(file)
    if code := next((kind for kind in _kinds(config) if kind in _CODE), None):
        what = "a Lambda layer" if code == "__lambda__" else f"a {code}"
        raise BadModel(
            f"{quoted(file.name)} holds code, in {what}, and code of a file is never run. To use it, {IN_PYTHON}."
        )
    start_device()
    state = random.getstate()  # Keras draws a seed for each layer from it, and it is the user's
    try:
        check_claim(file, _bytes_of_weights(file, config))
        return _built(file)
    finally:
        random.setstate(state)


def _existing(path: str | PathLike[str]) -> Path:
    if not isinstance(path, (str, PathLike)) or not isinstance(fspath(path), str) or "\0" in fspath(path):
        raise BadModel(f"{quoted(path)} is no path. Give that of a .keras or .h5 file.")
    file = Path(path).expanduser()
    try:
        if file.is_dir():
            raise BadModel(_about_folder(file))
        if not file.is_file():
            folder = quoted(str(file.parent.absolute()))
            raise BadModel(f"There is no file {quoted(file.name)} in {folder}. Give the path of a .keras or .h5 file.")
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise BadModel(f"{quoted(str(path))} cannot be opened ({error.strerror}). Give another path.") from error
    if file.suffix not in FORMATS:
        raise BadModel(
            f"{quoted(file.name)} ends neither in .keras nor in .h5. "
            "Save the model with Keras: model.save('model.keras')."
        )
    return file


def _about_folder(folder: Path) -> str:
    if (folder / "saved_model.pb").exists():
        return (
            f"{quoted(folder.name)} is a SavedModel folder, of which Keras 3 cannot make a model again. "
            "Where the model was made, call model.save('model.keras')."
        )
    return f"{quoted(folder.name)} is a folder. Give the path of a .keras or .h5 file."


def _kinds(config: Any) -> Iterator[str]:
    """The classes that a configuration asks for; code in the older form, a list, is "__lambda__" too."""
    waiting = [config]
    while waiting:
        item = waiting.pop()
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        if isinstance(item, dict) and "class_name" in item:
            yield str(item["class_name"])
            inner = item.get("config")
            if item["class_name"] == "Lambda" and isinstance(inner, dict) and isinstance(inner.get("function"), list):
                yield "__lambda__"


def _bytes_of_weights(file: Path, config: dict[str, Any]) -> int:
    """What the weights would take, found by building the model of tensors that have a shape and no content."""
    graph = tf.Graph()
    try:
        with graph.as_default():
            keras.saving.deserialize_keras_object(_with_module(config), safe_mode=True)
    except Exception as error:  # a configuration that others wrote fails in as many ways as Keras has layers
        raise BadModel(_refusal(file, error)) from error
    variables = (op for op in graph.get_operations() if op.type == "VarHandleOp")
    return sum(_elements(op) * op.get_attr("dtype").size for op in variables)


def _elements(variable: Any) -> int:
    return int(np.prod([dim.size for dim in variable.get_attr("shape").dim], dtype=object))


def _with_module(config: dict[str, Any]) -> dict[str, Any]:
    """The older form of a configuration, that of `.h5` files, does not say which of Keras' own models it means."""
    if "module" in config or config["class_name"] not in ("Functional", "Model", "Sequential"):
        return config
    name = "Sequential" if config["class_name"] == "Sequential" else "Model"
    return {**config, "module": "keras", "class_name": name, "registered_name": None}


def _built(file: Path) -> Any:
    try:
        return keras.saving.load_model(str(file), compile=False, safe_mode=True)
    except (OSError, EOFError) as error:
        raise damaged(file) from error
    except Exception as error:  # the layers could be built before, so it is about the weights
        raise BadModel(
            f"{quoted(file.name)} holds weights that do not fit its layers ({_first_line(error)}). "
            f"Save it again with Keras 3, or {IN_PYTHON}."
        ) from error


def _refusal(file: Path, error: Exception) -> str:
    """Why Keras refuses a file, in two sentences."""
    if match := _UNKNOWN.search(str(error)):
        return (
            f"{quoted(file.name)} needs {quoted(match[1])}, which Keras does not know. Register it with "
            f"keras.saving.register_keras_serializable, or {IN_PYTHON}."
        )
    return f"Keras cannot load {quoted(file.name)} ({_first_line(error)}). Save it again with Keras 3, or {IN_PYTHON}."


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return quoted(lines[0]) if lines else type(error).__name__
