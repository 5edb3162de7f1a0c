"""A network as a person names it at a terminal: a bundled one, or the path of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnnwidgets.model.network import Network
from cnnwidgets.zoo import NETWORKS, load_network


def network_named(name: str, preprocess: str = "auto", class_names: Sequence[str] | None = None) -> Network:
    """The bundled network of that name, or the network in a `.keras` or `.h5` file.

    Args:
        name: one of `NETWORKS`, or a path.
        preprocess: of a file, as for a Network.
        class_names: of a file, one for each class.

    Raises:
        BadModel: for a name that does not exist, or a file that cannot be read.
        BadTarget: for an unknown preprocessing, or a number of class names that does not fit.
    """
    if name not in NETWORKS and (Path(name).suffix or Path(name).exists()):
        return Network.from_file(name, preprocess, class_names)
    return load_network(name)
