"""A Network takes any picture to its model, and names what comes out."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network, as_network

L = keras.layers
NAMES = ["cat", "dog", "crane", "Crane", "tiger shark"]


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def echo(channels, size=(None, None)):
    """A model whose "classes" are the means of its picture's channels."""
    return keras.Sequential([keras.Input((*size, channels)), L.GlobalAveragePooling2D()])


# -- predict


def test_predictions_are_the_models_own_best_first(net, noise):
    picture = noise(20, 24, 3)
    expected = net("plain").model(picture[None]).numpy()[0]
    found = net("plain").predict(picture, top=3)
    assert [p.index for p in found] == list(np.argsort(-expected)[:3])
    np.testing.assert_allclose([p.probability for p in found], np.sort(expected)[:-4:-1], rtol=1e-5)
    assert found[0].name == f"class {found[0].index}"


def test_logits_are_shown_as_probabilities(net, noise):
    picture = noise(20, 24, 3)
    expected = softmax(net("nested").model(picture[None]).numpy()[0].astype(np.float64))
    found = net("nested").predict(picture)
    assert len(found) == 3
    np.testing.assert_allclose([p.probability for p in found], np.sort(expected)[::-1], rtol=1e-5)


def test_one_sigmoid_is_shown_as_its_two_classes(net, noise):
    left, right = noise(32, 32, 3), noise(32, 32, 3, seed=8)
    probability = float(net("siamese").model([left[None], right[None]])[0, 0])
    found = {p.index: p.probability for p in net("siamese").predict([left, right])}
    assert found == pytest.approx({0: 1 - probability, 1: probability}, rel=1e-5)


@pytest.mark.parametrize(
    "name", ["sequential", "twice", "dense_only", "subclassed", "inputs_as_list", "channels_first", "mixed_float16"]
)
def test_every_kind_of_model_predicts_a_distribution(net, noise, name):
    picture = noise(40, 30, 3)
    found = net(name).predict({"photo": picture} if name.startswith("inputs") else picture, top=99)
    assert sum(p.probability for p in found) == pytest.approx(1, abs=2e-3)
    assert sorted(p.index for p in found) == list(range(len(found)))


def test_channels_first_gets_its_picture_the_right_way_round(net, noise, run):
    picture = noise(32, 32, 3)
    expected = net("channels_first").model(picture.transpose(2, 0, 1)[None]).numpy()
    np.testing.assert_allclose(run(net("channels_first"), picture[None]), expected, atol=1e-5)


def test_what_is_no_picture_is_refused(net):
    for thing in ("nowhere.png", b"GIF", 3, None):
        with pytest.raises(BadPicture):
            net("plain").predict(thing)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_whose_output_is_not_finite_says_so(build, noise, value):
    model = build("plain")
    model.get_layer("logits").bias.assign([value, 0, 0, 0, 0])
    with pytest.raises(BadModel, match="'logits/bias' of 'plain' hold NaN or infinity"):
        Network(model).predict(noise(9, 9, 3))


def test_a_picture_that_is_too_small_for_the_layers_is_refused_and_not_run(noise):
    pools = [part for _ in range(3) for part in (L.Conv2D(4, 3, padding="same"), L.MaxPooling2D(3, 2))]
    network = Network(keras.Sequential([keras.Input((None, None, 3)), *pools, L.GlobalAveragePooling2D()]))
    for side in (64, 40, 17):  # from the second size on, one graph takes all
        assert len(network.predict(noise(side, side, 3))) == 4
    for size in ((8, 8), (1, 1), (64, 6)):
        with pytest.raises(BadPicture, match="Pictures of {} x {} pixels are too small.*larger".format(*size)):
            network.predict(noise(*size, 3))


# -- pictures to batches


def test_a_network_of_any_size_takes_a_picture_as_it_is(net, noise):
    picture = noise(37, 53, 3)
    (batch,) = net("plain").arrays(picture)
    np.testing.assert_array_equal(batch, picture[None])


