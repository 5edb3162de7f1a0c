"""A Keras model that is called on pictures in 0..1: its inputs, preprocessing, layers, outputs and class names."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model import graph, keras_internals
from cnnwidgets.model import layers as layers_
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.batches_taken import takes_batches
from cnnwidgets.model.inputs import input_info
from cnnwidgets.model.inputs.texts import texts_of
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.outputs.class_names import checked_names
from cnnwidgets.model.outputs.output_info import OutputInfo, logits_of, tensors_of
from cnnwidgets.model.preprocessing.modes import Preprocess, is_affine, preprocess_of_each
from cnnwidgets.model.preprocessing.preprocess import resolve
from cnnwidgets.model.recording import Call, Instead, Recording, note_inputs, record
from cnnwidgets.model.survey import Survey, check_names, survey_of
from cnnwidgets.model.tracing.content import Held
from cnnwidgets.model.tracing.dense_gradients import dense_gradients, may_gain
from cnnwidgets.model.tracing.graph_cache import Traces
from cnnwidgets.model.tracing.layer_settings import settings_of
from cnnwidgets.model.tracing.traced_run import TracedRun
from cnnwidgets.model.tracing.user_function import preprocessed
from cnnwidgets.model.unlocked_property import unlocked_property


class PreparedModel:
    """A Keras model with its preprocessing; it is called on pictures in 0..1 and never changed.

    Args:
        model: a built Keras model that takes a picture.
        preprocess, class_names, shape: as for a Network.
        name: what it is called in messages; the model's own name if not given.

    Attributes:
        model: the Keras model itself.
        name: as given.
        inputs: an InputInfo for each input, in the model's own order.
        picture_inputs: the indices of those that take pictures.
        layers_by_path: the Keras layers.
        class_names: a tuple, or `None`.
        preprocess: a function, or one for each picture input.
        preprocess_note: which one it is, and how it is known.
        traces: graphs of this model, kept as long as it is.
        version: how often its layers or their settings have changed since.
    """

    def __init__(
        self, model: Any, preprocess: str | Preprocess, class_names: object, name: str | None, shape: object
    ) -> None:
        self.model = model
        self.inputs, self._nesting = input_info.of_model(model, shape)
        self.class_names = None if class_names is None else checked_names(class_names)
        if not isinstance(name, str | None):
            raise BadTarget(f"name must be text, or None for the model's own, got {quoted(name)}.")
        self.name = name or model.name
        self.picture_inputs = tuple(i for i, info in enumerate(self.inputs) if info.is_picture)
        self.layers_by_path = layers_.by_path(model)
        check_names(model, self.layers_by_path.values())
        self.preprocess, self.preprocess_note = resolve(preprocess, model, self.layers_by_path, self.inputs, self._nest)
        self.traces = Traces(context=self)
        self._sees: dict[str, list[tuple[int, ...]]] = {}
        self.version = 0
        self._state = self._layers_and_settings()

    def read_by_graphs(self) -> tuple[object, ...]:
        """What graphs read of a network besides its variables."""
        return self.preprocess, self.class_names, *settings_of([self.model, *self.layers_by_path.values()])

    def follow_model(self) -> None:
        """Find layers and outputs again if the model has other layers than before, or layers of other settings."""
        state = self._layers_and_settings()
        if state == self._state:
            return
        self._state, self.version = state, self.version + 1
        self.layers_by_path = layers_.by_path(self.model)
        self._sees.clear()
        for found in ("_survey", "takes_batches", "layers", "outputs", "_layer_infos", "_channels_first", "_strided"):
            vars(self).pop(found, None)

    def _layers_and_settings(self) -> tuple[object, ...]:
        found = [self.model, *layers_.by_path(self.model).values()]
        return *settings_of(found), *map(Held, found)

    @unlocked_property
    def _survey(self) -> Survey:
        return survey_of(self)

    @property
    def traced_run(self) -> TracedRun:
        """A run on what `call` takes, with every layer recorded, for questions about what is connected with what."""
        pictures = [self.inputs[i] for i in self.picture_inputs]
        if is_affine(self.preprocess) and all(info.is_taken_as_fed for info in pictures):
            return self._survey.run  # what it takes differs by a factor and a sum
        return self.traces.get(functools.partial(_traced, self))  # type: ignore[no-any-return]

    @unlocked_property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer as a LayerInfo, outer before inner, in the model's own order."""
        return self._survey.layers

    @unlocked_property
    def outputs(self) -> tuple[OutputInfo, ...]:
        """The outputs in the model's own order; those of a dict by name, sorted."""
        first, *others = self._survey.outputs
        return (first.named_by(len(self.class_names)) if self.class_names else first, *others)

    def layer(self, path: object) -> LayerInfo:
        """The layer that a path, or an unambiguous last part of one, means.

        Raises:
            BadTarget: where there is none, with the nearest paths.
        """
        known = self._layer_infos
        return known[path if isinstance(path, str) and path in known else layers_.find(path, known)]

    @unlocked_property
    def _layer_infos(self) -> dict[str, LayerInfo]:
        return {info.path: info for info in self.layers}

    @property
    def returns_one_tensor(self) -> bool:
        """Whether the model returns a tensor, rather than a list or dict of them."""
        return not keras.tree.is_nested(self._survey.nesting)

    def as_returned(self, flat: Sequence[Any]) -> Any:
        """Flat outputs in the structure that the model itself returns: a tensor, or a list or dict of them."""
        left = iter(flat)
        return keras.tree.map_structure(lambda one: None if one is None else next(left), self._survey.nesting)

    def random_note(self, layer: str | None = None, output: int | None = None) -> str:
        """Which layers draw random numbers at inference, and whether two calls differ; "" if none does.

        Args:
            layer: a full path: only if the output of this layer depends on them.
            output: an index: only if this output does; any output if neither is given.
        """
        found = self._survey.randomness
        if layer is not None:
            return found.note if layer in found.layers else ""
        return found.note if (found.outputs if output is None else output in found.outputs) else ""

    @unlocked_property
    def takes_batches(self) -> bool:
        """Whether each picture of a batch gets the numbers that it gets alone; else pictures are run one by one."""
        return takes_batches(self, self._survey.may_mix)

    def sees(self, path: str, call: int = 0) -> tuple[int, ...]:
        """Which picture inputs a layer's call depends on, as a gradient shows; () if none can be traced."""
        if path not in self._sees:  # kept outside the trace cache: so small a result should not evict a graph
            self._sees[path] = self._seen_for_sure(path) or graph.pictures_seen(self, path, self.layer(path).calls)
        return self._sees[path][call]

    def _seen_for_sure(self, path: str) -> list[tuple[int, ...]] | None:
        """The same for all calls, by connections alone; `None` where only a gradient can tell."""
        calls = self._survey.seen.get(path, (None,))
        if None in calls or not is_affine(self.preprocess):
            return None
        return [tuple(i for i in seen or () if i in self.picture_inputs) for seen in calls]

    def call(self, feed: Sequence[Any]) -> list[Any]:
        """Run the model on inputs as users know them, in inference mode.

        Args:
            feed: a float tensor for each input, in the model's own order: pictures [N, H, W, C] in 0..1, tables as
                they are.

        Returns:
            The outputs, flat, in the model's own order.
        """
        expected = list(feed)
        for i, preprocess in preprocess_of_each(self.preprocess, self.picture_inputs):
            # [N, H, W, C] 0..1 -> what the network expects
            expected[i] = preprocessed(preprocess, feed[i] * 255.0, self.inputs[i].fed_shape)
        prepared, takes_whole_numbers = self._prepared(expected)
        note_inputs(prepared)
        with keras_internals.floats_stay(self.model) if takes_whole_numbers else contextlib.nullcontext():
            return tensors_of(self.run(prepared))

    def _prepared(self, expected: Sequence[Any]) -> tuple[list[Any], bool]:
        """Each input in the model's order of axes and type, and whether any picture is taken as whole numbers."""
        prepared, takes_whole_numbers = [], False
        for info, x in zip(self.inputs, expected, strict=True):
            if info.is_picture and info.channels_first:
                x = tf.transpose(x, [0, 3, 1, 2])
            elif info.is_picture and info.inner_shape is not None:
                x = info.without_channels(x)
            stays = info.is_picture and info.is_whole_numbers  # a cast would block the gradient
            prepared.append(x if stays else texts_of(x) if info.is_text else tf.cast(x, info.dtype))
            takes_whole_numbers |= stays
        return prepared, takes_whole_numbers

    def run(self, flat: Sequence[Any]) -> Any:
        """The output of the model itself for its own inputs, in inference mode, its state unchanged."""
        with dense_gradients(self._strided) if self._strided else contextlib.nullcontext():
            return self.run_plainly(flat)

    def run_plainly(self, flat: Sequence[Any]) -> Any:
        """The same with the operations of the model alone."""
        nested = self._nest(flat)
        with contextlib.ExitStack() as stack:
            for staying in keras_internals.STAYING:
                stack.enter_context(staying(self.model))
            return self.model(nested, training=False)

    def record(
        self,
        watch: Iterable[str] = (),
        activations: bool = False,
        instead: Instead | None = None,
        until: Iterable[Call] = (),
    ) -> contextlib.AbstractContextManager[Recording]:
        """Record the outputs of layers while the body calls the network: see `recording.record`."""
        return record(self.layers_by_path, watch, activations, instead, until, self._channels_first)

    @unlocked_property
    def _strided(self) -> list[Any]:
        return [layer for layer in self.layers_by_path.values() if may_gain(layer)]

    @unlocked_property
    def _channels_first(self) -> frozenset[str]:
        return frozenset(info.path for info in self.layers if info.channel_axis == 1)

    def logits(self, feed: Sequence[Any], output: int = 0) -> Any:
        """The numbers before the softmax or sigmoid of an output, float32 [N, ..., classes], inside a graph."""
        with self.record(activations=True) as recording:
            return tf.cast(logits_of(self.outputs[output], self.call(feed)[output], recording)[0], tf.float32)

    def feed(self, pictures: Any, which: int, held: Mapping[int, Any] | None = None) -> list[Any]:
        """Inputs for a batch of pictures at one input; the others are the same for each picture.

        Args:
            pictures: a float tensor [N, H, W, C], 0..1.
            which: the index of the input that they are for.
            held: tensors [1, ...] for other inputs; mid-gray pictures and zeros if not given.
        """
        count, height, width = tf.unstack(tf.shape(pictures)[:3])
        feed = []
        for i, info in enumerate(self.inputs):
            if i == which:
                feed.append(pictures)
            elif held and i in held:
                feed.append(tf.repeat(tf.cast(held[i], tf.float32), count, 0))
            elif info.is_picture:
                rows, columns = info.size
                feed.append(tf.fill([count, rows or height, columns or width, info.channels], 0.5))
            else:
                feed.append(tf.zeros([count, *(n or 1 for n in info.shape)]))
        return feed

    def _nest(self, flat: Sequence[Any]) -> Any:
        return keras.tree.pack_sequence_as(self._nesting, list(flat))


def _traced(model: PreparedModel) -> TracedRun:
    def run() -> tuple[list[Any], Recording, list[Any]]:
        feed = [tf.raw_ops.Placeholder(dtype=tf.float32, shape=[None, *info.fed_shape]) for info in model.inputs]
        with model.record(model.layers_by_path, activations=True) as recording:
            outputs = model.call(feed)
        return feed, recording, outputs

    return TracedRun(run)
