"""Each method's weights, against the papers' formulas written out as loops."""

import numpy as np
import pytest

from cnnwidgets.explain.methods import class_activation_maps


@pytest.fixture
def seen():
    """An activation as behind a ReLU, [5, 4, 6], and a gradient of both signs."""
    numbers = np.random.default_rng(0)
    activation = np.maximum(numbers.normal(size=(5, 4, 6)), 0).astype(np.float32)
    return activation, numbers.normal(size=(5, 4, 6)).astype(np.float32)


def weighed(activation, weights):
    raw = np.zeros(activation.shape[:2])
    for k, weight in enumerate(weights):
        raw += weight * activation[..., k]
    return raw


# -- rules


def test_grad_cam_weighs_a_channel_by_its_mean_gradient(seen):
    a, g = seen
    expected = weighed(a, [g[..., k].mean() for k in range(6)])
    np.testing.assert_allclose(class_activation_maps.grad_cam(a, g), expected, atol=1e-5)


def test_hirescam_multiplies_place_by_place(seen):
    a, g = seen
    expected = [[sum(a[y, x, k] * g[y, x, k] for k in range(6)) for x in range(4)] for y in range(5)]
    np.testing.assert_allclose(class_activation_maps.hirescam(a, g), expected, atol=1e-5)


def test_xgrad_cam_weighs_gradients_by_the_share_of_activation(seen):
    a, g = seen
    expected = weighed(a, [(a[..., k] / a[..., k].sum() * g[..., k]).sum() for k in range(6)])
    np.testing.assert_allclose(class_activation_maps.xgrad_cam(a, g), expected, atol=1e-5)


def test_grad_cam_plus_plus_is_the_papers_equation_19(seen):
    a, g = seen
    weights = []
    for k in range(6):
        weight = 0.0
        for y in range(5):
            for x in range(4):
                slope = float(g[y, x, k])
                below = 2 * slope**2 + float(a[..., k].sum()) * slope**3
                weight += slope**2 / below * slope if slope > 0 else 0.0
        weights.append(weight)
    np.testing.assert_allclose(class_activation_maps.grad_cam_plus_plus(a, g), weighed(a, weights), rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e4])
def test_grad_cam_plus_plus_neither_underflows_nor_overflows(seen, scale):
    a, g = (x.astype(np.float64) for x in seen)
    g *= scale
    expected = weighed(a, (np.maximum(g, 0) / (2 + a.sum((0, 1)) * np.abs(g))).sum((0, 1)))
    np.testing.assert_allclose(class_activation_maps.grad_cam_plus_plus(a, g), expected, rtol=1e-9)


def test_grad_cam_plus_plus_leaves_out_what_would_turn_its_sign():
    a, g = np.array([[[-3.0, 1.0]], [[-1.0, 2.0]]]), np.ones((2, 1, 2))  # 2 + (-4) is below zero, 2 + 3 is not
    np.testing.assert_allclose(class_activation_maps.grad_cam_plus_plus(a, g)[:, 0], a[:, 0, 1] * 2 / 5)


def test_layer_cam_behind_a_relu_weighs_places_by_positive_gradients(seen):
    a, g = seen
    expected = [[sum(a[y, x, k] * max(g[y, x, k], 0) for k in range(6)) for x in range(4)] for y in range(5)]
    np.testing.assert_allclose(class_activation_maps.layer_cam(a, g), expected, atol=1e-5)


def test_layer_cam_counts_what_is_below_zero_and_should_be():
    a, g = np.full((1, 1, 1), -2.0, np.float32), np.full((1, 1, 1), -3.0, np.float32)
    assert class_activation_maps.layer_cam(a, g) == 6
    assert class_activation_maps.layer_cam(a, -g) == 0


def test_three_methods_agree_where_the_gradient_is_the_same_at_every_place(seen):
    a, g = seen
    even = np.broadcast_to(g[:1, :1], a.shape)  # what global average pooling and a linear head give
    expected = class_activation_maps.grad_cam(a, even)
    np.testing.assert_allclose(class_activation_maps.hirescam(a, even), expected, atol=1e-5)
    np.testing.assert_allclose(class_activation_maps.xgrad_cam(a, even), expected, atol=1e-5)


