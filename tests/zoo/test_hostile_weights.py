"""Weight files that are attacks or damaged: built by hand, refused with a reason, and nothing in them runs."""

from __future__ import annotations

import copyreg
import pickle
import random
import struct

import numpy as np
import pytest

from cnnwidgets.errors import BadModel
from cnnwidgets.zoo.squeezenet import read_numpy_pickle
from cnnwidgets.zoo.torch_archive import read_torch_archive

# What an attack would have a reader look up: module, name, arguments.
HOSTILE = [
    ("os", "system", ["touch {marker}"]),
    ("posix", "system", ["touch {marker}"]),
    ("builtins", "eval", ["open('{marker}', 'w')"]),
    ("builtins", "exec", ["open('{marker}', 'w')"]),
    ("builtins", "getattr", ["", "upper"]),
    ("numpy", "load", ["{marker}"]),
    ("numpy", "ndarray.__class__", []),
    ("numpy.core.multiarray", "_reconstruct.__globals__", []),
    ("numpy._core.multiarray", "_reconstruct", []),
    ("torch", "load", ["{marker}"]),
    ("evil", "FloatStorage", []),
    ("torch", "FloatStorage.__class__", []),
    ("collections", "OrderedDict.__init__", []),
    ("collections OrderedDict", "", []),
]

MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
PROTOCOL = b"M\xe9\x03"


