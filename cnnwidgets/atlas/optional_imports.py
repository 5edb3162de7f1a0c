"""What only an atlas needs: Zarr to keep it and Dask to share the work, both in the extra `atlas`."""

from __future__ import annotations

import importlib
from typing import Any


def needed(module: str) -> Any:
    """The module, imported now.

    Raises:
        ImportError: where it is not installed, with what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'An atlas needs {module}, which is not installed. pip install "cnnwidgets[atlas]" brings it.'
        ) from error
