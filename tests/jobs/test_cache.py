"""Results on disk: what comes back, what is refused, and what faults cost."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnwidgets.jobs import Cache, CacheWarning, cache
from cnnwidgets.jobs.cache import decode, encode

PICTURES = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


@pytest.fixture(autouse=True)
def not_yet_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_warned", False)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put_alone(folder: Path, key: str = "key") -> Path:
    assert Cache(folder).put(key, {"pictures": PICTURES}, {"steps": 32})
    (path,) = folder.iterdir()
    return path


def test_what_is_put_comes_back_bit_for_bit(tmp_path: Path) -> None:
    arrays = {
        "pictures": PICTURES[:, ::2],
        "bytes": np.frombuffer(b"\x00\xff", np.uint8),
        "one": np.array(np.nan, np.float64),
        "words": np.array(["naïve", ""]),
        "none": np.zeros((0, 3), np.int16),
    }
    metadata = {"note": "never fires: weights ~0\n", "steps": 32, "more": [1.5, None, {"ü": True}]}
    store = Cache(tmp_path / "made" / "when needed")
    assert store.get("key") is None and not (tmp_path / "made").exists()
    assert store.put("key", arrays, metadata)
    found, said = store.get("key")
    assert list(found) == list(arrays) and said == metadata
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    found["pictures"][:] = 0  # a copy of the reader's own
    assert store.get("key").arrays["pictures"].any()


@pytest.mark.parametrize("key", ["", "../../x", "a/b", "CON", "x" * 5000, "\x00", "ключ", "\ud800"])
def test_any_text_is_a_key_and_none_leaves_the_folder(tmp_path: Path, key: str) -> None:
    store = Cache(tmp_path / "cache")
    assert store.put(key, {"a": PICTURES}, {"key": 1}) and store.get(key).metadata == {"key": 1}
    assert store.get(key + "'") is None
    assert files(tmp_path) == ["cache"] and len(files(tmp_path / "cache")) == 1


def test_a_later_put_replaces_an_earlier_one(tmp_path: Path) -> None:
    store = Cache(tmp_path)
    store.put("key", {"a": PICTURES}, {})
    store.put("key", {"a": PICTURES + 1}, {})
    assert (store.get("key").arrays["a"] == PICTURES + 1).all() and len(files(tmp_path)) == 1


def test_python_objects_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        Cache(tmp_path).put("key", {"a": np.array([object()])}, {})
    with pytest.raises(TypeError, match="JSON"):
        Cache(tmp_path).put("key", {"a": PICTURES}, {"a": object()})
    assert files(tmp_path) == []


class Trap:
    """Unpickling this creates a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (self.folder,)


def pickled_array(folder: Path) -> bytes:
    """A whole entry, checksum and all, whose array holds a pickle."""
    trapped = np.empty(1, object)
    trapped[0] = Trap(folder)
    refuses = np.save
    try:
        np.save = lambda file, array, allow_pickle: refuses(file, array, allow_pickle=True)
        return encode("key", {"pictures": trapped}, {})
    finally:
        np.save = refuses


