"""A network as data for other processes: a name if it is bundled, else a `.keras` file read in safe mode."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.model.network import Network
from cnnwidgets.model.preprocessing.modes import Affine, Scale
from cnnwidgets.zoo import NETWORKS, load_network

HERE = "or leave client out to render here"


@dataclass(frozen=True)
class Payload:
    """Data to rebuild a network; contains no executable code.

    Attributes:
        fingerprint: the unpacked network must have the same one.
        name: of a bundled network; "" for any other.
        data: a `.keras` file, if there is no name.
        preprocess: factors and offsets.
        class_names: one for each class, or `None`.
        shape: of the pictures of a model without a channel axis, or `None`.
    """

    fingerprint: str
    name: str = ""
    data: bytes = b""
    preprocess: Affine | Scale = Scale(1.0)
    class_names: tuple[str, ...] | None = None
    shape: tuple[int, ...] | None = None

    def unpack(self) -> Network:
        """Rebuild the network.

        Raises:
            BadModel: if it differs, or cannot be rebuilt.
        """
        net = load_network(self.name) if self.name else self._from_file()
        if net.fingerprint() != self.fingerprint:
            raise BadModel(
                f"Network {quoted(net.name)} does not round-trip: its fingerprint changed when rebuilt. Use the same "
                f"versions of cnnwidgets and Keras everywhere, {HERE}."
            )
        return net

    def _from_file(self) -> Network:
        with tempfile.TemporaryDirectory(prefix="cnnwidgets-") as folder:
            file = Path(folder) / "network.keras"
            file.write_bytes(self.data)
            return Network.from_file(file, self.preprocess, self.class_names, shape=self.shape)


def pack(net: Network) -> Payload:
    """The payload of a network, unpacked here once as a check.

    Raises:
        BadModel: for a network with the user's own code, in a Lambda layer or as preprocessing.
    """
    fingerprint = net.fingerprint()
    if net.name in NETWORKS and load_network(net.name).fingerprint() == fingerprint:
        return Payload(fingerprint, net.name)
    if not isinstance(net.preprocess, (Affine, Scale)):
        raise BadModel(
            f"The preprocessing of {quoted(net.name)} is a function, and functions are not sent to other processes. "
            f"Name it (preprocess='tf'), build it into the model as a Rescaling layer, {HERE}."
        )
    payload = Payload(fingerprint, "", _saved(net), net.preprocess, net.class_names, net.shape)
    try:
        payload.unpack()
    except BadModel as error:
        raise BadModel(f"The network {quoted(net.name)} cannot be sent to other processes: {error}") from error
    return payload


def _saved(net: Network) -> bytes:
    with tempfile.TemporaryDirectory(prefix="cnnwidgets-") as folder:
        file = Path(folder) / "network.keras"
        try:
            net.model.save(file)
        except Exception as error:  # the user's layers can raise anything
            raise BadModel(
                f"The network {quoted(net.name)} cannot be saved, and so cannot be sent to other processes "
                f"({quoted(str(error), 120)}). Build it of layers that Keras can save, {HERE}."
            ) from error
        return file.read_bytes()