def test_a_network_of_one_size_gets_the_picture_stretched_to_it(net, noise):
    picture = noise(64, 96, 1)
    batch = net("sequential").array(np.repeat(picture, 3, -1), 0)
    expected = np.asarray(Image.fromarray(picture[..., 0]).resize((32, 32), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(batch[0, ..., 0], expected, atol=1e-6)


def test_a_very_large_picture_is_shrunk_before_a_network_of_any_size(net):
    (batch,) = net("plain").arrays(np.zeros((512, 2048, 3), np.uint8))
    assert batch.shape == (1, 256, 1024, 3)


def test_eight_bits_and_floats_are_the_same_picture(net):
    picture = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    np.testing.assert_allclose(net("plain").arrays(picture)[0], net("plain").arrays(picture / 255)[0], atol=1e-6)


def test_grey_pictures_become_three_equal_channels_and_colors_become_luminance(net, noise):
    grey, color = noise(32, 32), noise(32, 32, 3)
    np.testing.assert_array_equal(net("plain").array(grey, 0)[0], np.stack([grey] * 3, -1))
    luminance = color @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(net("sequential").array(color, 0)[0, ..., 0], luminance, atol=1e-6)
    np.testing.assert_allclose(net("sequential").array(grey, 0)[0, ..., 0], grey, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_pictures_of_unusual_channels_pass_as_arrays(run, channels):
    picture = np.random.default_rng(0).integers(0, 256, (6, 5, channels), np.uint8)
    network = Network(echo(channels))
    for given in (picture, picture / 255):
        np.testing.assert_allclose(run(network, network.array(given, 0))[0], picture.mean((0, 1)) / 255, rtol=1e-4)


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_a_color_picture_is_refused_by_a_network_of_unusual_channels(noise, channels):
    with pytest.raises(BadModel, match=f"{channels} channels, and this one has 3"):
        Network(echo(channels)).predict(noise(6, 5, 3))


# -- several inputs and outputs


def two_photos_and_a_table():
    """Puts out what it gets: the means of two pictures' channels, and its table."""
    photo, other = keras.Input((8, 8, 3), name="photo"), keras.Input((None, None, 1), name="other")
    table, mean = keras.Input((2,), name="table"), L.GlobalAveragePooling2D()
    return keras.Model([table, photo, other], L.Concatenate()([mean(photo), mean(other), table]))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda x: x * 255, r"go from .* to 25.*give picture / 255"),
        (lambda x: x - 0.5, r"go from -0.4.*Some are negative.*give the picture as it was before"),
        (lambda x: np.where(x > 0.5, np.nan, x), "NaN or infinity"),
        (lambda x: np.where(x > 0.5, np.inf, x), "NaN or infinity"),
    ],
)
def test_a_picture_outside_its_range_is_noticed(noise, channels, spoil, words):
    network = Network(keras.Sequential([keras.Input((None, None, channels)), L.Conv2D(2, 3)]), preprocess="unit")
    picture = noise(16, 16, channels)
    assert network.predict(picture)
    with pytest.raises(BadPicture, match=words):
        network.predict(spoil(picture))


def test_eight_bits_of_unusual_channels_are_the_same_picture():
    network = Network(keras.Sequential([keras.Input((8, 8, 5)), L.Conv2D(2, 3)]), preprocess="unit")
    levels = np.random.default_rng(0).integers(0, 256, (8, 8, 5), np.uint8)
    np.testing.assert_allclose(network.arrays(levels)[0][0], levels / 255, atol=1e-7)


@pytest.mark.parametrize("table", ["old", None, [1, 2, 3], [1, 2, 3, np.nan], np.ones((2, 4)), {"a": 1}])
def test_a_table_that_does_not_fit_is_refused_with_its_shape(net, noise, table):
    with pytest.raises(BadModel, match="input 'age' takes finite numbers .4., got"):
        net("inputs_as_dict").predict({"photo": noise(32, 32, 3), "age": table})


