"""A term of an objective: what it reads of a network, and the number of each picture that it makes of that.

A new kind of term is one class: it says in `value` what it makes of an activation, and in `checked` what it refuses.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from cnnwidgets.errors import quoted
from cnnwidgets.model.arguments import check_call, check_unit
from cnnwidgets.model.backend import tf
from cnnwidgets.model.fast_means import channel_means, means_of_map
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import check_gradient, logits_of
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.recording import Recording
from cnnwidgets.visualize.terms.linear_maps import is_linear

BEFORE_SHARE = 0.01  # of the values before an activation function, where it is read: enough for a dead unit's gradient


class Numbers(NamedTuple):
    """What changes in a term without another trace, as tensors.

    Attributes:
        weight: [].
        units: [N].
        own: what this kind of term needs besides: a position, a direction.
    """

    weight: Any
    units: Any
    own: tuple[Any, ...]


@dataclass(frozen=True)
class Activation:
    """What a layer or an output gave, inside a graph.

    Attributes:
        tensor: as the layer gave it, with its channels last.
        recording: what made it.
        is_fast: whether means may be computed without their map.
        beside: the map that a photograph has there, of terms that compare with one.
        after: the map after the activation function where `tensor` is before it and linear in the picture.
    """

    tensor: Any
    recording: Recording
    is_fast: bool
    beside: Any = None
    after: Any = None

    @property
    def map(self) -> Any:
        """All its numbers, float32 [N, h, w, C], or [N, C] where it has no rows and columns."""
        return tf.cast(self.tensor, tf.float32)

    @property
    def means(self) -> Any:
        """The mean of each channel, float32 [N, C].

        That of a map which is linear in the picture sees the average color alone. So the mean after the activation
        function is taken, which sees patterns, and a share of that before it.
        """
        means = channel_means(self.recording, self.tensor) if self.is_fast else means_of_map(self.tensor)
        return means if self.after is None else means_of_map(self.after) + BEFORE_SHARE * means


@dataclass(frozen=True, kw_only=True)
class Term(abc.ABC):
    """One summand: `weight * value`, for one picture or one for each picture of a batch.

    Attributes:
        units: a unit, or class, for each picture.
        weight: the factor.
    """

    units: tuple[int, ...] = (0,)
    weight: float = 1.0

    @abc.abstractmethod
    def value(self, activation: Activation, numbers: Numbers) -> Any:
        """The number of each picture, float32 [N], inside a graph; the weight is not part of it."""

    @abc.abstractmethod
    def checked(self, net: Network) -> Term:
        """The term as this network knows it.

        Raises:
            BadTarget: for what the network does not have.
        """

    @abc.abstractmethod
    def activation(self, net: Network, recording: Recording, outputs: list[Any], is_fast: bool) -> Activation:
        """What it reads of a run of the network."""

    @abc.abstractmethod
    def sees(self, net: Network) -> tuple[int, ...]:
        """The picture inputs that it depends on, by their index."""

    @abc.abstractmethod
    def random_note(self, net: Network) -> str:
        """The note where the network draws random numbers before this term; "" where it does not."""

    @property
    @abc.abstractmethod
    def where(self) -> str:
        """What it reads, in words."""

    @property
    def structure(self) -> Self:
        """What a graph is traced for: what `numbers` holds is a tensor in it."""
        return replace(self, units=(0,), weight=1.0)

    def numbers(self, pictures: int) -> Numbers:
        """What may change without another trace."""
        units = np.broadcast_to(np.array(self.units, np.int32), (pictures,))
        return Numbers(tf.constant(self.weight, tf.float32), tf.constant(units), self.own_numbers())

    def own_numbers(self) -> tuple[Any, ...]:
        """What this kind of term needs besides units and weight."""
        return ()


@dataclass(frozen=True, kw_only=True)
class LayerTerm(Term):
    """A term that reads a layer.

    Attributes:
        layer: its path.
        call: which call of a shared layer.
        before_activation: whether to read what stands before the activation function.
    """

    layer: str
    call: int = 0
    before_activation: bool = True

    def checked(self, net: Network) -> LayerTerm:
        """With the layer's full path."""
        info = net.layer(self.layer)
        check_call(info, self.call)
        self.check_layer(info)
        for one in self.units:
            check_unit(info, one)
        return replace(self, layer=info.path)

    def check_layer(self, info: LayerInfo) -> None:
        """Refuse a layer that this kind of term cannot read."""

    def activation(self, net: Network, recording: Recording, outputs: list[Any], is_fast: bool) -> Activation:
        """What the call of the layer gave, or what stood before its activation function."""
        after = recording.made(self.layer, self.call)
        if not self.before_activation:
            return Activation(after, recording, is_fast)
        before = recording.made(self.layer, self.call, before=True)
        has_function = bool(recording.activation_of(recording.calls[self.layer][self.call]))
        sees_color = has_function and before.shape.rank == 4 and is_linear(before, recording.inputs)
        return Activation(before, recording, is_fast, after=after if sees_color else None)

    def sees(self, net: Network) -> tuple[int, ...]:
        """Found by gradient."""
        return net.sees(self.layer, self.call)

    def random_note(self, net: Network) -> str:
        """Up to the layer."""
        return net.random_note(self.layer)

    @property
    def where(self) -> str:
        """The layer's path."""
        return quoted(self.layer)


@dataclass(frozen=True, kw_only=True)
class OutputTerm(Term):
    """A term that reads an output of the model, before its softmax or sigmoid.

    Attributes:
        output: its index or name.
    """

    output: int | str = 0

    def checked(self, net: Network) -> Term:
        """With the output's index."""
        index = find_output(self.output, net.outputs)
        info = net.outputs[index]
        check_gradient(info)
        for one in self.units:
            net.class_index(one, index)
        return self.of_decision(index) if info.is_decision else replace(self, output=index)

    @abc.abstractmethod
    def of_decision(self, index: int) -> Term:
        """The same for an output that has one number for two classes."""

    def activation(self, net: Network, recording: Recording, outputs: list[Any], is_fast: bool) -> Activation:
        """What the output's softmax or sigmoid gets."""
        index = find_output(self.output, net.outputs)
        return Activation(logits_of(net.outputs[index], outputs[index], recording)[0], recording, is_fast)

    def sees(self, net: Network) -> tuple[int, ...]:
        """All of them."""
        return net.picture_inputs

    def random_note(self, net: Network) -> str:
        """Up to the output, whose index is known."""
        return net.random_note(output=int(self.output))

    @property
    def where(self) -> str:
        """Which one is clear from the model."""
        return "the output"
