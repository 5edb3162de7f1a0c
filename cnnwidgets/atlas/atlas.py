"""Atlases opened for reading; nothing is computed, and no network is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.atlas.attributes import Settings, StoredLayer, from_attributes
from cnnwidgets.atlas.examples.example_store import LayerExamples, examples_group, no_examples
from cnnwidgets.atlas.html import page_of
from cnnwidgets.atlas.records import LayerRecord
from cnnwidgets.atlas.store import address, array_of, damaged, open_group
from cnnwidgets.errors import BadTarget, nearest, quoted
from cnnwidgets.paths import checked_path
from cnnwidgets.pictures import write_file


def open_atlas(path: str | os.PathLike[str]) -> Atlas:
    """Open an atlas made by `render_atlas`; needs neither TensorFlow nor the network, and reads pictures lazily.

    Args:
        path: a folder, or any fsspec address.

    Raises:
        BadTarget: if there is no atlas, or it is damaged, with the reason.

    Example:
        >>> open_atlas("atlas.zarr")["conv1"][:16].shape
        (16, 64, 64, 3)
    """
    where = address(path)
    group = open_group(where)
    settings, stored_layers = from_attributes(group.attrs, where)
    return Atlas(where, group, settings, stored_layers)


class Atlas:
    """A network's pictures: `atlas["conv1"]` is a lazy array [units, H, W, C] uint8. Made by `open_atlas`.

    Attributes:
        settings: of all pictures: network, fingerprint, recipe, size, steps, seed, versions, device.
        layers: the paths of its layers, in the order in which they were added.

    Example:
        >>> atlas = open_atlas("atlas.zarr")
        >>> atlas.units("conv1"), atlas["conv1"][0], atlas.notes("conv1")[0]
    """

    def __init__(self, where: str, group: Any, settings: Settings, stored_layers: tuple[StoredLayer, ...]) -> None:
        self._where, self._group = where, group
        self.settings = settings
        self._stored_layers = {stored.path: stored for stored in stored_layers}
        self._arrays: dict[str, Any] = {}
        self._entries: dict[str, LayerRecord] = {}
        self._examples: dict[str, LayerExamples | None] = {}

    def __repr__(self) -> str:
        """One line: network, layers, units, size and steps."""
        settings = self.settings
        pictures = sum(stored.units for stored in self._stored_layers.values())
        size = " x ".join(map(str, settings.size))
        return (
            f"Atlas({quoted(settings.network)}, {len(self.layers)} layers, {pictures} units, {size} px, "
            f"{settings.steps} steps)"
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """The paths of its layers, in the order in which they were added."""
        return tuple(self._stored_layers)

    @property
    def network(self) -> str:
        """The network's name."""
        return self.settings.network

    @property
    def fingerprint(self) -> str:
        """The network's `net.fingerprint()`: of weights, architecture and preprocessing."""
        return self.settings.fingerprint

    def path_of(self, path: str, paths: Sequence[str]) -> str | None:
        """The path in this atlas of a layer of the same network, or `None` if it is not in the atlas.

        Args:
            path: of the layer in the network as it is now.
            paths: of all its layers, in the order of `net.layers`.
        """
        return next((own for own, stored in self._stored_layers.items() if stored.path_in(paths) == path), None)

    def __contains__(self, path: object) -> bool:
        return path in self._stored_layers

    def __getitem__(self, path: str) -> LazyPictures:
        """The pictures of a layer, for all of its units; missing ones are black.

        Raises:
            BadTarget: for a layer that is not in it.
        """
        return LazyPictures(self._array(path), self._where, path)

    def units(self, path: str) -> tuple[int, ...]:
        """The units of a layer that have a picture."""
        return self._known(path).units

    def values(self, path: str) -> NDArray[np.float32]:
        """The activation that each picture of a layer reaches, [units]; NaN if there is no picture."""
        values = self._known(path).values
        return np.array([np.nan if value is None else value for value in values], np.float32)

    def notes(self, path: str) -> tuple[str, ...]:
        """For each unit of a layer "" or a note: "never fires: weights ~0, bias -1.8"."""
        notes = self._known(path).notes
        return tuple(notes.get(unit, "") for unit in range(self._stored_layer(path).units))

    def failed(self, path: str) -> dict[int, str]:
        """The units of a layer that could not be rendered, and why."""
        return dict(self._known(path).failed)

    @property
    def examples(self) -> tuple[str, ...]:
        """The paths of the layers that have patches and histograms of the user's own pictures."""
        return tuple(path for path in self.layers if self._examples_of(path) is not None)

    @property
    def skipped(self) -> tuple[str, ...]:
        """The pictures that could not be read when the examples were searched, each with the reason."""
        return tuple(dict.fromkeys(name for path in self.examples for name in self._known_examples(path).skipped))

    def patches(self, path: str, unit: int) -> NDArray[np.uint8]:
        """The parts of the user's pictures that a unit responds to most: [n, h, w, 3], the strongest first; n <= 9.

        One of each picture. A unit that responds the same everywhere in every picture has none.

        Raises:
            BadTarget: for a layer or unit that is not in it, or an atlas that was rendered without pictures.
        """
        return self._known_examples(path).patches((self._checked_unit(path, unit),))[0]

    def histogram(self, path: str, unit: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """How strongly a unit responds to the user's pictures: (counts [n], edges [n + 1]).

        Each picture counts once, by its strongest response, so the counts add up to the number of pictures.

        Raises:
            BadTarget: for a layer or unit that is not in it, or an atlas that was rendered without pictures.
        """
        return self._known_examples(path).histograms((self._checked_unit(path, unit),))[0]

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the atlas as one HTML page that opens anywhere, without kernel, network or server.

        Args:
            path: of the file, which is replaced.

        Raises:
            BadTarget: if it cannot be written.
        """
        examples = {layer: self._known_examples(layer) for layer in self.examples}
        return write_file(checked_path("path", path), page_of(self, examples).encode())

    def _examples_of(self, path: str) -> LayerExamples | None:
        stored = self._stored_layer(path)
        if path not in self._examples:
            group = examples_group(self._group, stored, self._where)
            self._examples[path] = None if group is None else LayerExamples(self._where, path, group)
        return self._examples[path]

    def _known_examples(self, path: str) -> LayerExamples:
        found = self._examples_of(path)
        if found is None:
            raise no_examples(self._where, path)
        return found

    def _checked_unit(self, path: str, unit: object) -> int:
        units = self._stored_layer(path).units
        if isinstance(unit, (int, np.integer)) and not isinstance(unit, bool) and 0 <= unit < units:
            return int(unit)
        raise BadTarget(f"The layer {quoted(path)} has no unit {quoted(unit)}. Its units are 0 to {units - 1}.")

    def _stored_layer(self, path: str) -> StoredLayer:
        if path not in self._stored_layers:
            raise BadTarget(
                f"The atlas has no layer {quoted(path)}. Choose one that it has ({nearest(path, self.layers)})."
            )
        return self._stored_layers[path]

    def _array(self, path: str) -> Any:
        stored = self._stored_layer(path)
        if path not in self._arrays:
            self._arrays[path] = array_of(self._group, stored, self._where)
        return self._arrays[path]

    def _known(self, path: str) -> LayerRecord:
        array = self._array(path)
        if path not in self._entries:
            self._entries[path] = LayerRecord.read(array, self._stored_layer(path), self._where)
        return self._entries[path]


class LazyPictures:
    """The pictures of a layer [units, H, W, C], uint8; a slice reads the batches that it touches, and no others.

    Attributes:
        shape: [units, H, W, C].
        dtype: uint8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, array: Any, where: str, path: str) -> None:
        self._array, self._where, self._path = array, where, path
        self.shape: tuple[int, ...] = tuple(array.shape)

    def __repr__(self) -> str:
        return f"LazyPictures({quoted(self._path)}, {list(self.shape)})"

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """Index like a numpy array: a number, a slice, a list of units, or a tuple of them.

        Raises:
            BadTarget: if the data are damaged.
        """
        try:
            return np.asarray(self._array[key])
        except (IndexError, TypeError):
            raise
        except Exception as error:  # Zarr can raise anything for a file that others wrote
            raise damaged(self._where, self._path, type(error).__name__) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)
