"""Measure how strong each frequency is in photographs; run once, its result is in the package.

    python scripts/natural_spectrum.py

The photographs are scikit-image's own under CC0: chelsea, coffee, rocket and the astronaut.
"""

from __future__ import annotations

from pathlib import Path

from cnnwidgets import samples
from cnnwidgets.visualize.spectrum import natural_spectrum

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
TARGET = Path(__file__).parent.parent / "cnnwidgets" / "visualize" / "natural_spectrum.f32"

if __name__ == "__main__":
    spectrum = natural_spectrum([samples.sample(name) for name in PHOTOGRAPHS])
    TARGET.write_bytes(spectrum.data)
