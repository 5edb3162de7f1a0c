"""The examples in the docstrings of public names run, and give what stands below them."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import keras
import numpy as np
import pytest
import tensorflow as tf
import traitlets
from PIL import Image

import cnnwidgets as cw
from cnnwidgets.pictures import to_uint8

pytestmark = pytest.mark.notebook


def public() -> Iterator[tuple[str, Any]]:
    """Each public name, its methods, and the functions of public modules."""
    for name in cw.__all__:
        thing = getattr(cw, name)
        yield name, thing
        if inspect.ismodule(thing) or inspect.isclass(thing):
            for part, inner in vars(thing).items():
                ours = getattr(inner, "__module__", "") == (getattr(thing, "__module__", None) or thing.__name__)
                if callable(inner) and ours and not part.startswith("_"):
                    yield f"{name}.{part}", inner


EXAMPLES = {
    name: found
    for name, thing in public()
    if (found := doctest.DocTestParser().get_examples(inspect.getdoc(thing) or ""))
}


def small(outputs: int = 3) -> Any:
    layers = keras.layers
    conv1, conv2 = (layers.Conv2D(8, 3, activation="relu", name=name) for name in ("conv1", "conv2"))
    head = [layers.GlobalAveragePooling2D(), layers.Dense(outputs, activation="softmax")]
    return keras.Sequential([keras.Input((32, 32, 3)), conv1, conv2, *head])


@pytest.fixture(scope="module")
def squeezenet():
    return cw.load_network("squeezenet")


@pytest.fixture(scope="module")
def files(tmp_path_factory, squeezenet):
    """A folder as a reader has one: photographs, a model, a dream and an atlas."""
    folder = tmp_path_factory.mktemp("reader")
    photographs = [to_uint8(cw.samples.sample(name)) for name in ("chelsea", "coffee", "rocket", "astronaut")]
    for name, picture in zip(("cat", "dog"), photographs, strict=False):
        Image.fromarray(picture).save(folder / f"{name}.jpg")
    (folder / "photographs").mkdir()
    for number, picture in enumerate([*photographs, *(picture[:, ::-1] for picture in photographs)]):
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / "photographs" / f"{number}.jpg")
    small().save(folder / "model.keras")
    dream = cw.DeepDreamPanel(squeezenet, folder / "cat.jpg", {"fire5_concat": 1.0}, octaves=1, steps=1)
    dream.run()
    dream.save(folder / "dream.png")
    dream.close()
    cw.render_atlas(squeezenet, folder / "atlas.zarr", layers=["conv1"])  # the example of render_atlas resumes it
    return folder


@pytest.fixture
def names(files, squeezenet, monkeypatch) -> Iterator[dict[str, Any]]:
    monkeypatch.chdir(files)
    net = squeezenet
    model, base, fine_tuned = small(), small(), small()
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = np.random.default_rng(0).random((32, 32, 32, 3), np.float32), np.arange(32) % 3
    given = {name: getattr(cw, name) for name in cw.__all__}
    given |= {name: value for module in (cw.objectives, cw.targets, cw.samples) for name, value in vars(module).items()}
    given |= {"net": net, "picture": cw.samples.sample("chelsea"), "gallery": cw.FilterGallery(net, "conv1")}
    given |= {"model": model, "base": base, "fine_tuned": fine_tuned, "x": x, "y": y, "pictures": list(x)}
    given |= {"cw": cw, "keras": keras, "np": np}
    given |= {"tf": tf, "traitlets": traitlets, "Path": Path}
    yield given
    for value in given.values():
        if isinstance(value, cw.TrainingPanel):
            value.wait()
        if isinstance(value, ipywidgets.Widget):
            value.close()


def roads() -> cw.Network:
    picture = keras.Input((64, 64, 3))
    seen = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(picture)
    classes = keras.layers.Conv2D(2, 1, activation="softmax")(seen)
    return cw.Network(keras.Model(picture, classes), class_names=["sky", "road"], preprocess="unit")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_gives_what_it_says(name, names):
    if name.startswith("targets."):
        names |= {"net": roads(), "picture": np.random.default_rng(0).random((64, 64, 3))}
    for number, example in enumerate(EXAMPLES[name]):
        try:
            value = eval(compile(example.source.strip(), name, "eval"), names)
        except SyntaxError:
            exec(compile(example.source, name, "exec"), names)
            continue
        names[f"displayed {number}"] = value
        if example.want:
            assert repr(value) == example.want.strip()
