"""What leads where: the graph of layers from Keras' nodes, and the same from a traced run."""

import pytest

from cnnwidgets.model.backend import keras
from cnnwidgets.model.layer_graph import INPUT, flow_shapes, from_nodes, from_trace, layer_graph
from cnnwidgets.model.network import Network
from tests.tiny_networks import MODELS, seeded

L = keras.layers


def branching():
    x = picture = keras.Input((32, 32, 3), name="picture")
    x = L.Conv2D(4, 3, padding="same", name="first")(x)
    left, right = L.Conv2D(4, 1, name="left")(x), L.Conv2D(4, 3, padding="same", name="right")(x)
    x = L.Add(name="sum")([x, L.Concatenate(name="both")([left, right])[..., :4]])
    x = L.Dropout(0.5, name="dropout")(x)
    return keras.Model(picture, L.GlobalAveragePooling2D(name="gap")(keras.ops.relu(x) + x), name="branching")


def two_outputs():
    picture = keras.Input((16, 16, 3), name="picture")
    inside = keras.Input((16, 16, 3))
    features = L.Conv2D(3, 3, padding="same", name="conv")(inside)
    body = keras.Model(inside, [features, L.MaxPooling2D(name="pool")(features)], name="body")
    large, small = body(picture)
    return keras.Model(picture, {"a": L.Flatten(name="flat")(large), "b": L.Dense(2, name="dense")(small)}, name="two")


def unused():
    picture, other = keras.Input((8, 8, 3), name="picture"), keras.Input((2,), name="other")
    x = L.Concatenate(name="join")([L.Flatten(name="flat")(picture), other])
    return keras.Model([picture, other], L.Dense(2, name="dense")(x), name="unused")


class Residual(keras.Model):
    """A model without a graph whose second half skips a layer."""

    def __init__(self):
        super().__init__(name="residual")
        self.first, self.second = L.Conv2D(3, 3, padding="same", name="first"), L.Conv2D(3, 1, name="second")
        self.gap = L.GlobalAveragePooling2D(name="gap")

    def call(self, x):
        x = self.first(x)
        return self.gap(x + self.second(x))


