"""Terms that read the model's output: a class, and what the other classes have."""

from __future__ import annotations

from typing import Any

from cnnwidgets.model.backend import tf
from cnnwidgets.visualize.terms.term import Activation, Numbers, OutputTerm, Term


class ClassLogit(OutputTerm):
    """The logit of a class."""

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        return tf.gather(activation.means, numbers.units, batch_dims=1)

    def of_decision(self, index: int) -> Term:
        """The logit of the one number, or its opposite."""
        return Decision(output=index, units=self.units, weight=self.weight)


class RivalLogits(OutputTerm):
    """The logsumexp of all other logits than that of a class."""

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        logits = activation.means
        own = tf.one_hot(numbers.units, logits.shape[-1], on_value=-1e9, off_value=0.0)
        return tf.reduce_logsumexp(logits + own, -1)

    def of_decision(self, index: int) -> Term:
        """The logit of the one other class."""
        return Decision(output=index, units=self.units, weight=-self.weight)


class Decision(OutputTerm):
    """One of the two classes of a single logit: the logit is evidence for class 1, its opposite for class 0."""

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        return activation.means[:, 0] * (2.0 * tf.cast(numbers.units, tf.float32) - 1.0)

    def of_decision(self, index: int) -> Term:
        """It is one."""
        return self