def pickled(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def several(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def called(module: str, name: str, *arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + several(*arguments) + b"R"


def numpy_array(values: bytes, shape: tuple[int, ...], dtype: bytes | None = None, order: bytes = b"\x89") -> bytes:
    kind = dtype or called("numpy", "dtype", text("f4"), number(0), number(1))
    empty = called("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\n", several(number(0)), b"C\x01b")
    full = several(number(3), text("<"), b"NNN", number(-1), number(-1), number(0)) + b"b"
    raw = b"B" + struct.pack("<I", len(values)) + values
    return empty + several(number(1), several(*map(number, shape)), kind + full, order, raw) + b"b"


def numpy_file(*arrays: bytes) -> bytes:
    return b"\x80\x03}(" + text("conv1") + b"](" + b"".join(arrays) + b"eu."


def tensor(
    offset: int = 0,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    storage: bytes = b"ctorch\nFloatStorage\n",
    key: str = "7",
    count: int = 6,
) -> bytes:
    where = several(text("storage"), storage, text(key), text("cpu"), number(count), b"N") + b"Q"
    view = (several(*map(number, shape)), several(*map(number, strides)))
    return called(
        "torch._utils",
        "_rebuild_tensor_v2",
        where,
        number(offset),
        *view,
        b"\x89",
        called("collections", "OrderedDict"),
    )


def state_dict(*tensors: bytes) -> bytes:
    named = b"".join(text(f"layer{i}.weight") + one for i, one in enumerate(tensors))
    return called("collections", "OrderedDict") + b"(" + named + b"u"


def torch_file(
    magic: bytes = MAGIC,
    protocol: bytes = PROTOCOL,
    machine: bytes = b"}(" + text("protocol_version") + PROTOCOL + text("little_endian") + b"\x88u",
    state: bytes | None = None,
    keys: bytes = b"](" + text("7") + b"e",
    storages: bytes = struct.pack("<q6f", 6, 0, 1, 2, 3, 4, 5),
) -> bytes:
    pickles = (magic, protocol, machine, state_dict(tensor()) if state is None else state, keys)
    return b"".join(map(pickled, pickles)) + storages


NUMPY_FILE = numpy_file(numpy_array(struct.pack("<6f", *range(6)), (2, 3)))


def test_the_hand_made_files_are_read_when_they_are_harmless():
    arrays = read_numpy_pickle(NUMPY_FILE)["conv1"]
    tensors = read_torch_archive(torch_file())
    assert [a.tolist() for a in arrays] == [[[0, 1, 2], [3, 4, 5]]]
    assert {name: t.tolist() for name, t in tensors.items()} == {"layer0.weight": [[0, 1, 2], [3, 4, 5]]}
    assert tensors["layer0.weight"].dtype == np.float32


@pytest.mark.parametrize("module, name, arguments", HOSTILE)
@pytest.mark.parametrize("place", ["whole file", "array", "kind of array"])
def test_numpy_reader_refuses_names_that_weights_do_not_need(tmp_path, module, name, arguments, place):
    marker = tmp_path / "it-ran"
    attack = called(module, name, *(text(a.format(marker=marker)) for a in arguments))
    files = {
        "whole file": pickled(attack),
        "array": numpy_file(attack),
        "kind of array": numpy_file(numpy_array(bytes(24), (2, 3), dtype=attack)),
    }
    with pytest.raises(BadModel, match="which weights do not need. Nothing in it was executed") as refused:
        read_numpy_pickle(files[place])
    assert f"{module}.{name}".replace(" ", ".") in str(refused.value)
    assert not marker.exists()


@pytest.mark.parametrize("module, name, arguments", HOSTILE)
@pytest.mark.parametrize("place", ["magic", "protocol", "machine", "state", "keys"])
def test_torch_reader_refuses_names_that_weights_do_not_need(tmp_path, module, name, arguments, place):
    marker = tmp_path / "it-ran"
    attack = called(module, name, *(text(a.format(marker=marker)) for a in arguments))
    with pytest.raises(BadModel, match="which weights do not need") as refused:
        read_torch_archive(torch_file(**{place: attack}))
    assert f"{module}.{name}".replace(" ", ".") in str(refused.value)
    assert not marker.exists()


@pytest.mark.parametrize("place", ["magic", "protocol", "machine", "keys"])
def test_names_that_tensors_need_are_refused_outside_the_state_dict(place):
    with pytest.raises(BadModel, match="torch.FloatStorage"):
        read_torch_archive(torch_file(**{place: b"ctorch\nFloatStorage\n"}))


@pytest.mark.parametrize("read", [read_numpy_pickle, read_torch_archive])
@pytest.mark.parametrize("protocol", range(6))
def test_pickles_made_by_python_for_a_hostile_object_are_refused(tmp_path, read, protocol):
    marker = tmp_path / "it-ran"

    class Hostile:
        def __reduce__(self):
            return eval, (f"open({str(marker)!r}, 'w')",)

    with pytest.raises(BadModel):
        read(pickle.dumps({"conv1": [Hostile()]}, protocol))
    assert not marker.exists()


@pytest.mark.parametrize(
    "opcodes, asked",
    [
        (b"(X\x02\x00\x00\x00lsios\nsystem\n", "INST"),
        (b"(cos\nsystem\nX\x02\x00\x00\x00lso", "os.system"),
        (b"\x8c\x02os\x8c\x06system\x93", "SHORT_BINUNICODE"),
        (b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93", "STACK_GLOBAL"),
        (b"cnumpy\nndarray\n)\x81", "NEWOBJ"),
        (b"\x82\x01", "EXT1"),
        (b"I1\n", "INT"),
    ],
)
def test_other_ways_to_reach_code_are_refused_by_their_name(opcodes, asked):
    with pytest.raises(BadModel, match=asked):
        read_numpy_pickle(pickled(opcodes))


def test_a_registered_extension_is_not_reached(monkeypatch):
    monkeypatch.setitem(copyreg._extension_cache, 1, print)
    with pytest.raises(BadModel, match="EXT1"):
        read_numpy_pickle(pickled(b"\x82\x01", several(text("it ran")), b"R"))


@pytest.mark.parametrize("target", [b"cnumpy\nndarray\n", text("upper"), b"}", b"]"])
def test_what_is_called_or_given_a_state_is_never_a_value(target):
    with pytest.raises(BadModel, match="damaged"):
        read_numpy_pickle(pickled(target, b"}b"))
    if not target.startswith(b"c"):
        with pytest.raises(BadModel, match="damaged"):
            read_numpy_pickle(pickled(target, b")R"))


@pytest.mark.parametrize("read, whole", [(read_numpy_pickle, NUMPY_FILE), (read_torch_archive, torch_file())])
def test_a_file_that_ends_too_early_is_refused_wherever_it_ends(read, whole):
    for length in range(len(whole)):
        with pytest.raises(BadModel):
            read(whole[:length])


@pytest.mark.parametrize("read, whole", [(read_numpy_pickle, NUMPY_FILE), (read_torch_archive, torch_file())])
def test_bytes_after_the_end_are_refused(read, whole):
    with pytest.raises(BadModel, match="goes on after its end"):
        read(whole + b"\0")


@pytest.mark.parametrize("read, whole", [(read_numpy_pickle, NUMPY_FILE), (read_torch_archive, torch_file())])
def test_flipped_bits_give_weights_or_a_refusal_and_nothing_else(read, whole):
    draw = random.Random(0)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        try:
            read(bytes(damaged))
        except BadModel:
            refused += 1
    assert refused > 500


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(numpy_array(bytes(24), (2, 4)), id="too few bytes"),
        pytest.param(numpy_array(bytes(24), (2, 2)), id="too many bytes"),
        pytest.param(numpy_array(bytes(24), (-1, 3)), id="negative size"),
        pytest.param(numpy_array(bytes(24), (2**80, 0)), id="huge size"),
        pytest.param(numpy_array(bytes(24), (2, 3), order=b"\x88"), id="another order"),
        pytest.param(
            numpy_array(bytes(24), (3,), called("numpy", "dtype", text("O8"), number(0), number(1))), id="objects"
        ),
        pytest.param(text("no array"), id="text"),
    ],
)
def test_entries_that_are_no_float32_array_are_refused(array):
    with pytest.raises(BadModel):
        read_numpy_pickle(numpy_file(array))


@pytest.mark.parametrize(
    "view",
    [
        pytest.param({"offset": 1}, id="offset too far"),
        pytest.param({"offset": -1}, id="negative offset"),
        pytest.param({"offset": 2**70}, id="huge offset"),
        pytest.param({"shape": (3, 3)}, id="shape too large"),
        pytest.param({"shape": (-2, 3)}, id="negative size"),
        pytest.param({"strides": (4, 1)}, id="stride too far"),
        pytest.param({"strides": (-3, 1)}, id="negative stride"),
        pytest.param({"strides": (2**70, 1)}, id="huge stride"),
        pytest.param({"strides": (1,)}, id="too few strides"),
        pytest.param({"shape": (2**40,), "strides": (0,)}, id="one value a million million times"),
    ],
)
def test_a_tensor_that_reaches_outside_its_storage_is_refused(view):
    with pytest.raises(BadModel, match="storage"):
        read_torch_archive(torch_file(state=state_dict(tensor(**view))))


def test_a_channels_last_tensor_is_read_by_its_strides():
    read = read_torch_archive(torch_file(state=state_dict(tensor(shape=(3, 2), strides=(1, 3)))))
    assert read["layer0.weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert read["layer0.weight"].flags.c_contiguous


@pytest.mark.parametrize(
    "parts, reason",
    [
        ({"magic": number(1)}, "does not begin as a PyTorch archive"),
        ({"protocol": number(1002)}, "another version"),
        ({"machine": b"}(" + text("protocol_version") + PROTOCOL + text("little_endian") + b"\x89u"}, "little-endian"),
        ({"state": b"}"}, "no state dict"),
        ({"state": state_dict(text("no tensor"))}, "no tensor of a known kind"),
        ({"state": state_dict(tensor(storage=text("FloatStorage")))}, "no tensor of a known kind"),
        ({"state": state_dict(tensor(storage=b"ccollections\nOrderedDict\n"))}, "no tensor of a known kind"),
        ({"state": state_dict(tensor(), tensor(count=5))}, "list of storages"),
        ({"keys": b"]"}, "list of storages"),
        ({"keys": b"](" + text("8") + b"e"}, "list of storages"),
        ({"keys": b"](" + text("7") + text("7") + b"e"}, "list of storages"),
        ({"keys": b"](" + number(7) + b"e"}, "list of storages"),
        ({"keys": b"](" + text("7") + number(7) + b"e"}, "list of storages"),
        ({"keys": text("7")}, "list of storages"),
        ({"storages": struct.pack("<q6f", 5, *range(6))}, "not as long as"),
        ({"storages": struct.pack("<q6f", -1, *range(6))}, "not as long as"),
    ],
)
def test_an_archive_that_contradicts_itself_is_refused_with_the_reason(parts, reason):
    with pytest.raises(BadModel, match=reason):
        read_torch_archive(torch_file(**parts))


@pytest.mark.parametrize("parts", [b"", b"}}", b"}(", b"(}"])
def test_a_pickle_that_does_not_end_with_one_value_is_refused(parts):
    with pytest.raises(BadModel, match="damaged"):
        read_numpy_pickle(pickled(parts))


def test_a_value_that_doubles_itself_costs_nothing():
    bomb = number(7) + b"q\x00h\x00\x86" * 60 + b"q\x01"
    with pytest.raises(BadModel):
        read_torch_archive(torch_file(keys=b"](" + bomb + b"e"))
    with pytest.raises(BadModel):
        read_numpy_pickle(pickled(bomb))
    with pytest.raises(BadModel):
        read_numpy_pickle(numpy_file(bomb))