DAMAGE = {
    "empty": lambda data, folder: b"",
    "first half": lambda data, folder: data[: len(data) // 2],
    "last byte missing": lambda data, folder: data[:-1],
    "a byte more": lambda data, folder: data + b"\0",
    "text": lambda data, folder: b"not a picture at all\n" * 20,
    "zeros": lambda data, folder: bytes(len(data)),
    "pickle": lambda data, folder: pickle.dumps(Trap(folder / "trapped")),
    "pickle in an array": lambda data, folder: pickled_array(folder / "trapped"),
    "of another key": lambda data, folder: encode("other", {"pictures": PICTURES}, {}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_a_miss_is_removed_and_can_be_made_again(tmp_path: Path, damage: str) -> None:
    path = put_alone(tmp_path)
    path.write_bytes(DAMAGE[damage](path.read_bytes(), tmp_path))
    assert Cache(tmp_path).get("key") is None
    assert files(tmp_path) == []
    assert put_alone(tmp_path) == path and Cache(tmp_path).get("key") is not None


def test_every_flipped_bit_is_found() -> None:
    data = encode("key", {"pictures": PICTURES}, {"steps": 32})
    assert decode(data, "key").metadata == {"steps": 32}
    for i in range(len(data)):
        flipped = data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :]
        with pytest.raises(ValueError, match="entry"):
            decode(flipped, "key")


def test_a_well_signed_entry_with_broken_content_is_refused() -> None:
    magic = encode("key", {}, {}).split(b"\n")[0] + b"\n"
    for content in (b"", b"{}\n", b"[1]\n", b"[" * 100_000, b'{"key":"key","names":["a"],"metadata":{}}\n\x93NUMPY'):
        with pytest.raises(ValueError, match="unreadable"):
            decode(magic + hashlib.sha256(content).digest() + content, "key")


def test_what_was_read_longest_ago_goes_first(tmp_path: Path) -> None:
    size = put_alone(tmp_path, "0").stat().st_size
    store = Cache(tmp_path, megabytes=3.5 * size / 1e6)
    for i in range(1, 3):
        store.put(str(i), {"pictures": PICTURES}, {"steps": 32})
    age_all(tmp_path, by=100)
    assert store.get("0") is not None
    store.put("3", {"pictures": PICTURES}, {"steps": 32})
    store.put("4", {"pictures": PICTURES}, {"steps": 32})
    assert [store.get(str(i)) is not None for i in range(5)] == [True, False, False, True, True]


def test_the_bound_holds_and_an_entry_beyond_it_is_not_kept(tmp_path: Path) -> None:
    store = Cache(tmp_path, megabytes=0.1)
    for i in range(40):
        store.put(str(i), {"pictures": np.zeros(2500, np.float32)}, {})
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 100_000
    assert len(files(tmp_path)) == 9
    assert not store.put("large", {"pictures": np.zeros(25_000, np.float32)}, {})
    assert len(files(tmp_path)) == 9


def test_foreign_files_are_never_touched(tmp_path: Path) -> None:
    for name in ("thesis.tmp", "thesis.npz", ".hidden", "tmpabc"):
        (tmp_path / name).write_bytes(bytes(100_000))
    (tmp_path / "folder.cnnwidgets").mkdir()
    age_all(tmp_path, by=10**6)
    store = Cache(tmp_path, megabytes=0.0006)
    store.put("key", {"pictures": PICTURES}, {})
    store.put("other", {"pictures": PICTURES}, {})
    assert len(files(tmp_path)) == 6


def age_all(folder: Path, by: float) -> None:
    for path in folder.iterdir():
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - by))


@pytest.mark.parametrize(("age", "stays"), [(0, True), (3500, True), (3700, False), (-3500, True), (-86_400, False)])
def test_orphans_are_swept_after_an_hour_by_the_folders_own_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, stays: bool
) -> None:
    orphan = tmp_path / ("tmpdead" + cache._UNFINISHED)
    orphan.write_bytes(b"half")
    age_all(tmp_path, by=age)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # this process's clock is wrong; it is not asked
    Cache(tmp_path).put("key", {"pictures": PICTURES}, {})
    assert orphan.exists() == stays


def test_after_the_clock_was_set_back_new_entries_stay_and_old_ones_go(tmp_path: Path) -> None:
    size = put_alone(tmp_path, "0").stat().st_size
    store = Cache(tmp_path, megabytes=2.5 * size / 1e6)
    store.put("1", {"pictures": PICTURES}, {"steps": 32})
    age_all(tmp_path, by=-86_400)  # written a day in what is now the future
    for key in ("2", "3"):
        store.put(key, {"pictures": PICTURES}, {"steps": 32})
    assert [store.get(key) is not None for key in "0123"] == [False, False, True, True]


def fails(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "call", ["os.fsync", "pathlib.Path.replace", "tempfile.NamedTemporaryFile", "pathlib.Path.mkdir"]
)
def test_a_full_disk_gives_one_warning_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(call, lambda *args, **kwargs: fails())
    store = Cache(tmp_path)
    with pytest.warns(CacheWarning, match="No space left.*CNNWIDGETS_CACHE_DIR") as told:
        results = [store.put(key, {"pictures": PICTURES}, {}) for key in "abc"]
    assert len(told) == 1 and results == [False] * 3
    assert told[0].filename == __file__
    monkeypatch.undo()
    assert files(tmp_path) == [] and store.put("a", {"pictures": PICTURES}, {})


