"""Model files from others: contents are checked before anything is built, and nothing in them is executed."""

from __future__ import annotations

import contextlib
import json
import random
import re
import tempfile
import zipfile
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from cnnwidgets.errors import BadModel, quoted, without_colors
from cnnwidgets.model.backend import keras, start_device, tf
from cnnwidgets.model.keras_internals import name_scopes_restored
from cnnwidgets.model.safe_files.file_kinds import HDF5, about_folder, about_missing
from cnnwidgets.model.safe_files.h5_weights import load_weights
from cnnwidgets.model.safe_files.keras2_config import MODELS, translated
from cnnwidgets.model.safe_files.keras2_notes import Notes
from cnnwidgets.model.safe_files.model_archive import CONFIG, Content, read_content
from cnnwidgets.model.safe_files.model_claims import check_claim, damaged, rebuild
from cnnwidgets.paths import expanded

LONGEST_REASON = 200  # characters of what Keras says

_CODE = {"__lambda__", "FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}  # these carry programs of their own
_UNKNOWN = re.compile(r"(?:Could not locate (?:class|function)|Unknown \w+:) '?([^'\n.]+)'?")
_REASON = re.compile(r"Exception encountered: ")


class Loaded(NamedTuple):
    """A model out of a file.

    Attributes:
        model: not compiled.
        note: what was changed to open it; "" where it was read as it stands.
    """

    model: Any
    note: str


class Found(NamedTuple):
    """What is built: a file, its content, the configuration for Keras 3, and what was changed in that."""

    file: Path
    content: Content
    config: dict[str, Any]
    notes: Notes

    @property
    def note(self) -> str:
        """What was changed; "" where nothing was."""
        return str(self.notes) if self.content.is_of_keras_2 else ""


def load_model(path: str | PathLike[str]) -> Loaded:
    """The Keras model in a `.keras` or `.h5` file, loaded in Keras' safe mode, always; it is not compiled.

    Raises:
        BadModel: why the file cannot be read, or must not be.
    """
    file = _existing(path)
    content = read_content(file)
    _refuse_code(file, content.config)
    start_device()
    state = random.getstate()  # Keras draws a seed for each layer from it, and it is the user's
    try:
        with name_scopes_restored():
            found = _for_keras_3(file, content)
            check_claim(file, _bytes_of_weights(found))
            return Loaded(_built(found), found.note)
    finally:
        random.setstate(state)


def _existing(path: str | PathLike[str]) -> Path:
    if not isinstance(path, (str, PathLike)) or not isinstance(fspath(path), str) or "\0" in fspath(path):
        raise BadModel(f"{quoted(path)} is not a path. Give that of a .keras or .h5 file.")
    file = expanded(path)
    try:
        if file.is_dir():
            raise BadModel(about_folder(file))
        if not file.is_file():
            raise BadModel(about_missing(file))
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise BadModel(f"{quoted(str(path))} cannot be opened ({error.strerror}). Give another path.") from error
    return file


def _refuse_code(file: Path, config: dict[str, Any]) -> None:
    code = next((kind for kind in _kinds(config) if kind in _CODE), None)
    if code is not None:
        what = "Lambda layer" if code == "__lambda__" else code
        raise BadModel(
            f"{quoted(file.name)} contains Python code (a {what}), and code from model files is never executed. "
            f"{rebuild(file)}."
        )


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


def _for_keras_3(file: Path, content: Content) -> Found:
    """The configuration as Keras 3 reads it, without what only training needs."""
    notes = Notes(content.version, content.config)
    if not content.is_of_keras_2:
        return Found(file, content, _without_training(_with_module(content.config)), notes)
    try:
        return Found(file, content, translated(content.config, notes), notes)
    except BadModel as error:
        raise BadModel(f"{quoted(file.name)}, of Keras {content.version}: {error}. {rebuild(file)}.") from error
    except Exception as error:  # a configuration that others wrote may be anything
        raise BadModel(_refusal(file, error)) from error


def _without_training(value: Any) -> Any:
    """Without losses, metrics and optimizers, which may be of the user's own; they are in nested models too."""
    if isinstance(value, dict):
        return {key: _without_training(one) for key, one in value.items() if key != "compile_config"}
    return [_without_training(one) for one in value] if isinstance(value, list) else value


def _with_module(config: dict[str, Any]) -> dict[str, Any]:
    """The older form of a configuration, that of `.h5` files, does not say which of Keras' own models it means."""
    if "module" in config or config["class_name"] not in MODELS:
        return config
    name = "Sequential" if config["class_name"] == "Sequential" else "Model"
    return {**config, "module": "keras", "class_name": name, "registered_name": None}


def _bytes_of_weights(found: Found) -> int:
    """What the weights would take, found by building the model of tensors that have a shape and no content."""
    graph = tf.Graph()
    try:
        with graph.as_default():
            _deserialized(found._replace(config=_with_zeros(found.config)))
    except Exception as error:  # a configuration that others wrote fails in as many ways as Keras has layers
        raise BadModel(_refusal(found.file, error)) from error
    variables = (op for op in graph.get_operations() if op.type == "VarHandleOp")
    return sum(_elements(op) * op.get_attr("dtype").size for op in variables)


def _with_zeros(value: Any) -> Any:
    """The same layers, whose weights begin as zeros: to draw them takes long, and changes no size.

    Only initializers of Keras itself: any other one is left for Keras to know or to refuse.
    """
    if isinstance(value, dict) and value.get("module") == "keras.initializers" and "class_name" in value:
        known = isinstance(value["class_name"], str) and hasattr(keras.initializers, value["class_name"])
        return {**value, "class_name": "Zeros", "config": {}} if known else value
    if isinstance(value, dict):
        return {key: _with_zeros(one) for key, one in value.items()}
    return [_with_zeros(one) for one in value] if isinstance(value, list) else value


def _deserialized(found: Found) -> Any:
    return keras.saving.deserialize_keras_object(json.loads(json.dumps(found.config)), safe_mode=True)


def _elements(variable: Any) -> int:
    return int(np.prod([dim.size for dim in variable.get_attr("shape").dim], dtype=object))


def _built(found: Found) -> Any:
    """The model with its weights; its layers could be built before, so what fails here is about the weights."""
    try:
        return _from_hdf5(found) if found.content.kind == HDF5 else _from_archive(found)
    except (OSError, EOFError) as error:
        raise damaged(found.file) from error
    except Exception as error:
        raise BadModel(
            f"{quoted(found.file.name)} holds weights that do not fit its layers ({_reason(error)}). "
            f"{rebuild(found.file)}."
        ) from error


def _from_hdf5(found: Found) -> Any:
    model = _deserialized(found)
    with h5py.File(found.file, "r") as hdf5:
        load_weights(model, found.config, hdf5, found.notes.old_name)
    return model


def _from_archive(found: Found) -> Any:
    with _archive_for_keras(found) as path:
        return keras.saving.load_model(str(path), compile=False, safe_mode=True)


@contextlib.contextmanager
def _archive_for_keras(found: Found) -> Iterator[Path]:
    """The archive, or a copy of it where Keras would not read it: by its name, or with another configuration."""
    if found.file.suffix == ".keras" and found.config == found.content.config:
        yield found.file
        return
    with tempfile.TemporaryDirectory(prefix="cnnwidgets-") as folder:
        copy = Path(folder) / "model.keras"
        with zipfile.ZipFile(found.file) as old, zipfile.ZipFile(copy, "w") as new:
            for name in old.namelist():
                new.writestr(name, json.dumps(found.config) if name == CONFIG else old.read(name))
        yield copy


def _refusal(file: Path, error: Exception) -> str:
    """Why Keras refuses a file, in two sentences."""
    if match := _UNKNOWN.search(str(error)):
        return (
            f"{quoted(file.name)} needs {quoted(match[1])}, which Keras does not know. Register it with "
            f"keras.saving.register_keras_serializable and open the file again, or {rebuild(file)[0].lower()}"
            f"{rebuild(file)[1:]}."
        )
    return f"Keras cannot load {quoted(file.name)} ({_reason(error)}). {rebuild(file)}."


def _reason(error: Exception) -> str:
    """The innermost reason that Keras gives, which stands last, after the configurations of all that is around it."""
    said = without_colors(_REASON.split(str(error))[-1])
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return quoted(" ".join(lines[:2]), LONGEST_REASON) if lines else type(error).__name__
