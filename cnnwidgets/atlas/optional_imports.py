"""Imports of Zarr and Dask, which only an atlas needs; both are in the extra `atlas`."""

from __future__ import annotations

import importlib
from typing import Any


def needed(module: str) -> Any:
    """The module, imported now.

    Raises:
        ImportError: if it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'An atlas needs {module}, which is not installed. Install it with: pip install "cnnwidgets[atlas]"'
        ) from error
