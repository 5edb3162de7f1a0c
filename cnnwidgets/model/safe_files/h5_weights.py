"""Weights out of an HDF5 file into a model that was built from the same file.

Keras wrote one group for each outer layer. The weights of a nested model stand in one list: those that are trained
first, then the others, and what is trained depends on which layers were frozen when the file was written. Where the
names of the weights say which inner layer they belong to, that counts; otherwise that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np

from cnnwidgets.model.backend import keras

Name = Callable[[str], str]


class Leaf(NamedTuple):
    """A layer of a configuration, other than a model, by its name in the file."""

    name: str
    layer: Any

    @property
    def weights(self) -> list[Any]:
        """Its variables, those that are trained first."""
        return _trained_first(self.layer.weights)


class DoesNotFit(ValueError):
    """Weights that do not belong to the layers."""


def load_weights(model: Any, config: dict[str, Any], hdf5: h5py.File, old_name: Name) -> None:
    """Fill the weights of a model.

    Args:
        model: built from this file's configuration.
        config: that configuration, which lists layers in the order of the file.
        hdf5: the file, open.
        old_name: gives the name that a layer has in the file.

    Raises:
        DoesNotFit: where a layer's weights are missing, too many, or of other shapes.
    """
    group = hdf5["model_weights"]
    entries = _by_name(config)
    layers = {old_name(layer.name): layer for layer in model.layers}
    for name in _texts(group, "layer_names"):
        found = _texts(group[name], "weight_names")
        layer = layers.pop(name, None)
        if layer is not None:
            _fill(name, list(_leaves(layer, entries.get(layer.name), old_name)), group[name], found)
        elif found:
            raise DoesNotFit(f"there is no layer {name!r} for some")
    for name, layer in layers.items():
        if layer.weights:
            raise DoesNotFit(f"there are none for the layer {name!r}")
    if "top_level_model_weights" in group and _texts(group["top_level_model_weights"], "weight_names"):
        raise DoesNotFit("some belong to no layer")


def _fill(name: str, leaves: list[Leaf], group: h5py.Group, paths: list[str]) -> None:
    variables = _in_order(leaves, paths)
    if len(paths) != len(variables):
        raise DoesNotFit(f"there are {len(paths)} for the {len(variables)} of the layer {name!r}")
    for variable, path in zip(variables, paths, strict=True):
        array = group[path]
        if array.shape != tuple(variable.shape):
            raise DoesNotFit(f"{path!r} has the shape {array.shape}, and the layer {name!r} needs {variable.shape}")
        variable.assign(array[()])
    for leaf in leaves:
        if hasattr(leaf.layer, "finalize_state"):
            leaf.layer.finalize_state()


def _leaves(layer: Any, entry: dict[str, Any] | None, old_name: Name) -> Iterator[Leaf]:
    """The layers with weights inside of a model, as its configuration lists them; any other layer is one."""
    if isinstance(layer, keras.Model):
        entries = _by_name(entry)
        order = list(entries)
        listed = [one for one in layer.layers if one.name in entries]
        for inner in sorted(listed, key=lambda one: order.index(one.name)) or layer.layers:
            yield from _leaves(inner, entries.get(inner.name), old_name)
    elif layer.weights:
        yield Leaf(old_name(layer.name), layer)


def _by_name(entry: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The entries of a model's layers by name."""
    layers = entry["config"].get("layers") if entry else None
    return {one["config"]["name"]: one for one in layers or () if "name" in one.get("config", {})}


def _in_order(leaves: list[Leaf], names: list[str]) -> list[Any]:
    """The variables in the order of the names of weights."""
    owners = [_owner(name, leaves) for name in names]
    waiting = {leaf.name: leaf.weights for leaf in leaves}
    named = len(waiting) == len(leaves) and all(
        owners.count(name) == len(variables) for name, variables in waiting.items()
    )
    if named:
        return [waiting[owner].pop(0) for owner in owners if owner is not None]
    return _trained_first([variable for leaf in leaves for variable in leaf.layer.weights])


def _owner(name: str, leaves: list[Leaf]) -> str | None:
    """The inner layer that a weight belongs to by its name, as "conv1/conv/kernel:0" belongs to "conv1/conv"."""
    alike = [leaf.name for leaf in leaves if f"/{leaf.name}/" in f"/{name}"]
    return max(alike, key=len) if alike else None


def _trained_first(variables: list[Any]) -> list[Any]:
    return [v for v in variables if v.trainable] + [v for v in variables if not v.trainable]


def _texts(group: h5py.Group, name: str) -> list[str]:
    """A list of texts among the attributes of a group; a long one is cut into pieces."""
    if name in group.attrs:
        pieces = [group.attrs[name]]
    else:
        pieces = []
        while f"{name}{len(pieces)}" in group.attrs:
            pieces.append(group.attrs[f"{name}{len(pieces)}"])
    return [text.decode() if isinstance(text, bytes) else str(text) for piece in pieces for text in np.ravel(piece)]