def test_inputs_that_are_not_climbed_get_mid_grey_and_zeros_or_what_is_held(noise):
    network, pictures = Network(two_photos_and_a_table(), preprocess="none"), noise(2, 8, 8, 3)
    means = pictures.mean((1, 2)) * 255
    blank = network.call(network.feed(pictures, 1))[0]
    np.testing.assert_allclose(blank, [[*m, 127.5, 0, 0] for m in means], rtol=1e-4)
    held = network.call(network.feed(pictures, 1, {0: np.array([[3.0, 4.0]]), 2: np.full((1, 5, 5, 1), 0.2)}))[0]
    np.testing.assert_allclose(held, [[*m, 51, 3, 4] for m in means], rtol=1e-4)
    other = network.call(network.feed(pictures[..., :1], 2))[0]
    np.testing.assert_allclose(other, [[127.5] * 3 + [m[0], 0, 0] for m in means], rtol=1e-4)


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("with_table", [False, True])
def test_several_inputs_are_given_as_a_list_in_order_or_as_a_dict_by_name(noise, as_dict, with_table):
    network, photo, other = Network(two_photos_and_a_table(), preprocess="unit"), noise(8, 8, 3), noise(4, 4)
    given = {"photo": photo, "other": other} | ({"table": [5, 6]} if with_table else {})
    in_order = [given[name] for name in ("table", "photo", "other") if name in given]
    output = network.call(network.arrays(given if as_dict else in_order))[0]
    expected = [*photo.mean((0, 1)), other.mean(), *((5, 6) if with_table else (0, 0))]
    np.testing.assert_allclose(output, [expected], rtol=1e-4)


@pytest.mark.parametrize(
    "given, words",
    [
        ({"photo": 0, "nope": 0}, "no input 'nope'.*table, photo, other"),
        ({"photo": 0}, "No picture was given for other"),
        ([0], "1 inputs were given. This model takes 3"),
        ([0, 0, 0, 0], "4 inputs were given"),
        (np.zeros((8, 8, 3)), "No picture was given for other"),
    ],
)
def test_too_many_or_too_few_inputs_are_refused_by_name(given, words):
    with pytest.raises(BadModel, match=words):
        Network(two_photos_and_a_table()).arrays(given)


@pytest.mark.parametrize(
    "name, path, call, seen",
    [
        ("plain", "conv2", 0, (0,)),
        ("siamese", "encoder/conv", 0, (0,)),
        ("siamese", "encoder/conv", 1, (1,)),
        ("siamese", "difference", 0, (0, 1)),
        ("inputs_as_list", "conv", 0, (1,)),
        ("inputs_as_list", "table", 0, ()),
        ("channels_first", "conv2", 0, (0,)),
    ],
)
def test_which_pictures_a_layer_sees_is_found_by_gradient(net, name, path, call, seen):
    assert net(name).sees(path, call) == seen


def two_outputs(as_dict):
    picture = keras.Input((None, None, 3), name="picture")
    x = L.GlobalAveragePooling2D(name="gap")(picture)
    kind, size = L.Dense(3, activation="softmax", name="kind")(x), L.Dense(1, activation="sigmoid", name="size")(x)
    return keras.Model(picture, {"size": size, "kind": kind} if as_dict else [kind, size])


@pytest.mark.parametrize("as_dict", [False, True])
def test_outputs_are_listed_and_chosen_by_index_or_name(noise, as_dict):
    model, picture = two_outputs(as_dict), noise(8, 8, 3)
    network, output = Network(model), model(picture[None])
    assert [(o.name, o.classes, o.squashed_by) for o in network.outputs] == [
        ("kind", 3, "softmax"), ("size", 2, "sigmoid"),
    ]  # fmt: skip
    size = float((output["size"] if as_dict else output[1])[0, 0])
    assert len(network.predict(picture)) == 3
    for which in ("size", 1):
        assert {p.index: p.probability for p in network.predict(picture, output=which)}[1] == pytest.approx(
            size, rel=1e-4
        )
    for which in ("nope", 2, -1, True):
        with pytest.raises(BadTarget, match="There is no output"):
            network.predict(picture, output=which)


# -- classes


@pytest.fixture
def named(net):
    synonyms = [["cat", "Egyptian cat"], ["dog"], ["crane", "bird"], ["crane", "machine"], ["tiger shark"]]
    return Network(net("plain").model, class_names=NAMES, synonyms=synonyms)


@pytest.mark.parametrize(
    "target, index", [(0, 0), (np.int64(4), 4), ("dog", 1), ("DOG ", 1), ("egyptian CAT", 0), ("machine", 3)]
)
def test_a_class_is_found_by_index_name_or_synonym(named, target, index):
    assert named.class_index(target) == index
    assert isinstance(named.class_index(target), int)


@pytest.mark.parametrize("name", ["Café", "CAFÉ", unicodedata.normalize("NFD", "Café"), " café"])
def test_a_class_is_found_however_its_accents_are_written(net, name):
    assert Network(net("plain").model, class_names=["Café", *NAMES[1:]]).class_index(name) == 0


