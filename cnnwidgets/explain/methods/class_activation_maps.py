"""Channel weights of class activation maps: one small function for each method.

All have one form: `activation` A [h, w, C] is a layer's output, `gradient` G [h, w, C] the target's gradient by it, and
the map a sum over channels, [h, w], signed: positive where the layer is evidence for the target. All are computed in
float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from cnnwidgets.frame import Array

Rule = Callable[[Array, Array], Array]
MASKS = 48  # of Score-CAM, if the user does not say: the channels that vary most


def grad_cam(activation: Array, gradient: Array) -> Array:
    """Weights are the mean gradients of channels (Selvaraju et al., arXiv:1610.02391)."""
    return np.asarray(activation @ gradient.mean((0, 1)))


def grad_cam_plus_plus(activation: Array, gradient: Array) -> Array:
    """Positive gradients, weighted so that each copy of an object counts (Chattopadhyay et al., arXiv:1710.11063).

    The paper's weight G^2 / (2 G^2 + sum(A) G^3) is taken as 1 / (2 + sum(A) G), so that tiny gradients do not
    underflow. The paper means layers behind a ReLU. Where activations add up to less than zero the weight may have a
    negative denominator; such terms are left out, since they would turn the sign of the evidence.
    """
    below = 2 + activation.sum((0, 1)) * gradient
    is_counted = (gradient > 0) & (below > 0)
    alpha = np.divide(1, below, out=np.zeros_like(gradient), where=is_counted)  # [h, w, C]
    return np.asarray(activation @ (alpha * np.maximum(gradient, 0)).sum((0, 1)))


def hirescam(activation: Array, gradient: Array) -> Array:
    """Each position times its gradient: the sum that a linear head computes (Draelos and Carin, arXiv:2011.08891)."""
    return np.asarray((activation * gradient).sum(-1))


def xgrad_cam(activation: Array, gradient: Array) -> Array:
    """Weights are mean gradients, weighted by the activation (Fu et al., arXiv:2008.02312)."""
    total = activation.sum((0, 1))  # [C]
    is_counted = np.abs(total) > 1e-6 * np.abs(activation).sum((0, 1))
    weights = np.divide((activation * gradient).sum((0, 1)), total, out=np.zeros_like(total), where=is_counted)
    return np.asarray(activation @ weights)


def layer_cam(activation: Array, gradient: Array) -> Array:
    """The positive evidence of each position, so that early layers work too (Jiang et al., LayerCAM, TIP 2021).

    The paper has relu(G) * A, for layers behind a ReLU. There this is the same; on a layer with values below zero, such
    as a sum of branches, a negative value with a negative gradient is evidence for the target too.
    """
    return np.asarray(np.maximum(activation * gradient, 0).sum(-1))


RULES: dict[str, Rule] = {
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "hirescam": hirescam,
    "xgrad_cam": xgrad_cam,
    "layer_cam": layer_cam,
}


def eigen_cam(activation: Array) -> Array:
    """The layer's first principal component, the same for every class (Muhammad and Yeasin, arXiv:2008.00299).

    Its sign is free; it is chosen so that most of the map is positive.
    """
    flat = activation.reshape(-1, activation.shape[-1])  # [h * w, C]
    if len(flat) <= flat.shape[1]:  # the smaller of the two squares has the same component
        values, vectors = np.linalg.eigh(flat @ flat.T)
        component = vectors[:, -1] * np.sqrt(max(values[-1], 0))
    else:
        component = flat @ np.linalg.eigh(flat.T @ flat)[1][:, -1]
    sign = -1.0 if component.sum() < 0 else 1.0
    return np.asarray(sign * component.reshape(activation.shape[:2]))


def score_cam(activation: Array, chosen: Array, batch: int, value_behind: Callable[[Array], Array]) -> Iterator[Array]:
    """Weights are the target's values for the picture masked by each channel (Wang et al., arXiv:1910.01279).

    The paper tries all channels. With fewer, the softmax has fewer parts, and what the other channels hold is missing.

    Args:
        activation: [h, w, C].
        chosen: the channels that are tried, such as `most_varied` gives.
        batch: how many are tried at once.
        value_behind: gives the target of the picture behind masks [N, h, w], each 0..1.

    Yields:
        The map [h, w] by the channels tried so far, after each batch.
    """
    values = np.zeros(0, np.float32)
    for start in range(0, len(chosen), batch):
        masks = np.moveaxis(activation[..., chosen[start : start + batch]], -1, 0)  # [N, h, w]
        low, high = masks.min((1, 2), keepdims=True), masks.max((1, 2), keepdims=True)
        values = np.append(values, value_behind((masks - low) / (high - low)))
        powers = np.exp(values - values.max())
        yield activation[..., chosen[: len(values)]] @ (powers / powers.sum())
    if not len(chosen):
        yield np.zeros(activation.shape[:2], np.float32)


def most_varied(activation: Array, count: int) -> tuple[Array, str]:
    """The indices of the channels that vary most over the map, best first, and a note where that leaves some out.

    Constant channels are no masks.
    """
    spread = activation.std((0, 1))
    varied = int((spread > 1e-6 * np.abs(activation).max()).sum())
    order = np.argsort(-spread, kind="stable")
    if varied <= count:
        return order[:varied], ""
    share = spread[order[:count]].sum() / spread.sum()
    return order[:count], (
        f"approximate: the {count} most varied of {varied} channels were tried, which hold {share:.0%} of the layer's "
        f"variation; channels={varied} tries all"
    )


def ablation_cam(
    activation: Array, batch: int, value: float, value_without: Callable[[Array], Array]
) -> Iterator[Array]:
    """Weights are the falls of the target when a channel is switched off (Desai and Ramaswamy, WACV 2020).

    The paper divides each fall by the value itself. That is left out: it changes no map, but for a negative value it
    would turn the sign.

    Args:
        activation: [h, w, C].
        batch: how many channels are tried at once.
        value: the target with all of them.
        value_without: gives the target without each of the channels [N].

    Yields:
        The map [h, w] by the channels tried so far, after each batch.
    """
    live = live_channels(activation)
    falls = np.zeros(0, np.float32)
    for start in range(0, len(live), batch):
        falls = np.append(falls, value - value_without(live[start : start + batch]))
        yield activation[..., live[: len(falls)]] @ falls
    if not len(live):
        yield np.zeros(activation.shape[:2], np.float32)


def live_channels(activation: Array) -> Array:
    """The indices of the channels that are not zero everywhere."""
    return np.flatnonzero(activation.any((0, 1)))
