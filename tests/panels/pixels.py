"""What a panel shows, and what it has saved, as pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from cnnwidgets import pictures


def on_screen(panel: Any) -> np.ndarray:
    """What the panel's picture shows, uint8 [H, W, 3]."""
    return pictures.to_uint8(pictures.load_picture(panel.screen.data))


def read(path: Path) -> np.ndarray:
    """The pixels of a file, as they are stored."""
    with PIL.Image.open(path) as image:
        return np.asarray(image)
