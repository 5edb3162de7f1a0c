"""The file format of a cache entry: named arrays and metadata with a checksum; reading it executes nothing."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

_MAGIC = b"cnnwidgets cache 1\n"
_DIGEST_SIZE = hashlib.sha256().digest_size


class Entry(NamedTuple):
    """A finished result: `arrays, metadata = entry`."""

    arrays: dict[str, np.ndarray]
    metadata: dict[str, Any]


def encode(key: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> bytes:
    """Magic line, sha256 of the rest, one line of JSON, then each array as `.npy`.

    Raises:
        ValueError: an array of Python objects.
        TypeError: metadata that JSON cannot represent.
    """
    body = io.BytesIO()
    head = {"key": key, "names": list(arrays), "metadata": dict(metadata)}
    body.write(json.dumps(head).encode() + b"\n")
    for array in arrays.values():
        np.save(body, array, allow_pickle=False)
    content = body.getvalue()
    return _MAGIC + hashlib.sha256(content).digest() + content


def decode(data: bytes, key: str) -> Entry:
    """The entry that `encode` wrote for `key`.

    Raises:
        ValueError: anything else: truncated, altered, foreign, or for another key.
    """
    start = len(_MAGIC) + _DIGEST_SIZE
    content = data[start:]
    if data[:start] != _MAGIC + hashlib.sha256(content).digest():
        raise ValueError("not a cache entry, or a damaged one")
    body = io.BytesIO(content)
    try:
        head = json.loads(body.readline())
        arrays = {name: np.load(body, allow_pickle=False) for name in head["names"]}
        if head["key"] == key:
            return Entry(arrays, head["metadata"])
    except Exception as error:  # a checksum is not a signature: forged content can make numpy raise anything
        raise ValueError("a cache entry with unreadable content") from error
    raise ValueError("a cache entry for another key")
