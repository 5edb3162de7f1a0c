"""Inputs beside the picture: text, categories and named tables, given as people have them."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras, tf

L = keras.layers
WORDS = ["red", "blue", "large"]


def seen(picture):
    return L.GlobalAveragePooling2D()(L.Conv2D(6, 3, activation="relu", name="conv")(picture))


def headed(inputs, *features):
    keras.utils.set_random_seed(3)
    hidden = L.Dense(5, "tanh")(L.Concatenate()(features))  # so that the gradient depends on all of them
    return keras.Model(inputs, L.Dense(4, name="scores")(hidden))


def with_text():
    picture, text = keras.Input((10, 12, 3), name="photo"), keras.Input((), dtype="string", name="text")
    numbers = L.TextVectorization(output_sequence_length=2, vocabulary=WORDS)(text)
    words = L.Embedding(5, 4, embeddings_initializer="normal")(numbers)
    return headed({"photo": picture, "text": text}, seen(picture), L.GlobalAveragePooling1D()(words))


def with_category(dtype, layer):
    picture, category = keras.Input((10, 12, 3), name="photo"), keras.Input((1,), dtype=dtype, name="category")
    return headed([picture, category], seen(picture), L.Flatten()(layer(category)))


def gradient(model, feed, picture):
    x = tf.constant(picture[None])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = model(feed(x))[:, 1]
    return tape.gradient(value, x)[0].numpy().sum(-1)


def test_a_text_is_held_fixed_and_a_later_one_is_no_old_one(noise):
    model, picture = with_text(), noise(10, 12, 3)
    net = cw.Network(model, preprocess="unit")
    for text in ("red blue", ["large"], np.array(["blue"]), tf.constant(["red"]), ""):
        given = {"photo": picture, "text": text}
        plain = tf.reshape(tf.constant(text), [1])
        right = gradient(model, lambda x, plain=plain: {"photo": x, "text": plain}, picture)
        (heat,) = cw.attribution(net, given, 1, "gradient")
        np.testing.assert_allclose(heat.raw, right, rtol=1e-4, atol=1e-7)
    assert np.array_equal(cw.attribution(net, picture, 1, "gradient")[0].raw, heat.raw)  # left out, as with ""


def test_panels_and_other_methods_take_a_text_too(noise):
    net, given = cw.Network(with_text(), preprocess="unit"), {"photo": noise(10, 12, 3), "text": "red blue"}
    assert cw.attribution(net, given, 1, "occlusion")[0].raw.any()
    assert cw.visualize_classes(net, [1], steps=1, held={"text": "red"}).pictures.shape == (1, 10, 12, 3)
    panel = cw.HeatmapPanel(net, given, target=1)
    other = cw.HeatmapPanel(net, {**given, "text": "large"}, target=1)
    assert panel.run()[0].raw.any()
    assert not np.array_equal(panel.result[0].raw, other.run()[0].raw)
    assert panel._held.digest != other._held.digest


@pytest.mark.parametrize(
    ("dtype", "layer", "given", "plain"),
    [
        ("int32", L.Embedding(5, 4), 3, [[3]]),
        ("int32", L.Embedding(5, 4), [3], [[3]]),
        ("int32", L.Embedding(5, 4), np.array([[3]]), [[3]]),
        ("string", L.StringLookup(vocabulary=WORDS, output_mode="one_hot"), "blue", [["blue"]]),
        ("string", L.StringLookup(vocabulary=WORDS, output_mode="one_hot"), ["large"], [["large"]]),
    ],
)
def test_a_category_is_given_as_people_have_it(noise, dtype, layer, given, plain):
    model, picture = with_category(dtype, layer), noise(10, 12, 3)
    (heat,) = cw.attribution(cw.Network(model, preprocess="unit"), [picture, given], 1, "gradient")
    right = gradient(model, lambda x: [x, tf.constant(plain, dtype)], picture)
    np.testing.assert_allclose(heat.raw, right, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("dtype", "layer", "given", "said"),
    [
        ("int32", L.Embedding(5, 4), 3.7, "takes whole numbers .1., got 3.7"),
        ("int32", L.Embedding(5, 4), "3", "takes whole numbers .1., got '3'"),
        ("string", L.StringLookup(vocabulary=WORDS, output_mode="one_hot"), 3, "takes text .1., got 3"),
    ],
)
def test_what_an_input_does_not_take_is_refused_with_what_it_takes(noise, dtype, layer, given, said):
    net = cw.Network(with_category(dtype, layer), preprocess="unit")
    with pytest.raises(cw.BadModel, match=f"'category' {said}"):
        net.predict([noise(10, 12, 3), given])


ONLY_KNOWN = {"num_oov_indices": 0, "output_mode": "one_hot"}


@pytest.mark.parametrize(
    ("dtype", "layer", "given", "said"),
    [
        ("int32", L.Embedding(5, 4), 9, r"9 is not in \[0, 5\)"),
        ("float32", L.Embedding(5, 4), 9, r"9 is not in \[0, 5\)"),
        ("int64", L.IntegerLookup(vocabulary=[1, 2], **ONLY_KNOWN), 7, r"should be in vocabulary.* \[7"),
        ("string", L.StringLookup(vocabulary=WORDS, **ONLY_KNOWN), "green", r"should be in vocabulary.*green"),
    ],
)
def test_a_category_that_a_layer_does_not_know_is_named(noise, dtype, layer, given, said):
    net = cw.Network(with_category(dtype, layer), preprocess="unit")
    both = [noise(10, 12, 3), given]
    said = f"cannot be run on what it was given: .*{said}.* Give values"
    with pytest.raises(cw.BadModel, match=said):
        net.predict(both)
    with pytest.raises(cw.BadModel, match=said):
        cw.class_activation_map(net, both, "conv", lambda y: y[:, 1])  # the function is not to blame


def test_an_input_that_was_left_out_may_be_why_an_output_is_not_finite(noise):
    logarithm = L.Lambda(
        lambda x: tf.math.log(tf.cast(x, tf.float32)) - tf.math.log(tf.cast(x, tf.float32)), output_shape=(1,)
    )
    net = cw.Network(with_category("int32", logarithm), preprocess="unit")
    assert net.predict([noise(10, 12, 3), 2])
    with pytest.raises(cw.BadModel, match="what category got: an input that is left out is 0"):
        net.predict(noise(10, 12, 3))


def test_a_held_category_that_a_layer_does_not_know_is_named():
    net = cw.Network(with_category("int32", L.Embedding(5, 4)), preprocess="unit")
    with pytest.raises(cw.BadModel, match=r"cannot be run on what it was given: .* 9 is not in \[0, 5\)"):
        cw.visualize_classes(net, [0], steps=1, held={"category": 9})


def test_where_a_layer_looks_is_found_whatever_its_network_asserts_about_other_inputs(noise):
    def both_assert(category):
        known = L.IntegerLookup(vocabulary=[1, 2], **ONLY_KNOWN)(category)
        positive = keras.ops.cast(category, "float32")
        return L.Concatenate()([known, L.Lambda(asserted_positive, output_shape=(1,))(positive)])

    def asserted_positive(x):
        with tf.control_dependencies([tf.debugging.assert_positive(x)]):
            return tf.identity(x)

    model, picture = with_category("int64", both_assert), noise(10, 12, 3)
    net = cw.Network(model, preprocess=lambda pictures: tf.tanh(pictures / 255))
    (heat,) = cw.class_activation_map(net, [picture, 2], "conv", 1, "hirescam")
    assert heat.raw.shape == (8, 10) and "assumed" not in heat.note
    assert cw.receptive_field(net, "conv").size == (3, 3)
    net = cw.Network(model, preprocess=lambda pictures: pictures / 255 + tf.reduce_mean(pictures, 0) * 0)
    assert "operations on the whole batch" in cw.class_activation_map(net, [picture, 2], "conv", 1)[0].note
    with pytest.raises(cw.BadModel, match="cannot be run on what it was given"):
        net.predict([picture, -2])


class OfNamedInputs(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.scores = L.Conv2D(6, 3, name="conv"), L.Dense(4, name="scores")

    def call(self, inputs):
        mean = tf.reduce_mean(self.conv(inputs["photo"]), [1, 2])
        return {"scores": self.scores(tf.concat([mean, inputs["table"]], -1)), "loss": None}


def test_a_subclassed_model_takes_its_inputs_by_their_names_and_may_return_none(noise):
    model, picture, table = OfNamedInputs(), noise(10, 12, 3), [1.0, 2.0]
    model({"photo": picture[None], "table": np.array([table], np.float32)})
    net = cw.Network(model, preprocess="unit")
    assert [one.name for one in net.inputs] == ["photo", "table"]
    assert [one.name for one in net.outputs] == ["scores"]
    given = {"photo": picture, "table": table}
    right = gradient(lambda x: model({"photo": x, "table": tf.constant([table])})["scores"], lambda x: x, picture)
    for target in (1, lambda output: output["scores"][:, 1] + (0 if output["loss"] is None else 1)):
        (heat,) = cw.attribution(net, given, target, "gradient")
        np.testing.assert_allclose(heat.raw, right, rtol=1e-4, atol=1e-7)
