"""Synthetic atlases: any layers and units, at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

import cnnwidgets as cw
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.atlas.attributes import Settings, StoredLayer, slug_for
from cnnwidgets.atlas.records import BatchResult, Records
from cnnwidgets.atlas.store import add_layers, array_of, begin
from cnnwidgets.provenance.recipe import installed_versions


def synthetic(
    path: Path,
    layers: Mapping[str, int],
    side: int = 16,
    network: str = "synthetic",
    noted: int | None = None,
    fingerprint: str = "0" * 64,
) -> Atlas:
    """An atlas of smooth noise: so many units for each layer path; unit `noted` of each never fires."""
    where, numbers = str(path), np.random.default_rng(0)
    settings = Settings(network, fingerprint, "fourier", (side, side), 32, 0, installed_versions(), "none")
    stored_layers = tuple(
        StoredLayer(name, slug_for(name, index), units, 16, (side, side, 3))
        for index, (name, units) in enumerate(layers.items())
    )
    group, _ = begin(where, settings)
    add_layers(group, settings, (), stored_layers)
    records = Records(group, stored_layers, where)
    for stored in stored_layers:
        coarse = numbers.integers(0, 256, (stored.units, side // 8, side // 8, 3), np.uint8)
        array_of(group, stored, where)[:] = coarse.repeat(8, 1).repeat(8, 2)
        units = range(stored.units)
        notes = {unit: "never fires: weights ~0, bias -1.8" for unit in units if unit == noted}
        records.add(stored.path, BatchResult(tuple(units), {unit: unit / 7 for unit in units}, notes, {}))
    records.save()
    return cw.open_atlas(path)
