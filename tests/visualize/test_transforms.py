"""Transforms change the picture by what they say, each picture from its own seed, and let gradients pass."""

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import tf
from cnnwidgets.visualize import objectives, randomness, transforms
from cnnwidgets.visualize.ascent import ascend

ALL = [transforms.jitter(4), transforms.crop(), transforms.noise(), transforms.scale(), transforms.rotate()]
OWN = [ALL[1], *ALL[3:]]  # each picture has its own change; a jitter and noise are one for the batch


def apply(transform, pictures, units=None, step=1, seed=0):
    units = range(len(pictures)) if units is None else units
    seeds = randomness.at_step(randomness.picture_seeds(seed, units), step)
    shared = tf.constant([seed, step], tf.int32)
    return transform(tf.constant(pictures, tf.float32), seeds, shared).numpy()


def ramps(height, width, many=1):
    """Channel 0 is the row and channel 1 the column: where each pixel was taken from can be read off."""
    return np.stack([np.indices((height, width)).transpose(1, 2, 0)] * many).astype(np.float32)


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_shape_stays_and_gradients_pass(noise, transform):
    pictures = tf.constant(noise(2, 16, 20, 3))
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        changed = transform(pictures, randomness.picture_seeds(0, [0, 1]), tf.constant([0, 1]))
    assert changed.shape == pictures.shape
    assert not np.array_equal(changed, pictures)
    gradient = tape.gradient(changed, pictures).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[:, 8, 10] > 0).all()  # the middle is always seen


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_the_same_seed_gives_the_same_change_and_another_step_another(noise, transform):
    pictures = noise(2, 16, 16, 3)
    np.testing.assert_array_equal(apply(transform, pictures), apply(transform, pictures))
    assert not np.array_equal(apply(transform, pictures, step=1), apply(transform, pictures, step=2))
    assert not np.array_equal(apply(transform, pictures, seed=0), apply(transform, pictures, seed=1))


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_a_pictures_change_does_not_depend_on_its_neighbours(noise, transform):
    pictures = noise(3, 16, 16, 3)
    alone = apply(transform, pictures[2:], units=[2])
    np.testing.assert_array_equal(apply(transform, pictures, units=[0, 1, 2])[2:], alone)


@pytest.mark.parametrize("transform", OWN, ids=repr)
def test_each_picture_has_a_change_of_its_own(noise, transform):
    one = np.repeat(noise(1, 16, 16, 3), 2, 0)
    changed = apply(transform, one, units=[0, 1])
    assert not np.array_equal(changed[0], changed[1])


NONE = [transforms.jitter(0), transforms.crop(1, 1), transforms.noise(0), transforms.scale(1, 1), transforms.rotate(0)]


@pytest.mark.parametrize("transform", NONE, ids=repr)
def test_no_change_leaves_the_picture_as_it_is(noise, transform):
    pictures = noise(2, 12, 15, 3)
    np.testing.assert_allclose(apply(transform, pictures), pictures, atol=1e-5)


def test_a_jitter_rolls_by_up_to_its_pixels_along_both_axes():
    picture, seen = ramps(32, 32), set()
    for step in range(60):
        row, column = apply(transforms.jitter(3), picture, step=step)[0, 16, 16]
        seen.add((16 - int(row), 16 - int(column)))
    rows, columns = zip(*seen, strict=True)
    assert set(rows) == set(columns) == set(range(-3, 4))
    assert any(r != c for r, c in seen)


def test_a_jitter_loses_no_pixel(noise):
    pictures = noise(1, 8, 8, 3)
    rolled = apply(transforms.jitter(5), pictures)
    np.testing.assert_array_equal(np.sort(rolled, axis=None), np.sort(pictures, axis=None))


def test_a_crop_is_a_square_part_inside_the_picture_between_its_sides():
    sides = []
    for step in range(40):
        crop = apply(transforms.crop(0.5, 0.9), ramps(41, 41), step=step)[0] / 40  # 0..1
        top, left = crop[0, 0]
        bottom, right = crop[-1, -1]
        assert min(top, left) >= -1e-5 and max(bottom, right) <= 1 + 1e-5
        assert bottom - top == pytest.approx(right - left, abs=1e-4)
        sides.append(bottom - top)
    assert min(sides) == pytest.approx(0.5, abs=0.05) and max(sides) == pytest.approx(0.9, abs=0.05)
    assert min(sides) >= 0.5 - 1e-4 and max(sides) <= 0.9 + 1e-4


