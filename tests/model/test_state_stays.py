"""Layers that change something when they are called: after a verb all of it is as it was."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import GraphFailed, compiled
from cnnwidgets.model.tracing.operations import assigned_in

L = keras.layers
PICTURE = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
FAILS: list[object] = [threading.Lock()]  # with a lock nobody can read beforehand what it holds


def always(kind):
    """A Keras layer that behaves at inference as in training."""

    class Always(kind):
        def call(self, x, training=None, mask=None):
            return super().call(x, training=True)

    return Always


class Counting(L.Layer):
    """Counts its calls in every way that people know, and keeps what it saw last."""

    def __init__(self):
        super().__init__()
        self.by_keras = self.add_weight(shape=(), initializer="zeros", trainable=False, name="by_keras")
        self.by_tensorflow, self.by_python, self.list = tf.Variable(0.0), 0, []

    def call(self, x):
        self.by_keras.assign(self.by_keras + 1.0)
        self.by_tensorflow.assign_add(1.0)
        self.by_python += 1
        self.list.append(self.by_python)
        self.last = x
        for error in FAILS[1:]:
            raise error
        return x + 0.0 * self.by_keras + 0.0 * self.by_tensorflow


class InAFunction(L.Layer):
    """Counts inside a function that TensorFlow has traced before."""

    def __init__(self):
        super().__init__()
        self.by_keras = self.add_weight(shape=(), initializer="zeros", trainable=False, name="by_keras")
        self.by_tensorflow = tf.Variable(0.0)

    @tf.function
    def counted(self, x):
        self.by_tensorflow.assign_add(1.0)
        self.by_keras.assign(self.by_keras + 1.0)
        return x * 1.0

    def call(self, x):
        return self.counted(x)


class InALoop(L.Layer):
    """Draws and counts in a loop, and draws again behind it."""

    def __init__(self):
        super().__init__()
        self.generator, self.by_tensorflow = keras.random.SeedGenerator(1), tf.Variable(0.0)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape)

    def call(self, x):
        def body(count, x):
            self.by_tensorflow.assign_add(1.0)
            return count + 1, x + 0.01 * keras.random.normal(tf.shape(x), seed=self.generator)

        x = tf.while_loop(lambda count, x: count < 3, body, [0, x])[1]
        return x + 0.01 * keras.random.normal(tf.shape(x), seed=self.generator)


class Drawing(L.Layer):
    """Draws from TensorFlow's own generator."""

    def __init__(self):
        super().__init__()
        self.generator = tf.random.Generator.from_seed(3)

    def call(self, x):
        return x + 0.01 * self.generator.normal(tf.shape(x))


STATEFUL = {
    "of Keras": lambda: [
        always(L.Dropout)(0.2, seed=1), always(L.SpatialDropout2D)(0.2), always(L.GaussianNoise)(0.1, seed=1),
        always(L.BatchNormalization)(), always(L.RandomFlip)(seed=1), always(L.SpectralNormalization)(L.Conv2D(4, 1)),
    ],
    "of one's own": lambda: [Counting(), InAFunction(), InALoop(), Drawing()],
}  # fmt: skip
VERBS = {
    "predict": lambda net: [line.probability for line in net.predict(PICTURE)],
    "feature_maps": lambda net: cw.feature_maps(net, PICTURE, ["late"])["late"],
    "class_activation_map": lambda net: cw.class_activation_map(net, PICTURE, "late", 1)[0].raw,
    "score_cam": lambda net: cw.class_activation_map(net, PICTURE, "late", 1, "score_cam")[0].raw,
    "gradient": lambda net: cw.attribution(net, PICTURE, 1, "gradient")[0].raw,
    "ascend": lambda net: cw.ascend(net, cw.objectives.channel("late", 1), size=16, steps=2),
    "visualize_classes": lambda net: cw.visualize_classes(net, [1], size=16, steps=1).pictures,
    "deepdream": lambda net: cw.deepdream(net, PICTURE, "late", octaves=1, steps=2),
    "adversarial": lambda net: cw.adversarial(net, PICTURE, 1, steps=2),
}


def with_layers(*layers):
    picture = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")(picture)
    for layer in layers:
        x = layer(x)
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="late")(x)
    made = keras.Model(picture, L.Dense(3, name="scores")(L.GlobalAveragePooling2D()(x)))
    made(PICTURE[None])  # so that no state stands at its beginning
    return made


