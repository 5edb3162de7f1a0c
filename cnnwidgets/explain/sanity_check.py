"""A copy with shuffled weights, for the model-parameter randomization test.

A map that looks the same for it shows the picture's edges, not what the network has learned (Adebayo et al., Sanity
Checks for Saliency Maps, arXiv:1810.03292).
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.model.arguments import checked_seed
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network, as_network


def randomized(net: Network | Any, seed: int = 0) -> Network:
    """A copy of a network in which the numbers of each kernel are shuffled; the network itself is not touched.

    Shuffling keeps the size of the numbers, so that activations neither vanish nor explode. Biases and normalizations
    stay.

    Args:
        net: a Network or a bare Keras model.
        seed: the same seed gives the same copy.

    Raises:
        BadModel: if the model cannot be copied by its configuration, like many subclassed ones.

    Example:
        >>> class_activation_map(randomized(net), picture, "fire9_concat", "Egyptian cat")
    """
    net, numbers = as_network(net), np.random.default_rng(checked_seed(seed) & 0x7FFFFFFF)
    copy = _copied(net)
    for mine, original in zip(copy.weights, net.model.weights, strict=True):
        value = original.numpy()
        if value.ndim > 1:
            value = numbers.permutation(value.ravel()).reshape(value.shape)
        mine.assign(value)
    name = f"{net.name} with shuffled weights"
    return Network(copy, net.preprocess, net.class_names, name=name, shape=net.shape, size=net.size)


def _copied(net: Network) -> Any:
    """A model of the same layers, which shares nothing with the original."""
    state = random.getstate()  # initializers draw from it, and it is the user's
    try:
        copy = keras.models.clone_model(net.model)
        shapes = [tuple(weight.shape) for weight in copy.weights]
    except Exception as error:  # a custom layer's get_config and from_config can raise anything
        raise BadModel(_refusal(net, str(error).strip().partition("\n")[0].partition(". ")[0])) from error
    finally:
        random.setstate(state)
    known = {id(weight) for weight in net.model.weights}
    if any(id(weight) in known for weight in copy.weights):
        raise BadModel(_refusal(net, "the copy would share weights with it"))
    if shapes != [tuple(weight.shape) for weight in net.model.weights]:
        raise BadModel(_refusal(net, "the copy has other weights"))
    return copy


def _refusal(net: Network, why: str) -> str:
    return (
        f"The model {quoted(net.name)} cannot be copied ({why}), so there is no sanity check. "
        "Give its layers a get_config, and a subclassed model a functional form."
    )
