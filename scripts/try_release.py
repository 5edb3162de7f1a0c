"""Try an installed release: the bundled networks, a verb and a panel, without the project's files.

Run it from another folder with the Python of the environment; it prints one line.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np

import cnnwidgets as cw

PROJECT = Path(__file__).parent.parent

if __name__ == "__main__":
    home = Path(str(cw.__file__)).parent
    if home == PROJECT / "cnnwidgets":
        raise SystemExit(f"This is the working tree, not a release: {home}")
    net = cw.load_network("squeezenet")
    picture = np.random.default_rng(0).random((64, 64, 3), np.float32)
    probabilities = [each.probability for each in net.predict(picture)]
    pics = cw.visualize_units(net, "fire5_concat", units=[12], size=48, steps=2)
    panel = cw.FilterGallery(net, "fire5_concat", units=range(2), size=48, steps=2)
    result = panel.run()
    right = [len(probabilities) == 5, pics.pictures.shape == (1, 48, 48, 3), panel.state == "done"]
    right += [result.pictures.shape == (2, 48, 48, 3), (home / "py.typed").is_file()]
    if not all(right):
        raise SystemExit(f"The release does not work: {right}")
    print(f"cnnwidgets {metadata.version('cnnwidgets')} works")
