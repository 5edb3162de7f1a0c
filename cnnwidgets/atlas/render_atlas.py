"""The verb `render_atlas` and its settings."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cnnwidgets.atlas.atlas import Atlas, open_atlas
from cnnwidgets.atlas.examples.search import ExampleSearch
from cnnwidgets.atlas.payload import pack
from cnnwidgets.atlas.rendering import Rendering
from cnnwidgets.atlas.request import checked_request
from cnnwidgets.atlas.store import address, needed
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting

if TYPE_CHECKING:
    from distributed import Client


def render_atlas(
    net: Network | Any,
    path: str | os.PathLike[str],
    layers: Iterable[str] | None = None,
    units: Iterable[int] | None = None,
    size: int | tuple[int, int] | None = None,
    steps: int = 32,
    recipe: str = "fourier",
    client: Client | None = None,
    seed: int = 0,
    *,
    pictures: object = None,
    allow_plain_tcp: bool = False,
) -> Atlas:
    """Render what every unit of a network responds to, and store it; the pictures are those of `visualize_units`.

    Continues where it was stopped or killed: finished pictures are kept. A unit that cannot be rendered is marked with
    the reason, and retried by the next call. Needs `pip install "cnnwidgets[atlas]"`.

    Args:
        net: a Network or a bare Keras model.
        path: a folder, or any fsspec address; new, or an atlas with the same settings to continue.
        layers: their paths; all convolutions if not given.
        units: indices, for each layer that has them; all if not given. Rendered in whole batches of up to 16,
            which cost the same, so neighboring units may be included.
        size: pixels, or (height, width); 64, or a fixed network's own size, if not given.
        steps: 1 to 2048.
        recipe: "fourier", "natural" or "textbook".
        client: a `dask.distributed.Client`, to render on its workers; in this process if not given.
        seed: the same seed, device, versions and settings give the same bytes.
        pictures: a folder (with its subfolders), a list or an array of your own pictures, any number of them: for every
            unit the nine that it responds to most, as patches, and a histogram of its strongest response to each. They
            stream through the network once, at the network's own size; those that cannot be read are skipped and listed
            (`atlas.skipped`). Workers read files themselves; arrays are searched in this process. Other pictures
            replace those of an earlier call.
        allow_plain_tcp: use an unencrypted scheduler on another machine; anyone who reaches it can run code.

    Returns:
        The Atlas, opened for reading.

    Raises:
        BadTarget: for invalid settings, or a path with other contents; before anything is computed.
        BadPicture: for a folder or list without pictures that can be read.
        BadModel: for a network that cannot be sent to the workers.
        JobFailed: when the cluster is lost, or the disk is full.

    Example:
        >>> atlas = render_atlas(load_network("squeezenet"), "atlas.zarr", layers=["conv1"])
    """
    for _ in AtlasSettings.given(locals()).check(net, path, pictures).frames():
        pass
    return open_atlas(path)


@dataclass(frozen=True, eq=False)
class AtlasSettings(Settings):
    """The settings of `render_atlas`."""

    layers: Iterable[str] | None = None
    units: Iterable[int] | None = None
    size: int | tuple[int, int] | None = None
    steps: int = setting(32, STEPS)
    recipe: str = "fourier"
    client: Client | None = None
    seed: int = setting(0, SEED)
    allow_plain_tcp: bool = False

    def check(self, net: Network | Any, path: str | os.PathLike[str], pictures: object = None) -> Rendering:
        """Check a rendering.

        Raises:
            BadTarget, BadModel, BadPicture: what `render_atlas` raises before any computing.
        """
        needed("zarr")
        where, client = address(path), self.client
        if client is not None:
            needed("distributed")
            from cnnwidgets.atlas import cluster

            cluster.check_client(client, self.allow_plain_tcp)
        request = checked_request(net, self)
        search = None if pictures is None else ExampleSearch.checked(request.net, pictures)
        if client is None:
            return Rendering(request, where, search=search)
        payload = pack(request.net)
        device, versions = cluster.common_environment(client)
        settings = replace(request.settings, device=device, versions=versions)
        search = search and replace(search, client=client, payload=payload)
        return Rendering(replace(request, settings=settings), where, client, payload, search)