def test_a_disk_that_fills_up_in_the_middle_of_a_file_leaves_none(tmp_path: Path) -> None:
    script = f"""
import resource, warnings, numpy
from cnnwidgets.jobs import Cache
warnings.simplefilter("ignore")
store = Cache({str(tmp_path)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
assert store.put("small", {{"a": numpy.zeros(1000)}}, {{}})
assert not store.put("large", {{"a": numpy.zeros(100_000)}}, {{}})
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100_000))  # less than a buffer: noticed when it is flushed
assert not store.put("tiny", {{"a": numpy.zeros(10)}}, {{}})
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert len(files(tmp_path)) == 1 and Cache(tmp_path).get("small") is not None


def test_a_folder_that_cannot_be_made_is_a_miss_and_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Cache(tmp_path / "file" / "cache")
    assert store.get("key") is None
    with pytest.warns(CacheWarning):
        assert not store.put("key", {"pictures": PICTURES}, {})


def test_a_read_only_folder_still_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_alone(tmp_path)
    monkeypatch.setattr(os, "utime", fails)
    assert Cache(tmp_path).get("key") is not None


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_turns_caching_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", value)
    store = Cache.default()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.folder is None and not store.put("key", {"a": PICTURES}, {}) and store.get("key") is None


def test_the_default_folder_is_the_variables_or_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", str(tmp_path / "here"))
    assert Cache.default().folder == tmp_path / "here" and Cache.default().megabytes == 500
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", "~/there")
    assert Cache.default().folder == Path.home() / "there"
    monkeypatch.delenv("CNNWIDGETS_CACHE_DIR")
    assert Cache.default().folder.name == "cnnwidgets" and Cache.default().folder.is_absolute()


WRITING = """
import os, random, signal, sys, time, numpy
from cnnwidgets.jobs import Cache

def write(folder, seed):
    store = Cache(folder)
    while True:
        for key in range(3):
            seed += 1
            store.put(str(key), {"a": numpy.full(100_000, seed, numpy.float32)}, {"seed": seed})
"""


def is_whole(store: Cache, key: str) -> bool:
    arrays, metadata = store.get(key)
    return bool((arrays["a"] == metadata["seed"]).all()) and arrays["a"].shape == (100_000,)


def test_thirty_kills_while_writing_leave_nothing_corrupt(tmp_path: Path) -> None:
    killing = """
store = Cache(sys.argv[1])
for key in range(3):
    store.put(str(key), {"a": numpy.zeros(100_000, numpy.float32)}, {"seed": 0})
chance = random.Random(0)
for kill in range(30):  # forks of a process that has imported everything: thirty take a second
    child = os.fork()
    if child == 0:
        write(sys.argv[1], 1000 * kill)
    time.sleep(0.02 + 0.03 * chance.random())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for key in range(3):
        arrays, metadata = store.get(str(key))
        assert len(arrays["a"]) == 100_000 and (arrays["a"] == metadata["seed"]).all()
"""
    subprocess.run([sys.executable, "-c", WRITING + killing, str(tmp_path)], check=True, timeout=120)
    entries = [name for name in files(tmp_path) if name.endswith(cache._SUFFIX)]
    assert len(entries) == 3
    store = Cache(tmp_path)
    assert all(is_whole(store, key) for key in "012")
    age_all(tmp_path, by=4000)
    store.put("3", {"a": PICTURES}, {})
    assert all(name.endswith(cache._SUFFIX) for name in files(tmp_path))


def test_two_processes_write_while_a_third_reads_without_a_failure(tmp_path: Path, until) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", f"{WRITING}\nwrite({str(tmp_path)!r}, {seed})"]) for seed in (0, 10**6)
    ]
    try:
        store, reads, seeds = Cache(tmp_path), 0, set()
        until(lambda: all(store.get(key) for key in "012"), seconds=30)
        deadline = time.monotonic() + 60
        while reads < 100 or len(seeds) < 2:  # until so much has been read, and of both: a busy machine takes longer
            assert time.monotonic() < deadline
            for key in "012":
                assert is_whole(store, key)
                seeds.add(store.get(key).metadata["seed"] >= 10**6)
                reads += 1
        assert all(writer.poll() is None for writer in writers)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


def test_two_processes_keep_the_bound(tmp_path: Path) -> None:
    script = """
import sys, numpy
from cnnwidgets.jobs import Cache
store = Cache(sys.argv[1], megabytes=0.5)
for i in range(60):
    assert store.put(sys.argv[2] + str(i), {"a": numpy.zeros(5000, numpy.float32)}, {})
"""
    writers = [subprocess.Popen([sys.executable, "-W", "error", "-c", script, str(tmp_path), name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert 0.4e6 <= sum(path.stat().st_size for path in tmp_path.iterdir()) <= 0.55e6
