"""A term that is the user's own function of a layer's activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing import user_function
from cnnwidgets.model.tracing.compiled import GraphFailed
from cnnwidgets.visualize.terms.of_layers import Layer
from cnnwidgets.visualize.terms.term import Activation, LayerTerm, Numbers, Term

_RETURN = "Return one number for each picture, such as lambda activation: tf.reduce_mean(activation[..., 7], [1, 2])."


@dataclass(frozen=True, kw_only=True)
class Custom(LayerTerm):
    """What a function makes of the activation.

    Attributes:
        function: float32 [N, h, w, k], or [N, k], -> [N].
    """

    function: Callable[[Any], Any]

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        """Call the function, and refuse what cannot be maximized."""
        seen = activation.map
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(seen)
            value = user_function.called(self.name, self.function, seen, _RETURN)
        count = numbers.units.shape[0] if seen.shape[0] is None else seen.shape[0]
        if not value.shape.is_compatible_with([count]):
            raise BadTarget(
                f"{self.name} returned the shape {tuple(value.shape)} for an activation {tuple(seen.shape)}. {_RETURN}"
            )
        if not _has_gradient(tape, value, seen):
            raise BadTarget(
                f"{self.name} has no gradient: its value does not depend on the activation, or goes through argmax, "
                "rounding, an integer, NumPy or stop_gradient. Use TensorFlow operations that have one."
            )
        return tf.ensure_shape(value, [count])

    def mean_square(self) -> Layer:
        """The layer without the function: finite wherever the network is."""
        return Layer(layer=self.layer, call=self.call, before_activation=self.before_activation)

    @property
    def name(self) -> str:
        """What messages call it."""
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"The objective function {quoted(name.rpartition('<locals>.')[2])} of {self.where}"


def _has_gradient(tape: Any, value: Any, seen: Any) -> bool:
    """Whether a gradient leads from the value to the activation; what is traced for it is dropped from the graph."""
    try:
        return tape.gradient(value, seen) is not None
    except LookupError:  # an operation that TensorFlow knows no gradient of
        return False


def functions_in(terms: Sequence[Term]) -> str:
    """The functions by name, for messages; "" where there are none."""
    return " and ".join(dict.fromkeys(term.name for term in terms if isinstance(term, Custom)))


def refuse_failed(terms: Sequence[Term], error: GraphFailed) -> None:
    """Report an error of a running graph as that of the user's function, where there is one.

    Raises:
        BadTarget: where a function may have caused it.
    """
    if functions_in(terms):
        raise user_function.failed(functions_in(terms), error.__cause__ or error) from error