def test_noise_has_its_deviation_and_no_mean():
    grey = np.full((2, 64, 64, 3), 0.5, np.float32)
    added = apply(transforms.noise(0.07), grey) - grey
    assert added.std() == pytest.approx(0.07, rel=0.03)
    assert added.mean() == pytest.approx(0, abs=2e-3)


def test_a_scale_enlarges_about_the_middle_by_its_factor():
    enlarged = apply(transforms.scale(2, 2), ramps(21, 21))[0]
    np.testing.assert_allclose(enlarged[10, 10], [10, 10], atol=1e-4)
    np.testing.assert_allclose(enlarged[20, 20] - enlarged[0, 0], [10, 10], atol=1e-4)  # from half as far apart
    factors = [20 / np.ptp(apply(transforms.scale(1, 1.5), ramps(21, 21), step=s)[0, :, 10, 0]) for s in range(40)]
    assert min(factors) >= 1 - 1e-4 and max(factors) <= 1.5 + 1e-4
    assert np.ptp(factors) > 0.35


def test_a_rotation_turns_about_the_middle_by_up_to_its_degrees_either_way():
    angles = []
    for step in range(40):
        turned = apply(transforms.rotate(20), ramps(41, 41), step=step)[0]
        np.testing.assert_allclose(turned[20, 20], [20, 20], atol=1e-3)
        along_row = turned[20, 25] - turned[20, 20]  # five columns on
        assert np.hypot(*along_row) == pytest.approx(5, abs=1e-3)  # turned, not stretched
        angles.append(np.degrees(np.arctan2(along_row[0], along_row[1])))
    assert max(map(abs, angles)) <= 20 + 1e-3
    assert min(angles) < -12 and max(angles) > 12


def test_what_a_turned_picture_lacks_is_mirrored(noise):
    pictures = noise(1, 16, 16, 3) * 0.5 + 0.5  # no black in it
    for transform in (transforms.rotate(40), transforms.scale(0.5, 0.5)):
        assert apply(transform, pictures).min() >= 0.5 - 1e-5


def test_compose_applies_in_order_each_with_seeds_of_its_own(noise):
    grey = tf.fill([1, 32, 32, 3], 0.5)
    seeds, shared = randomness.picture_seeds(0, [0]), tf.constant([0, 0])
    once = transforms.compose(grey, [transforms.noise(0.1)], seeds, shared) - grey
    both = transforms.compose(grey, [transforms.noise(0.1), transforms.noise(0.1)], seeds, shared) - grey
    assert not np.allclose(both, 2 * once, atol=1e-3)  # the second is not the first again
    order = []
    steps = [lambda p, _s, _t, n=n: order.append(n) or p for n in range(3)]
    np.testing.assert_array_equal(transforms.compose(grey, steps, seeds, shared), grey)
    assert order == [0, 1, 2]


def test_equal_settings_are_equal_and_hashable():
    assert len({*ALL, transforms.jitter(4), transforms.crop(0.55, 0.95), transforms.rotate(10.0)}) == len(ALL)


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (lambda pictures: pictures, "raised TypeError.*takes 1 positional argument but 3"),
        (lambda pictures, seeds, shared: None, "returned None.*Take pictures, seeds and shared"),
        (lambda pictures, seeds, shared: np.asarray(pictures), "raised NotImplementedError.*TensorFlow operations"),
    ],
    ids=["of pictures alone", "nothing", "numpy"],
)
def test_a_transform_of_ones_own_that_fails_is_named_with_what_it_did(net, mine, said):
    with pytest.raises(BadTarget, match=f"The transform {said}"):
        next(iter(ascend(net("plain"), objectives.channel("conv1", 0), size=16, steps=1, transforms=(mine,))))
