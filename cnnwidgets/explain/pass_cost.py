"""How many copies of a picture, or of a layer's output, can share one device call while it stays short."""

from __future__ import annotations

import numpy as np

from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.cost import STEP_FLOPS, forward_flops

MOST_COPIES = 16  # of the pictures, in one device call
MOST_CHANNELS, MOST_NUMBERS = 128, 2**23  # that are switched off in one device call, each in a copy of the layer
USUAL = (224, 224)  # pixels of the picture used to measure a network's cost


def copies_of_pictures(probe: Probe, gradient: bool = False) -> int:
    """How many copies of the pictures share one device call, with or without a backward pass."""
    if not probe.net.takes_batches:
        return 1
    return int(np.clip(STEP_FLOPS // ((2 if gradient else 1) * _flops(probe, "") + 1), 1, MOST_COPIES))


def copies_of_layer(probe: Probe, path: str) -> int:
    """How many copies of a layer's output share one device call."""
    if not probe.net.takes_batches:
        return 1
    fits = MOST_NUMBERS // int(np.prod(probe.activations(path)[0].shape))
    affordable = STEP_FLOPS // (_flops(probe, "") - _flops(probe, path) + 1)
    return int(np.clip(min(affordable, fits), 1, MOST_CHANNELS))


def _flops(probe: Probe, path: str) -> float:
    """Of one copy of the pictures, up to a layer: measured at one size, so that another one traces nothing."""
    net = probe.net
    which = net.picture_inputs[0]
    height, width, channels = probe.feed[which].shape[1:]
    usual = net.inputs[which].full_size(*USUAL)
    share = height * width / (usual[0] * usual[1])
    return float(share * forward_flops(net, path, Canvas((*usual, channels), which)))
