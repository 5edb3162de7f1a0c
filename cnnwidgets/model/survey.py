"""The survey of a model: its layers and outputs, found by one recorded run that is traced but never executed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnwidgets.errors import BadModel, CnnWidgetsError, quoted, without_colors
from cnnwidgets.model import graph, layers
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.batches_taken import may_mix
from cnnwidgets.model.graph import Seen, inputs_seen
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.outputs.output_info import OutputInfo, describe, tensors_of
from cnnwidgets.model.random_networks import Randomness, randomness_of
from cnnwidgets.model.recording import Recording, record
from cnnwidgets.model.tracing.traced_run import TracedRun

if TYPE_CHECKING:
    from cnnwidgets.model.prepared_model import PreparedModel

NAME_IN_A_GRAPH = re.compile(r"[A-Za-z0-9_.\\/>-]+")


class Survey(NamedTuple):
    """What one run of a model shows of it.

    Attributes:
        layers: every layer, outer before inner, in the model's own order.
        outputs: the outputs, flat, in the model's own order.
        nesting: the structure in which the model returns them.
        randomness: what depends on random numbers.
        seen: the inputs that each call of a layer depends on, by path; `None` where only a gradient can tell.
        may_mix: whether the pictures of a batch may act on one another.
        run: the run itself, on what the model takes.
    """

    layers: tuple[LayerInfo, ...]
    outputs: tuple[OutputInfo, ...]
    nesting: Any
    randomness: Randomness
    seen: Mapping[str, tuple[Seen | None, ...]]
    may_mix: bool
    run: TracedRun


def check_names(model: Any, every: Iterable[Any]) -> None:
    """Refuse a model that cannot be run because of the names of its layers.

    Before anything is traced: Keras never leaves the name scope that TensorFlow refuses to enter, and all that the user
    builds afterwards would carry that name.
    """
    called = (layer for layer in every if not isinstance(layer, keras.layers.InputLayer))
    for name in (model.name, *(layer.name for layer in called)):
        if not NAME_IN_A_GRAPH.fullmatch(name):
            raise BadModel(
                f"TensorFlow cannot run a layer or model called {quoted(name)}. Build the model with names of "
                "letters, digits, '_', '-' and '.' only."
            )


def survey_of(model: PreparedModel) -> Survey:
    """The layers and outputs of a model."""
    try:
        return _surveyed(model, None)
    except CnnWidgetsError:
        raise
    except Exception as error:  # whatever a layer raises, such as one that asks for the size as a number
        if _runs_at_one_size(model):
            raise BadModel(
                f"The model {quoted(model.name)} takes pictures of any size, but a layer in it must know the size "
                "beforehand. Rebuild it for one size, such as keras.Input((224, 224, 3))."
            ) from error
        raise BadModel(
            f"The model {quoted(model.name)} cannot be run as a TensorFlow graph ({quoted(_reason(error), 200)}). "
            "Use only TensorFlow or keras.ops operations on tensors in its layers."
        ) from error


def _runs_at_one_size(model: PreparedModel) -> bool:
    """Whether a model that takes any size runs if the size is known."""
    if all(model.inputs[i].is_fixed for i in model.picture_inputs):
        return False
    try:
        _surveyed(model, graph.SMALL)
    except Exception:  # size is not what is wrong
        return False
    return True


def _surveyed(model: PreparedModel, side: int | None) -> Survey:
    """The survey, with pictures of this side if the model takes any size."""
    found: dict[str, Any] = {}

    def run() -> tuple[list[Any], Recording, list[Any]]:
        shapes = [[None, *(n or (side if info.is_picture else n) for n in info.model_shape)] for info in model.inputs]
        feed = [
            tf.raw_ops.Placeholder(dtype=info.dtype, shape=shape)
            for info, shape in zip(model.inputs, shapes, strict=True)
        ]
        with record(model.layers_by_path, model.layers_by_path, activations=True) as recording:
            outputs = model.run_plainly(feed)
            infos = layers.describe(model.layers_by_path, recording)
            described = describe(model.model, outputs, model.layers_by_path, recording)
            nesting = keras.tree.map_structure(lambda one: None if one is None else 0, outputs)
        found.update(layers=infos, outputs=described, nesting=nesting)
        found.update(randomness=randomness_of(recording, outputs, model.layers_by_path))
        found.update(seen=inputs_seen(recording, feed), may_mix=may_mix(feed))
        return feed, recording, tensors_of(outputs)

    traced = TracedRun(run)
    return Survey(**found, run=traced)


def _reason(error: Exception) -> str:
    """The most informative line of an error: the first one that Keras did not put in front."""
    lines = [line.strip() for line in without_colors(str(error)).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("Exception encountered")), type(error).__name__)