def state_of(model):
    """Every variable and attribute that a layer of the test may change, by name."""
    found = {variable.path: variable.numpy().tolist() for variable in model.variables}
    for layer in model.layers:
        for name, one in vars(layer).items():
            if isinstance(one, tf.Variable | tf.random.Generator):
                found[layer.name, name] = getattr(one, "state", one).numpy().tolist()
        found[layer.name] = [repr(vars(layer).get(name)) for name in ("by_python", "list", "last")]
    return found


def last_of(made, check):
    if not hasattr(made, "__next__"):
        return made
    frames = []
    for frame in made:
        frames.append(frame)
        check()
    return frames[-1].pictures


@pytest.mark.parametrize("layers", STATEFUL)
def test_no_verb_moves_the_state_of_a_layer_and_the_same_call_gives_the_same(layers):
    model = with_layers(*STATEFUL[layers]())
    before, net = state_of(model), Network(model, preprocess="unit")

    def check():
        assert state_of(model) == before

    for verb, call in VERBS.items():
        first = last_of(call(net), check)
        check()
        np.testing.assert_array_equal(last_of(call(net), check), first, err_msg=verb)
        check()


def test_an_error_inside_the_model_moves_nothing():
    model = with_layers(Counting())
    net, before = Network(model, preprocess="unit"), state_of(model)
    assert net.layers
    FAILS.append(ZeroDivisionError("inside the model"))
    try:
        with pytest.raises(ZeroDivisionError):
            net.predict(PICTURE)
    finally:
        FAILS.pop()
    assert state_of(model) == before


def test_what_breaks_while_it_runs_is_put_back_too():
    count = tf.Variable(1.0)

    def run(x):
        count.assign_add(1.0)
        with tf.control_dependencies([tf.debugging.assert_positive(x)]):
            return x + count

    graph = compiled(run)
    assert graph(tf.constant(1.0)) == 3.0 and count.numpy() == 1.0
    with pytest.raises(GraphFailed):
        graph(tf.constant(-1.0))
    assert count.numpy() == 1.0


def test_a_graph_that_only_reads_puts_nothing_back():
    number, table = tf.Variable(2.0), tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1], [2]), 0)
    graph = tf.function(lambda x: x * number + tf.cast(table.lookup(tf.constant(1)), tf.float32))
    assert assigned_in(graph.get_concrete_function(tf.constant(1.0)).graph) == []


# -- networks that are random say so


def note_of(layer, path="late"):
    net = Network(with_layers(layer), preprocess="unit")
    return net.random_note(), net.random_note("conv"), cw.class_activation_map(net, PICTURE, path, 1)[0].note


def test_a_network_that_draws_from_a_generator_says_that_each_call_draws_the_same():
    note, of_conv, of_map = note_of(always(L.Dropout)(0.5, name="dropping"))
    assert note.startswith("random: the layer 'dropping' draws") and "each call draws the same" in note
    assert of_conv == "" and note in of_map


def test_a_network_whose_draws_nobody_can_repeat_says_that_two_calls_differ():
    drawing = L.Lambda(lambda x: x + tf.random.normal(tf.shape(x)), output_shape=(16, 16, 4), name="drawing")
    note, of_conv, of_map = note_of(drawing)
    assert "'drawing'" in note and note.endswith("two calls differ") and of_conv == "" and note in of_map


@pytest.mark.parametrize(
    "layer",
    [L.Dropout(0.5), L.BatchNormalization(), L.Lambda(lambda x: x + keras.random.normal((16, 16, 4), seed=3))],
)
def test_a_network_that_is_not_random_says_nothing(layer):
    note, of_conv, of_map = note_of(layer)
    assert note == of_conv == "" and "random" not in of_map


def test_only_the_outputs_that_depend_on_chance_say_so():
    picture = keras.Input((16, 16, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, name="conv")(picture))
    model = keras.Model(picture, [L.Dense(3, name="sure")(x), always(L.Dropout)(0.5)(L.Dense(3)(x))])
    net = Network(model, preprocess="unit")
    assert net.random_note(output=0) == "" != net.random_note(output=1) == net.random_note()
    assert "random" not in cw.attribution(net, PICTURE, 1, "gradient", output=0)[0].note
    assert "random" in cw.attribution(net, PICTURE, 1, "gradient", output=1)[0].note


def test_a_model_of_ones_own_class_that_was_fitted_opens():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(2, 3)

        def call(self, x):
            return keras.ops.mean(self.conv(x), (1, 2))

    made, pictures = Own(), np.zeros((1, 8, 8, 3), np.float32)
    made.compile("sgd", "mse")
    made.fit(pictures, np.zeros((1, 2)), verbose=0)
    trainable = dict(made._compiled_trainable_state)
    assert len(Network(made, "unit").predict(pictures[0])) == 2
    assert dict(made._compiled_trainable_state) == trainable
