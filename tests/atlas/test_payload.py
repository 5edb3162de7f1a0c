"""How a network travels: nothing of it changes, and nothing in it is executed."""

import pytest

from cnnwidgets.atlas.payload import Payload, pack
from cnnwidgets.errors import BadModel
from cnnwidgets.model.network import Network
from cnnwidgets.zoo import load_network
from tests.panels.conftest import small


@pytest.mark.parametrize("preprocess", ["unit", "tf", "caffe"])
def test_a_model_of_ones_own_travels_as_a_file(preprocess):
    net = Network(small(), preprocess, class_names=list("abcd"))
    payload = pack(net)
    assert payload.name == "" and payload.data
    there = payload.unpack()
    assert there.fingerprint() == net.fingerprint() and there.class_names == tuple("abcd")


def test_a_bundled_network_travels_by_name_unless_it_was_changed():
    net = load_network("squeezenet")
    assert pack(net) == Payload(net.fingerprint(), "squeezenet")
    bias = net.model.get_layer("conv1").bias
    bias.assign(bias + 1)
    assert pack(net).data


def test_another_network_than_the_one_that_was_packed_is_refused():
    with pytest.raises(BadModel, match="does not round-trip"):
        Payload("0" * 64, "squeezenet").unpack()
