"""A cache of results on disk: written atomically, checked when read (which executes nothing), limited in size."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import platformdirs

from cnnwidgets.errors import quoted
from cnnwidgets.paths import expanded

_MAGIC = b"cnnwidgets cache 1\n"
_DIGEST_SIZE = hashlib.sha256().digest_size
VARIABLE = "CNNWIDGETS_CACHE_DIR"
ORPHAN_AGE = 3600.0  # seconds after which a temporary file belongs to a process that died while writing
# Only files with these endings are ever deleted: the folder may hold others.
_SUFFIX = ".cnnwidgets"
_UNFINISHED = ".cnnwidgets-unfinished"
_warned = False


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


class CacheWarning(UserWarning):
    """The cache folder cannot be written; results are computed each time. Issued once per process."""


class Cache:
    """A folder of results, shared by any number of threads and processes; damaged entries are misses.

    Args:
        folder: created at first use; `None` turns caching off.
        megabytes: size limit (1,000,000 bytes each); the least recently read entries go first.

    Example: `Cache.default().put("conv1 seed 0", {"pictures": pictures}, {"steps": 32})`
    """

    def __init__(self, folder: str | os.PathLike[str] | None, megabytes: float = 500) -> None:
        self.folder = None if folder is None else expanded(folder)
        self.megabytes = megabytes

    @classmethod
    def default(cls) -> Cache:
        """The cache in `$CNNWIDGETS_CACHE_DIR`, else in the user cache folder; off if the variable is empty."""
        folder = os.environ.get(VARIABLE)
        if folder is None:
            folder = platformdirs.user_cache_dir("cnnwidgets", appauthor=False)
        return cls(folder.strip() or None)

    def get(self, key: str) -> Entry | None:
        """The entry stored under `key`: `(arrays, metadata)`, or `None`; a damaged entry is removed."""
        if self.folder is None:
            return None
        path = self._path(self.folder, key)
        try:
            entry = decode(path.read_bytes(), key)
        except OSError:
            return None
        except ValueError:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):  # a read-only folder works too, without the order of reads
            os.utime(path)
        return entry

    def put(self, key: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> bool:
        """Store `arrays` and JSON `metadata` under `key`; returns whether that worked.

        A full or read-only disk causes one `CacheWarning` per process, and no error.

        Raises:
            ValueError: an array of Python objects.
            TypeError: metadata that JSON cannot represent.
        """
        if self.folder is None:
            return False
        data = encode(key, arrays, metadata)
        if len(data) > self._most_bytes:
            return False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self._path(self.folder, key), data)
            self._tidy(self.folder, self._path(self.folder, key))
        except OSError as error:
            _warn(self.folder, error)
            return False
        return True

    @property
    def _most_bytes(self) -> float:
        return self.megabytes * 1_000_000

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / (hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest() + _SUFFIX)

    def _tidy(self, folder: Path, newest: Path) -> None:
        """Delete orphans, then the least recently read entries until the rest fits."""
        # Time is taken from the folder: the time stamp of the newest file. Absolute distance counts, because files that
        # were written before a clock was set back have time stamps in the future, and are old nonetheless.
        try:
            now = newest.stat().st_mtime
        except FileNotFoundError:  # another process has tidied it away already
            return
        entries = []
        for path, status in _files(folder):
            age = abs(now - status.st_mtime)
            if path.suffix == _SUFFIX:
                entries.append((age, status.st_size, path))
            elif age > ORPHAN_AGE:
                path.unlink(missing_ok=True)
        size = sum(size for _, size, _ in entries)
        for _, bytes_, path in sorted(entries, reverse=True):
            if size <= self._most_bytes:
                break
            path.unlink(missing_ok=True)
            size -= bytes_


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Our files in the folder, except those that another process deletes meanwhile."""
    with os.scandir(folder) as found:
        for item in found:
            with contextlib.suppress(FileNotFoundError):
                if item.name.endswith((_SUFFIX, _UNFINISHED)) and item.is_file(follow_symlinks=False):
                    yield Path(item.path), item.stat(follow_symlinks=False)


def _write(path: Path, data: bytes) -> None:
    """Write atomically: readers find the old file or the new one, even after a kill."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=_UNFINISHED, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):  # on a full disk, closing writes and fails again
                file.close()
            with contextlib.suppress(OSError):
                Path(file.name).unlink()
            raise


def _warn(folder: Path, error: OSError) -> None:
    global _warned
    if not _warned:
        _warned = True
        reason = error.strerror or type(error).__name__
        what = f"results cannot be cached in {quoted(str(folder))} ({reason})"
        warnings.warn(f"{what}; set {VARIABLE} to a writable folder, or to '' to turn the cache off", CacheWarning, 3)