class Passing(keras.Layer):
    """A block whose output takes its own input directly too."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.conv = L.Conv2D(3, 3, padding="same", name="conv")

    def build(self, shape):
        self.conv.build(shape)

    def call(self, x):
        return x + self.conv(x)


def passing():
    picture = keras.Input((16, 16, 3), name="picture")
    x = Passing(name="block")(L.Conv2D(3, 1, name="first")(picture))
    return keras.Model(picture, L.GlobalAveragePooling2D(name="gap")(x), name="passing")


def transformer():
    picture = keras.Input((16, 16, 3), name="picture")
    x = L.Reshape((16, 8), name="tokens")(L.Conv2D(8, 4, 4, name="patches")(picture))
    y = L.LayerNormalization(name="norm")(x)
    x = x + L.MultiHeadAttention(2, 4, name="attention")(y, y)
    return keras.Model(picture, L.Dense(3, name="logits")(L.GlobalAveragePooling1D(name="gap")(x)), name="transformer")


def frames():
    picture = keras.Input((16, 16, 3), name="picture")
    x = L.Reshape((4, 4, 16, 3), name="frames")(picture)
    x = L.TimeDistributed(L.Conv2D(4, 3, name="conv"), name="each")(x)
    x = L.Bidirectional(L.LSTM(3, name="lstm"), name="both")(L.TimeDistributed(L.Flatten(name="flat"), name="flats")(x))
    return keras.Model(picture, L.Dense(2, name="logits")(x), name="frames")


class Dictionary(keras.Model):
    """A subclassed model with a list of layers, one of them twice, one never, and two outputs."""

    def __init__(self):
        super().__init__(name="dictionary")
        self.twice, self.never = L.Conv2D(3, 3, name="twice"), L.Dense(3, name="never")
        self.blocks = [L.Conv2D(3, 1, name=f"block{i}") for i in range(3)]
        self.head = L.Dense(2, name="head")

    def call(self, x):
        x = self.twice(self.twice(x))
        for block in self.blocks:
            x = x + block(x)
        x = keras.ops.mean(x, (1, 2))
        return {"scores": self.head(x), "embedding": x}


def dictionary():
    model = Dictionary()
    model(keras.ops.zeros((1, 16, 16, 3)))
    return model


@pytest.mark.parametrize("make", [transformer, frames, dictionary])
def test_every_call_of_an_unusual_model_is_connected(make):
    net = Network(make())
    assert from_nodes(net) is None
    graph = layer_graph(net)
    assert set(graph.steps) == {(info.path, k) for info in net.layers for k in range(info.calls)}
    in_a_loop = {call for call in graph.steps if call[0].endswith("lstm_cell") and call[1] > 0}
    assert all(step.sources for call, step in graph.steps.items() if call not in in_a_loop) and all(graph.outputs)
    assert {call for call in graph.links().calls if call[0] == "never"} == set()


def test_blocks_in_a_list_with_sums_between_them_show_every_skip():
    steps = layer_graph(Network(dictionary())).steps
    assert steps["twice", 1].sources == (("twice", 0),)
    assert set(steps["head", 0].sources) == {("twice", 1), ("block0", 0), ("block1", 0), ("block2", 0)}


GRAPHS = {n: m for n, m in MODELS.items() if n != "subclassed"} | {
    make.__name__: make for make in (branching, two_outputs, unused)
}


@pytest.mark.parametrize("name", GRAPHS)
def test_nodes_and_a_traced_run_tell_the_same(name):
    net = Network(seeded(GRAPHS[name]()))
    nodes, trace = from_nodes(net), from_trace(net)
    assert set(nodes.steps) == set(trace.steps) == {(i.path, k) for i in net.layers for k in range(i.calls)}
    for call, step in nodes.steps.items():
        other = trace.steps[call]
        assert (step.within, set(step.sources), step.has_inside) == (other.within, set(other.sources), other.has_inside)
    assert [set(one) for one in nodes.outputs] == [set(one) for one in trace.outputs] and nodes.inputs == trace.inputs


def test_branches_joins_and_functions_between_layers_are_followed():
    graph = layer_graph(Network(branching()))
    assert graph.steps["sum", 0].sources == (("first", 0), ("both", 0))
    assert graph.steps["both", 0].sources == (("left", 0), ("right", 0))
    assert graph.steps["gap", 0].sources == (("dropout", 0),), "through relu and +, which are no layers"


def test_a_shared_model_has_its_calls_and_links(net):
    graph = layer_graph(net("siamese"))
    assert graph.links().edges == (
        (("left", INPUT), ("encoder", 0)), (("right", INPUT), ("encoder", 1)), (("encoder", 0), ("difference", 0)),
        (("encoder", 1), ("difference", 0)), (("difference", 0), ("same", 0)),
    )  # fmt: skip
    inside = graph.links(("encoder", 1))
    assert inside.calls == (("encoder/conv", 1), ("encoder/gap", 1))
    assert (inside.entries, inside.exits) == ((("encoder/conv", 1),), (("encoder/gap", 1),))


def test_a_model_without_a_graph_is_followed_through_a_run():
    model = Residual()
    model(keras.ops.zeros((1, 16, 16, 3)))
    net = Network(model)
    assert from_nodes(net) is None
    graph = layer_graph(net)
    assert graph.steps["gap", 0].sources == (("first", 0), ("second", 0))


def test_a_block_that_passes_its_input_on_says_so():
    net = Network(passing())
    assert from_nodes(net) is None, "Keras has no nodes inside a layer"
    graph = layer_graph(net)
    assert graph.links(("block", 0)).passes_through and graph.links(("block", 0)).exits == (("block/conv", 0),)
    assert graph.links().edges[-1] == (("block", 0), ("gap", 0)), "from outside, everything comes from the block"


def test_a_functional_model_with_a_call_of_its_own_is_traced():
    class Skipping(keras.Model):
        def call(self, x, training=False):
            return self.get_layer("gap")(self.get_layer("second")(x))

    picture = keras.Input((8, 8, 3), name="picture")
    x = L.Conv2D(3, 1, name="second")(L.Conv2D(3, 1, name="first")(picture))
    net = Network(Skipping(picture, L.GlobalAveragePooling2D(name="gap")(x)))
    assert from_nodes(net) is None and list(layer_graph(net).steps) == [("second", 0), ("gap", 0)]


def test_shapes_follow_the_side_where_any_is_taken_and_have_channels_last(net):
    assert flow_shapes(net("plain"), 64)["conv2"] == (32, 32, 12)
    assert flow_shapes(net("channels_first"), 64)["conv1"] == (30, 30, 6)
    assert flow_shapes(net("sequential"), 64)["predictions"] == (4,)


def test_the_model_stays_as_it_was(build, snapshot_of):
    for name in ("with_state", "subclassed"):
        model = build(name)
        before = snapshot_of(model)
        from_trace(Network(model))
        assert snapshot_of(model) == before
