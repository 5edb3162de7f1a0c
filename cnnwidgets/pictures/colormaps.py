"""Color maps as tables, from matplotlib."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.errors import BadTarget, quoted

# All rise evenly in brightness, or (RdBu_r: blue against, red for) keep their two sides apart for color-blind eyes.
SEQUENTIAL = ("viridis", "cividis", "magma", "inferno", "gray")
DIVERGING = ("RdBu_r",)
COLORMAPS = SEQUENTIAL + DIVERGING


def colormap(name: str) -> NDArray[np.float32]:
    """The 256 colors of a color map, float32 [256, 3] in 0..1, read-only.

    Raises:
        BadTarget: a name that is not in `COLORMAPS`.
    """
    if not isinstance(name, str) or name not in COLORMAPS:
        raise BadTarget(f"There is no color map {quoted(name)}. Choose one of: {', '.join(COLORMAPS)}.")
    return _table(name)


@cache
def _table(name: str) -> NDArray[np.float32]:
    import matplotlib  # takes 0.4 s, so only whoever shows a heatmap waits for it

    table = matplotlib.colormaps[name](np.arange(256))[:, :3].astype(np.float32)  # [256, 4] -> [256, 3]
    table.flags.writeable = False
    return table
