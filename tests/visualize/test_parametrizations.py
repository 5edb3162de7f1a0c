"""Each parametrization can paint any picture, and one Fourier variable is one known wave."""

import numpy as np
import pytest

from cnnwidgets.model.backend import tf
from cnnwidgets.visualize import parametrizations, randomness
from cnnwidgets.visualize.spectrum import planes_of

ALL = [parametrizations.pixels(), parametrizations.fourier(), parametrizations.fourier(decay=1.5)]
SHAPES = [(16, 16, 3), (15, 22, 3), (22, 15, 1), (9, 9, 7)]


def seeds(*units, seed=0):
    return randomness.picture_seeds(seed, units)


def smooth(noise, shape):
    """Pictures well inside black and white, where a sigmoid can reach them."""
    return tf.constant(0.1 + 0.8 * noise(2, *shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("parametrization", ALL, ids=repr)
def test_it_fits_a_picture(noise, parametrization, shape):
    pictures = smooth(noise, shape)
    variables = parametrization.fit(pictures)
    assert variables.shape == parametrization.begin(shape, seeds(0, 1)).shape
    np.testing.assert_allclose(parametrization.render(variables, shape), pictures, atol=2e-4)


@pytest.mark.parametrize("parametrization", ALL, ids=repr)
def test_it_fits_pure_black_and_white_nearly(parametrization):
    pictures = tf.constant(np.indices((8, 8)).sum(0)[None, :, :, None].repeat(3, -1) % 2, tf.float32)
    np.testing.assert_allclose(parametrization.render(parametrization.fit(pictures), (8, 8, 3)), pictures, atol=0.02)


@pytest.mark.parametrize("parametrization", ALL, ids=repr)
def test_every_variable_moves_the_picture(parametrization):
    variables = parametrization.begin((8, 10, 3), seeds(0))
    with tf.GradientTape() as tape:
        tape.watch(variables)
        squares = tf.reduce_sum(tf.square(parametrization.render(variables, (8, 10, 3)) - 0.3))
    gradient = tape.gradient(squares, variables).numpy()
    moved = np.abs(gradient) > 0
    if isinstance(parametrization, parametrizations.Fourier):
        moved[:, 1, :, [0, 4], 0] = moved[:, 1, :, [0, 4], 5] = True  # a real wave has no imaginary part there
    assert moved.all()


@pytest.mark.parametrize("parametrization", ALL, ids=repr)
def test_the_beginning_depends_on_the_seed_and_the_unit_alone(parametrization):
    alone = parametrization.begin((8, 8, 3), seeds(5)).numpy()[0]
    among = parametrization.begin((8, 8, 3), seeds(1, 5, 5)).numpy()
    np.testing.assert_array_equal(among[1], alone)
    np.testing.assert_array_equal(among[2], alone)
    assert not np.array_equal(among[0], alone)
    assert not np.array_equal(parametrization.begin((8, 8, 3), seeds(5, seed=1)).numpy()[0], alone)


def test_pixels_begin_at_grey_levels_from_128_to_148():
    begin = parametrizations.pixels().begin((64, 64, 3), seeds(0)).numpy() * 255
    assert begin.min() >= 128 and begin.max() <= 148
    assert begin.mean() == pytest.approx(138, abs=0.3)
    assert begin.std() == pytest.approx(20 / 12**0.5, rel=0.02)


def test_fourier_begins_near_mid_grey():
    fourier = parametrizations.fourier()
    begin = fourier.begin((64, 64, 3), seeds(0, 1))
    assert float(tf.math.reduce_std(begin)) == pytest.approx(0.01, rel=0.05)
    pictures = fourier.render(begin, (64, 64, 3)).numpy()
    assert np.abs(pictures - 0.5).max() < 0.3
    assert pictures.std() > 1e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fixed_magnitudes_take_the_phases_of_a_picture(noise, shape):
    natural = parametrizations.natural()
    pictures = smooth(noise, shape)
    painted = natural.render(natural.fit(pictures), shape)
    assert painted.shape == pictures.shape == (2, *shape)
    again = natural.render(natural.fit(painted), shape)
    np.testing.assert_allclose(again, painted, atol=0.02)  # what has these magnitudes is painted as it is
    other = natural.render(natural.begin(shape, seeds(0, 1)), shape)
    alike = [abs(np.corrcoef(np.ravel(p), np.ravel(pictures))[0, 1]) for p in (painted, other)]
    assert alike[0] > 0.25 > alike[1]


def test_fixed_magnitudes_stay_whatever_the_phases():
    natural, shape = parametrizations.natural(), (32, 32, 1)
    pictures = natural.render(natural.begin(shape, seeds(0, 1)), shape).numpy()[..., 0]
    sizes = np.abs(np.fft.rfft2(np.log(pictures / (1 - pictures))))[:, 1:16, 1:15]  # where no wave is its own mirror
    np.testing.assert_allclose(sizes[0] / sizes[0].mean(), sizes[1] / sizes[1].mean(), rtol=0.02)
    assert not np.allclose(pictures[0], pictures[1], atol=0.1)


def wave(height, width, row, column, shift=0.0):
    y, x = np.mgrid[:height, :width]
    return np.cos(2 * np.pi * (row * y / height + column * x / width) + shift)


@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("row, column", [(0, 3), (2, 1), (5, 4)])
@pytest.mark.parametrize("part, shift", [(0, 0.0), (1, np.pi / 2)], ids=["real", "imaginary"])
def test_one_fourier_variable_is_one_known_wave(decay, row, column, part, shift):
    height, width = 12, 16
    fourier = parametrizations.fourier(decay)
    variables = np.zeros((1, 2, 1, height, width // 2 + 1), np.float32)
    variables[0, part, 0, row, column] = 1.0
    picture = fourier.render(tf.constant(variables), (height, width, 1)).numpy()[0, :, :, 0]
    frequency = np.hypot(min(row, height - row) / height, column / width)
    amplitude = (height * width) ** 0.5 / frequency**decay * 2 / (height * width) / 4  # irfft2d / 4, both halves
    expected = 1 / (1 + np.exp(-amplitude * wave(height, width, row, column, shift)))
    np.testing.assert_allclose(picture, expected, atol=1e-5)


def test_the_mean_is_one_variable_and_finite():
    variables = np.zeros((1, 2, 1, 8, 5), np.float32)
    variables[0, 0, 0, 0, 0] = 1.0
    picture = parametrizations.fourier().render(tf.constant(variables), (8, 8, 1)).numpy()
    logit = 8 / (1 / 8) / 64 / 4  # sqrt(H W) / (1 / longest side) / (H W) / 4
    np.testing.assert_allclose(picture, 1 / (1 + np.exp(-logit)), atol=1e-5)


def test_colors_are_decorrelated_by_lucids_matrix():
    matrix = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
    matrix /= np.sqrt((matrix**2).sum(0)).max()
    for plane in range(3):
        variables = np.zeros((1, 2, 3, 8, 5), np.float32)
        variables[0, 0, plane, 0, 0] = 0.5
        picture = parametrizations.fourier().render(tf.constant(variables), (8, 8, 3)).numpy()[0, 0, 0]
        logits = np.log(picture / (1 - picture))
        np.testing.assert_allclose(logits, matrix[:, plane] * 0.5 * 0.25, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fourier_never_leaves_black_and_white(shape):
    fourier = parametrizations.fourier()
    picture = fourier.render(1e3 * fourier.begin(shape, seeds(0)), shape).numpy()
    assert picture.shape == (1, *shape) and picture.dtype == np.float32
    assert picture.min() >= 0 and picture.max() <= 1


def test_equal_settings_are_equal_and_hashable():
    assert parametrizations.fourier(1.0) == parametrizations.fourier()
    assert len({*ALL, parametrizations.fourier(), parametrizations.pixels()}) == 3


@pytest.mark.parametrize("height, width", [(6, 8), (7, 9), (5, 6)])
def test_the_gradient_of_frequencies_is_that_of_the_inverse_transform(height, width):
    random = np.random.default_rng(0)
    parts = tf.constant(random.normal(size=(2, 2, 3, height, width // 2 + 1)), tf.float32)
    scale = random.uniform(0.5, 2, (height, width // 2 + 1)).astype(np.float32)
    weights = random.normal(size=(2, 3, height, width)).astype(np.float32)

    def plainly(parts, scale, height, width):
        real, imaginary = tf.unstack(parts * scale, axis=1)
        return tf.signal.irfft2d(tf.complex(real, imaginary), [height, width])

    gradients = []
    for render in (planes_of, plainly):
        with tf.GradientTape() as tape:
            tape.watch(parts)
            total = tf.reduce_sum(weights * render(parts, scale, height, width))
        gradients.append(tape.gradient(total, parts).numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-6)