@pytest.mark.parametrize("rule", class_activation_maps.RULES.values(), ids=class_activation_maps.RULES)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 2, 1), (3, 2, 4)])
def test_nothing_in_nothing_out_and_never_nan(rule, shape):
    nothing, something = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    for a, g in [(nothing, nothing), (nothing, something), (something, nothing), (something, -something)]:
        raw = rule(a, g)
        assert raw.shape == shape[:2] and np.isfinite(raw).all()
        assert not raw.any() or (a.any() and g.any())


# -- the first component


@pytest.mark.parametrize("shape", [(5, 4, 6), (2, 2, 9)])
def test_eigen_cam_is_the_first_singular_component(shape):
    a = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    u, s, _ = np.linalg.svd(a.reshape(-1, shape[-1]).astype(np.float64), full_matrices=False)
    expected = (u[:, 0] * s[0]).reshape(shape[:2])
    expected *= np.sign(expected.sum())
    np.testing.assert_allclose(class_activation_maps.eigen_cam(a), expected, atol=1e-4)


def test_eigen_cam_of_what_is_never_negative_is_never_negative(seen):
    assert class_activation_maps.eigen_cam(seen[0]).min() > -1e-5
    assert not class_activation_maps.eigen_cam(np.zeros((2, 3, 4), np.float32)).any()


# -- by trying


def test_score_cam_weighs_by_the_softmax_of_what_each_mask_lets_through(seen):
    a, _ = seen
    place = np.random.default_rng(2).normal(size=(5, 4))

    def value_behind(masks):
        assert masks.shape[0] <= 4 and masks.min() == 0 and masks.max() == 1
        return np.array([(place * mask).sum() for mask in masks], np.float32)

    *_, raw = class_activation_maps.score_cam(a, np.arange(6), 4, value_behind)
    masks = [(a[..., k] - a[..., k].min()) / (a[..., k].max() - a[..., k].min()) for k in range(6)]
    powers = np.exp([(place * mask).sum() for mask in masks])
    np.testing.assert_allclose(raw, weighed(a, powers / powers.sum()), rtol=1e-4)


def test_score_cam_tries_the_48_most_varied_channels_and_no_constant_one():
    a = np.random.default_rng(3).random((3, 3, 100)).astype(np.float32) * np.arange(100, dtype=np.float32)
    tried = []
    chosen, note = class_activation_maps.most_varied(a, class_activation_maps.MASKS)
    for _ in class_activation_maps.score_cam(
        a, chosen, 16, lambda masks: tried.append(len(masks)) or np.zeros(len(masks), np.float32)
    ):
        pass
    assert tried == [16, 16, 16]
    assert set(chosen) <= set(range(30, 100))
    spread = np.sort(a.std((0, 1)))
    share = f"{spread[-48:].sum() / spread.sum():.0%}"
    assert note.startswith("approximate: the 48 most varied of 99 channels") and f"hold {share} of" in note
    every, note = class_activation_maps.most_varied(a, 99)
    assert sorted(every) == list(range(1, 100)) and note == ""
    a[..., 5:] = 7
    assert sorted(class_activation_maps.most_varied(a, class_activation_maps.MASKS)[0]) == [1, 2, 3, 4]


def test_score_cam_of_a_layer_without_any_variation_is_empty():
    (raw,) = class_activation_maps.score_cam(
        np.ones((2, 3, 4), np.float32), np.arange(0), 8, lambda masks: np.zeros(len(masks))
    )
    assert raw.shape == (2, 3) and not raw.any()


def test_ablation_cam_finds_the_weights_of_a_linear_head(seen):
    a, _ = seen
    weights = np.random.default_rng(4).normal(size=6).astype(np.float32)
    parts = weights * a.sum((0, 1))
    value = float(parts.sum()) - 1000  # the bias is no reason to turn the map round

    *_, raw = class_activation_maps.ablation_cam(a, 4, value, lambda channels: value - parts[channels])
    np.testing.assert_allclose(raw, weighed(a, parts), rtol=1e-3, atol=1e-2)


def test_ablation_cam_leaves_out_channels_that_are_off():
    a = np.ones((2, 2, 5), np.float32)
    a[..., [1, 3]] = 0
    asked = []
    maps = list(
        class_activation_maps.ablation_cam(
            a, 2, 1.0, lambda channels: asked.extend(channels) or np.zeros(len(channels))
        )
    )
    assert asked == [0, 2, 4] and len(maps) == 2
    (raw,) = class_activation_maps.ablation_cam(
        np.zeros((2, 3, 4), np.float32), 2, 1.0, lambda channels: np.zeros(len(channels))
    )
    assert raw.shape == (2, 3) and not raw.any()