def test_an_ambiguous_class_names_the_indices(named):
    with pytest.raises(BadTarget, match="ambiguous.*2, 3"):
        named.class_index("crane")


@pytest.mark.parametrize("target", [5, -1, True, 1.0, None, "", "do", ["dog"]])
def test_an_unknown_class_is_refused(named, target):
    with pytest.raises(BadTarget, match="There is no class"):
        named.class_index(target)


def test_the_nearest_class_name_is_offered(named):
    with pytest.raises(BadTarget, match="nearest: tiger shark"):
        named.class_index("tigershark")


def test_a_network_without_names_asks_for_an_index(net):
    with pytest.raises(BadTarget, match="no class names.*Give an index"):
        net("plain").class_index("dog")


def test_predictions_carry_the_names(named, noise):
    assert {p.index: p.name for p in named.predict(noise(9, 9, 3))} == dict(enumerate(NAMES))


@pytest.mark.parametrize("names", [NAMES[:4], [*NAMES, "one more"], []])
def test_a_wrong_number_of_class_names_is_refused(net, names):
    with pytest.raises(BadTarget, match=f"class_names must have 5 names, .* got {len(names)}"):
        Network(net("plain").model, class_names=names)


def test_classes_are_counted_on_each_output(net):
    counts = {name: net(name).outputs[0].classes for name in ("plain", "sequential", "siamese", "subclassed")}
    assert counts == {"plain": 5, "sequential": 4, "siamese": 2, "subclassed": 3}


# -- identity


def test_the_fingerprint_is_that_of_the_weights_as_they_are_now(build):
    model = build("plain")
    network, original = Network(model), model.get_weights()
    first = network.fingerprint()
    assert len(first) == 64 and set(first) <= set("0123456789abcdef")
    assert Network(build("plain")).fingerprint() == first
    changed = [w.copy() for w in original]
    changed[0].flat[0] = np.nextafter(changed[0].flat[0], 1)  # one bit
    model.set_weights(changed)
    assert network.fingerprint() != first
    model.set_weights(original)
    assert network.fingerprint() == first


def test_the_model_is_the_users_own_and_untouched(build, noise, snapshot_of):
    for name in ("plain", "sequential", "with_state"):
        model = build(name)
        before = snapshot_of(model)
        network = Network(model)
        network.predict(noise(40, 40, 3))
        network.sees(network.layers[-1].path)
        _ = network.layers, network.outputs, network.fingerprint(), repr(network)
        assert network.model is model
        assert snapshot_of(model) == before


def test_a_bare_model_is_taken_for_a_network(net):
    assert as_network(net("plain")) is net("plain")
    made = as_network(net("plain").model)
    assert isinstance(made, Network) and made.model is net("plain").model
    with pytest.raises(BadModel):
        as_network("plain")


def test_a_network_shows_itself_in_one_line(net):
    assert repr(net("plain")) == "Network('plain', takes any x any x 3, 7 layers)"
    assert repr(net("inputs_as_list")) == "Network('photo_and_table', takes 4, 32 x 32 x 3, 7 layers)"


@pytest.mark.parametrize("names", [("my conv", "net"), ("conv", "<b>my net</b>"), ("faltung_für_alle", "net")])
def test_a_name_that_no_graph_takes_is_told_with_what_to_do(names):
    conv, model = names
    named = keras.Sequential([L.Input((8, 8, 3)), L.Conv2D(2, 3, name=conv)], name=model.replace("/", "|"))
    with pytest.raises(BadModel, match="cannot run a layer or model called.*Build the model with names of letters"):
        Network(named).layer("conv")
    assert keras.Variable(0.0, name="later").path == "later"


def test_class_names_that_were_read_from_the_lines_of_a_file_have_no_line_ends(build):
    names = np.array(["ant\n", "bee\r\n", " cat", "dog", "eel"])
    net = Network(build("plain"), class_names=names)
    assert net.class_names == ("ant", "bee", "cat", "dog", "eel")
    assert net.class_index("bee") == 1
    assert {type(name) for name in net.class_names} == {str}


def test_a_set_of_class_names_is_refused_for_it_has_no_order(build):
    with pytest.raises(BadTarget, match="must be a list of names"):
        Network(build("plain"), class_names={"ant", "bee", "cat", "dog", "eel"})
