"""What is not class scores is shown as what it is, and nothing of it is called a class."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras, tf

L, ops = keras.layers, keras.ops


def from_vector(*layers):
    return lambda: keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(6, 3), L.GlobalAveragePooling2D(), *layers])


def from_map(*layers):
    return lambda: keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(6, 3, activation="relu"), *layers])


def compiled(make, loss):
    def build():
        model = make()
        model.compile("sgd", loss)
        return model

    return build


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
KINDS = {
    "softmax": (from_vector(L.Dense(3, "softmax")), "classes"),
    "several sigmoids": (from_vector(L.Dense(3, "sigmoid")), "classes"),
    "one sigmoid": (from_vector(L.Dense(1, "sigmoid")), "decision"),
    "logits": (from_vector(L.Dense(10)), "classes"),
    "two compiled logits": (compiled(from_vector(L.Dense(2)), LOGITS), "classes"),
    "two logits by name": (from_vector(L.Dense(2, name="logits")), "classes"),
    "one compiled logit": (
        compiled(from_vector(L.Dense(1)), keras.losses.BinaryCrossentropy(from_logits=True)), "decision"),
    "one compiled number": (compiled(from_vector(L.Dense(1)), "binary_crossentropy"), "value"),
    "two numbers": (from_vector(L.Dense(2)), "value"),
    "one number": (from_vector(L.Dense(1)), "value"),
    "compiled with a squared error": (compiled(from_vector(L.Dense(4)), "mse"), "value"),
    "a tanh": (from_vector(L.Dense(3, "tanh")), "value"),
    "boxes": (from_vector(L.Dense(4, name="bounding_box")), "value"),
    "means of a latent": (from_vector(L.Dense(8, name="z_mean")), "value"),
    "of unit length": (from_vector(L.Dense(16), L.UnitNormalization()), "embedding"),
    "of unit length by TensorFlow": (
        from_vector(L.Dense(16), L.Lambda(lambda x: tf.nn.l2_normalize(x, -1))), "embedding"),
    "of unit length by hand": (from_vector(L.Dense(16), L.Lambda(lambda x: x / ops.norm(x, 2, -1, True))), "embedding"),
    "normalized": (from_vector(L.Dense(16), L.LayerNormalization()), "embedding"),
    "pooled features": (from_map(L.GlobalAveragePooling2D()), "embedding"),
    "an edge map": (from_map(L.Conv2D(1, 3, activation="sigmoid")), "map"),
    "a picture": (from_map(L.Conv2D(3, 3, activation="sigmoid")), "map"),
    "a linear map": (from_map(L.Conv2D(4, 3)), "map"),
    "a segmentation": (from_map(L.Conv2D(4, 3, activation="softmax")), "classes"),
    "a compiled segmentation": (compiled(from_map(L.Conv2D(4, 3)), LOGITS), "classes"),
    "softmax by hand": (
        from_vector(L.Dense(5), L.Lambda(lambda x: ops.exp(x) / ops.sum(ops.exp(x), -1, True))), "classes"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_of_an_output_is_told_by_the_model(name):
    make, kind = KINDS[name]
    assert cw.Network(make(), preprocess="unit").outputs[0].kind == kind


@pytest.mark.parametrize("name", [name for name, (_, kind) in KINDS.items() if kind in ("value", "map", "embedding")])
def test_numbers_that_are_not_class_scores_are_given_as_they_are(name, noise):
    model, picture = KINDS[name][0](), noise(12, 12, 3)
    net = cw.Network(model, preprocess="unit")
    lines = net.predict(picture, 100)
    right = model(picture[None])[0].numpy()
    np.testing.assert_allclose(
        [line.probability for line in lines], right.reshape(-1, right.shape[-1]).mean(0), atol=1e-5
    )
    assert [line.index for line in lines] == list(range(right.shape[-1]))
    assert all("of output" in line.name for line in lines)
    assert not any("class" in line.name for line in lines)


@pytest.mark.parametrize("name", ["one number", "boxes", "of unit length", "an edge map", "pooled features"])
def test_pictures_of_classes_and_fooling_say_why_they_do_not_apply(name, noise):
    net, picture = cw.Network(KINDS[name][0](), preprocess="unit"), noise(12, 12, 3)
    for call in (
        lambda: cw.visualize_classes(net, [0]),
        lambda: cw.adversarial(net, picture),
        lambda: cw.ClassGallery(net, [0]),
        lambda: cw.AdversarialPanel(net, picture),
    ):
        with pytest.raises(cw.BadTarget, match=r"gives .*, not class scores, so there is no class to .*class_names"):
            call()


def test_class_names_make_class_scores_of_any_numbers(noise):
    net = cw.Network(KINDS["two numbers"][0](), preprocess="unit", class_names=["cat", "dog"])
    lines = net.predict(noise(12, 12, 3))
    assert {line.name for line in lines} == {"cat", "dog"}
    assert sum(line.probability for line in lines) == pytest.approx(1)


@pytest.mark.parametrize("names", [None, ["cat", "dog"]], ids=["by its loss", "by two names"])
def test_one_logit_separates_two_classes_as_its_sigmoid_does(noise, names):
    picture = noise(12, 12, 3)
    model = KINDS["one compiled logit" if names is None else "one number"][0]()
    twin = keras.Sequential([L.Input((12, 12, 3)), *model.layers, L.Activation("sigmoid")])
    net, other = (cw.Network(one, "unit", class_names=names) for one in (model, twin))
    found, right = net.predict(picture), other.predict(picture)
    assert [line.name for line in found] == [line.name for line in right]
    np.testing.assert_allclose([p.probability for p in found], [p.probability for p in right], atol=1e-6)
    for target in (0, 1):
        for method in ("gradient", "rise"):
            np.testing.assert_allclose(
                cw.attribution(net, picture, target, method)[0].raw,
                cw.attribution(other, picture, target, method)[0].raw,
                atol=1e-5,
            )
    pictures = [cw.visualize_classes(one, [0, 1], steps=1) for one in (net, other)]
    np.testing.assert_allclose(pictures[0].values, pictures[1].values, rtol=1e-4)
    last = [list(cw.adversarial(one, picture, steps=1))[-1].pictures for one in (net, other)]
    np.testing.assert_array_equal(*last)


def test_two_names_are_refused_for_one_number_that_is_no_logit():
    for layer in (L.Dense(1, "relu"), L.Dense(1, "hard_sigmoid")):
        with pytest.raises(cw.BadTarget, match="must have 1 names"):
            cw.Network(from_vector(layer)(), class_names=["cat", "dog"])


def test_a_segmentation_is_predicted_as_shares_of_the_pixels(noise):
    for name in ("a segmentation", "a compiled segmentation"):
        model, picture = KINDS[name][0](), noise(12, 12, 3)
        shares = np.bincount(model(picture[None])[0].numpy().argmax(-1).ravel(), minlength=4) / 64
        lines = cw.Network(model, preprocess="unit").predict(picture)
        assert [line.probability for line in lines] == pytest.approx(sorted(shares, reverse=True))
        assert lines[0].index == shares.argmax()


def test_several_sigmoids_have_each_a_probability_of_their_own(noise):
    model, picture = KINDS["several sigmoids"][0](), noise(12, 12, 3)
    lines = sorted(cw.Network(model, preprocess="unit").predict(picture))
    assert [line.probability for line in lines] == pytest.approx(model(picture[None])[0].numpy())


def test_notes_name_the_value_that_is_explained(noise):
    net, picture = cw.Network(KINDS["boxes"][0](), preprocess="unit"), noise(12, 12, 3)
    panel = cw.HeatmapPanel(net, picture, target=2)
    panel.run()
    assert panel.state == "done"
    assert all("%" not in line and "class" not in line for line in panel.controls.classes.shown[1:])


def test_losses_and_class_names_belong_to_the_outputs_that_they_are_given_for(noise):
    given = keras.Input((12, 12, 3))
    pooled = L.GlobalAveragePooling2D()(given)
    heads = [L.Dense(numbers, name=name)(pooled) for name, numbers in (("b", 4), ("a", 4), ("c", 9))]
    model = keras.Model(given, heads)
    model.compile("sgd", {"a": "mse", "b": LOGITS, "c": LOGITS})
    net = cw.Network(model, preprocess="unit", class_names=["north", "east", "south", "west"])
    assert [info.kind for info in net.outputs] == ["classes", "value", "classes"]
    names = [{line.name for line in net.predict(noise(12, 12, 3), 9, output)} for output in "bac"]
    assert names[0] == {"north", "east", "south", "west"}
    assert names[1] == {f"value {i} of output 'a'" for i in range(4)}
    assert names[2] == {f"class {i}" for i in range(9)}
    with pytest.raises(cw.BadTarget, match="no value 7.*from 0 to 3"):
        net.class_index(7, 1)
    with pytest.raises(cw.BadTarget, match="no class names"):
        net.class_index("north", 2)


def ending_in_one_position(activation, numbers, first):
    order = "channels_first" if first else "channels_last"
    given = keras.Input((3, 12, 12) if first else (12, 12, 3))
    x = L.Conv2D(6, 3, activation="relu", data_format=order)(given)
    x = L.GlobalAveragePooling2D(order, keepdims=True)(x)
    x = L.Conv2D(numbers, 1, name="scores", data_format=order)(x)
    return keras.Model(given, activation(x))


@pytest.mark.parametrize("first", [False, True], ids=["channels last", "channels first"])
@pytest.mark.parametrize(
    ("activation", "numbers", "kind", "right"),
    [
        (lambda first: L.Softmax(axis=1 if first else -1), 4, "classes", lambda y: y),
        (lambda _: L.Activation("sigmoid"), 4, "classes", lambda y: y),
        (lambda _: L.Activation("sigmoid"), 1, "decision", lambda y: [1 - y[0], y[0]]),
        (lambda _: L.Identity(), 4, "classes", lambda y: np.exp(y) / np.exp(y).sum()),
        (lambda _: L.Identity(), 1, "value", lambda y: y),
    ],
    ids=["softmax", "sigmoids", "one sigmoid", "logits", "one number"],
)
def test_one_row_and_one_column_of_scores_are_scores_of_the_picture(noise, first, activation, numbers, kind, right):
    model, picture = ending_in_one_position(activation(first), numbers, first), noise(12, 12, 3)
    net = cw.Network(model, preprocess="unit")
    fed = np.moveaxis(picture, -1, 0) if first else picture
    assert (net.outputs[0].kind, net.outputs[0].shape) == (kind, (numbers,))
    shown = [line.probability for line in sorted(net.predict(picture))]
    assert shown == pytest.approx(right(model(fed[None]).numpy().ravel()), abs=1e-6)
