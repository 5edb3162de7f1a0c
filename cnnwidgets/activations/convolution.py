"""The arithmetic behind one output value of a convolution or pooling layer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnwidgets.activations.feature_maps import shapes
from cnnwidgets.activations.windows import (
    CONVOLUTIONS,
    POOLINGS,
    TRANSPOSED,
    Weights,
    Window,
    pooled_shares,
    weights_of,
    window_of,
)
from cnnwidgets.errors import BadModel, BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_call, check_unit, whole_number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import Settings
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.unlocked_property import unlocked_property

WORKS = (
    "Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D, and the 2D layers of max, average and global pooling"
)
EXPLAINABLE = (*CONVOLUTIONS, *POOLINGS)
AGREES = 1e-3  # of the size of the products: rounding in half precision is taken out before
HALF_AGREES = 2e-2


@dataclass(frozen=True, eq=False)
class _Value:
    """One output value of a layer, and the part of its input that it was made from.

    Attributes:
        path, call, unit, row, column: which value; row and column are those of the layer's map.
        patch: the inputs that it was made from, 0 where the window reaches beyond the input.
        outside: [kh, kw] bool, where the window lies outside the input: padding, or in a transposed convolution the
            zeros between its inputs.
        rows: the row of the input for each row of the patch; below 0 or beyond the last row where there is none.
        columns: the same for columns.
        input_size: (rows, columns) of the input.
        after: the output of the layer, after its activation function if it has one.
    """

    path: str
    call: int
    unit: int
    row: int
    column: int
    patch: Array = field(repr=False)
    outside: Array = field(repr=False)
    rows: tuple[int, ...] = field(repr=False)
    columns: tuple[int, ...] = field(repr=False)
    input_size: tuple[int, int] = field(repr=False)
    after: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the part of the input that it sees; all 0 where it sees none of it."""
        height, width = self.input_size
        rows = [row for row in self.rows if 0 <= row < height]
        columns = [column for column in self.columns if 0 <= column < width]
        return (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) if rows and columns else (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Convolution(_Value):
    """One output value of a convolution, as `convolution_at` explains it; `before == products.sum() + bias`.

    Attributes:
        patch: [kh, kw, C] float32: the inputs under the kernel, 0 where there is padding. C counts the channels that
            this unit sees: all of them, those of its group, or one in a depthwise convolution.
        kernel: [kh, kw, C] float32: the unit's weights. For a separable convolution both steps in one; for a transposed
            one turned by 180 degrees, as they meet the input.
        products: [kh, kw, C] float32, patch * kernel.
        bias: 0 where the layer has none.
        before: the output of the convolution, before the activation function.
        activation: the name of the activation function that the layer itself applies; "" where it has none.
        channels: the index of each of the C channels among those of the input.
        is_transposed: whether the layer is a transposed convolution, which has zeros between its inputs.
    """

    kernel: Array = field(repr=False)
    products: Array = field(repr=False)
    channels: tuple[int, ...] = field(repr=False)
    bias: float
    before: float
    activation: str
    is_transposed: bool = False


@dataclass(frozen=True, eq=False)
class Pooling(_Value):
    """One output value of a pooling layer, as `convolution_at` explains it; `after == (patch * shares).sum()`.

    Attributes:
        patch: [kh, kw] float32: the values that are pooled, of one channel; 0 where there is padding.
        shares: [kh, kw] float32: how much each value counts: 1 for the largest of a max pooling and 0 for the others,
            1 / n for each of n values in an average.
        winner: (row, column) of the largest value in the patch; `None` for an average.
    """

    shares: Array = field(repr=False)
    winner: tuple[int, int] | None


def convolution_at(
    net: Network | Any,
    picture: object,
    layer: str,
    unit: int,
    row: int,
    column: int,
    *,
    call: int = 0,
    size: Size | None = None,
) -> Convolution | Pooling:
    """The numbers behind one output value of a layer: the patch it saw, its kernel, their products, bias and sum.

    Works for Conv2D with strides, dilation, groups and both paddings, for DepthwiseConv2D and SeparableConv2D, for
    Conv2DTranspose, and for pooling, where it shows which value won. Batch normalization is a separate layer and is not
    folded in.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for a model of several inputs a list or dict of them.
        layer: a path; an unambiguous last part is enough.
        unit: the output channel.
        row: on the layer's map, from 0 at the top.
        column: on the layer's map, from 0 at the left.
        call: which call of a shared layer.
        size: at which the network looks, as in `feature_maps`.

    Raises:
        BadPicture: for something that is not a picture, or a picture that is too small for the network.
        BadTarget: for a layer, unit, row, column or call that does not exist, or a layer of another type.
        BadModel: for values that are not finite.

    Example:
        >>> c = convolution_at(net, "cat.jpg", "conv1", unit=3, row=10, column=12)
        >>> bool(c.products.sum() + c.bias == c.before)
        True
    """
    plan = ConvolutionSettings.given(locals()).check(net, picture)
    return plan.values().at(plan.settings.unit, plan.settings.row, plan.settings.column)


@dataclass(frozen=True, eq=False)
class ConvolutionSettings(Settings):
    """The settings of `convolution_at`."""

    layer: str
    unit: int
    row: int
    column: int
    call: int = 0
    size: Size | None = None

    def check(self, net: Network | Any, picture: object) -> ConvolutionPlan:
        """Check a request, as far as that is possible before the layer's map is known.

        Raises:
            BadTarget, BadPicture: what `convolution_at` raises.
        """
        net = as_network(net)
        info = explainable(net, self.layer)
        check_call(info, self.call)
        check_unit(info, self.unit)
        return ConvolutionPlan(self, net, info, net.arrays(picture, self.size))


@dataclass(frozen=True, eq=False)
class ConvolutionPlan:
    """A checked request."""

    settings: ConvolutionSettings
    net: Network
    info: LayerInfo
    arrays: Sequence[Array]

    def values(self) -> LayerValues:
        """Input and output of the layer: from here on every place is a look-up."""
        return layer_values(self.net, self.info.path, self.settings.call, self.arrays)


def explainable(net: Network, layer: object) -> LayerInfo:
    """The layer, if its values can be explained."""
    info = net.layer(layer)
    if isinstance(net.layers_by_path[info.path], EXPLAINABLE):
        return info
    paths = explainable_layers(net)
    kind = type(net.layers_by_path[info.path]).__name__
    article = "an" if kind[0] in "AEIOU" else "a"
    exist = f"choose one of this network's: {', '.join(paths[:10])}" if paths else "this network has none"
    raise BadTarget(f"The layer {quoted(info.path)} is {article} {kind}. The arithmetic is shown for {WORKS}; {exist}.")


def explainable_layers(net: Network) -> tuple[str, ...]:
    """The paths of the layers whose arithmetic is known, in the model's own order."""
    layers = net.layers_by_path
    return tuple(info.path for info in net.layers if info.calls and isinstance(layers[info.path], EXPLAINABLE))


@dataclass(frozen=True, eq=False)
class LayerValues:
    """Input and output of one call of a layer for one picture.

    Attributes:
        path: of the layer.
        call: which of its calls.
        layer: the Keras layer.
        given: its input, [h, w, C] float32.
        before: [h, w, units] before the activation function.
        after: [h, w, units] after it.
        activation: its name, "" where there is none.
        is_half: whether the layer computes in half precision.
    """

    path: str
    call: int
    layer: Any
    given: Array
    before: Array
    after: Array
    activation: str
    is_half: bool

    def at(self, unit: int, row: int, column: int) -> Convolution | Pooling:
        """The arithmetic of one value.

        Raises:
            BadTarget: for a unit, row or column outside of the map.
        """
        rows, columns, units = self.after.shape
        unit = whole_number("unit", unit, 0, units - 1)
        row, column = whole_number("row", row, 0, rows - 1), whole_number("column", column, 0, columns - 1)
        window = window_of(self.layer, self.given.shape[:2], (rows, columns), row, column)
        place = self.path, self.call, unit, row, column
        if isinstance(self.layer, POOLINGS):
            return self._pooled(place, window)
        return self._convolved(place, window, self._weights)

    @unlocked_property
    def _weights(self) -> Weights:
        return weights_of(self.layer)

    def _convolved(self, place: tuple[str, int, int, int, int], window: Window, weights: Weights) -> Convolution:
        unit = place[2]
        kernel, channels = weights.kernel_of(unit)
        patch = window.cut(self.given[..., list(channels)])
        products, bias = patch * kernel, weights.bias_of(unit)
        before = float(products.sum() + bias)
        self._check(place, before, float(np.abs(products).sum() + abs(bias)))
        return Convolution(
            *place, patch, window.outside, window.rows, window.columns, self.given.shape[:2], self._after(place),
            kernel, products, channels, bias, before, self.activation, isinstance(self.layer, TRANSPOSED),
        )  # fmt: skip

    def _pooled(self, place: tuple[str, int, int, int, int], window: Window) -> Pooling:
        patch = window.cut(self.given[..., place[2] : place[2] + 1])[..., 0]
        shares, winner = pooled_shares(self.layer, patch, window.outside)
        after = float((patch * shares).sum())
        self._check(place, after, float(np.abs(patch * shares).sum()))
        return Pooling(
            *place, patch, window.outside, window.rows, window.columns, self.given.shape[:2], after, shares, winner
        )

    def _after(self, place: tuple[str, int, int, int, int]) -> float:
        _, _, unit, row, column = place
        return float(self.after[row, column, unit])

    def _check(self, place: tuple[str, int, int, int, int], found: float, size: float) -> None:
        """Refuse to explain a value by numbers that do not make it: a subclass may compute something else."""
        _, _, unit, row, column = place
        real = float(self.before[row, column, unit])
        if abs(found - real) > (HALF_AGREES if self.is_half else AGREES) * max(size, 1e-6):
            raise BadTarget(
                f"The {type(self.layer).__name__} {quoted(self.path)} does not compute what such a layer computes: "
                f"{real:.6g} instead of {found:.6g}. Choose a layer whose call is not overridden."
            )


def layer_values(net: Network, path: str, call: int, arrays: Sequence[Array]) -> LayerValues:
    """Input and output of one call of a layer, in one run of the network."""
    feed = [tf.constant(array) for array in arrays]
    net.check_room(feed)
    layer = net.layers_by_path[path]
    graph, names = net.traces.get(functools.partial(_values_graph, net, path, call))
    given, before, after = (_in_rows(one.numpy()[0]) for one in graph(feed))
    if not (np.isfinite(given).all() and np.isfinite(after).all()):
        raise BadModel(f"The values at the layer {quoted(path)} hold NaN or infinity. {net.why_not_finite()}")
    return LayerValues(path, call, layer, given, before, after, names[0], layer.compute_dtype.endswith("16"))


def _values_graph(net: Network, path: str, call: int) -> tuple[Any, list[str]]:
    names: list[str] = []

    def run(feed: list[Any]) -> tuple[Any, Any, Any]:
        layer = net.layers_by_path[path]
        with net.record([path], activations=not isinstance(layer, POOLINGS), until=[(path, call)]) as recording:
            net.call(feed)
        names[:] = [recording.activation_of(recording.calls[path][call])]
        given = recording.given(path, call)
        if layer.data_format == "channels_first":
            given = tf.transpose(given, [0, 2, 3, 1])
        return given, recording.activation(path, call, True), recording.activation(path, call)

    graph = compiled(run).get_concrete_function([tf.TensorSpec(shape) for shape in shapes(net)])
    return graph, names


def _in_rows(values: Array) -> Array:
    """[h, w, C] of what a layer took or made; the output of a global pooling is one cell."""
    return values if values.ndim == 3 else values.reshape(1, 1, -1)
