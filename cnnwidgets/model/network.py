"""A Keras model plus what pictures mean to it."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadModel, BadTarget, CnnWidgetsError, nearest, quoted, without_colors
from cnnwidgets.frame import Array
from cnnwidgets.model import graph, keras_internals
from cnnwidgets.model import layers as layers_
from cnnwidgets.model.arguments import is_list, whole_number
from cnnwidgets.model.backend import check_eager, keras, start_device, tf
from cnnwidgets.model.finite_weights import FiniteWeights
from cnnwidgets.model.identity.fingerprint import Identity, identity
from cnnwidgets.model.inputs import input_info as inputs_
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.outputs.output_info import OutputInfo, describe, logits_of
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction, class_numbers
from cnnwidgets.model.outputs.without_units import Kept, Without, forward_without, kept_units
from cnnwidgets.model.preprocessing.modes import Preprocess, preprocess_of
from cnnwidgets.model.preprocessing.preprocess import resolve
from cnnwidgets.model.random_networks import Randomness, randomness_of
from cnnwidgets.model.recording import Call, Instead, Recording, record
from cnnwidgets.model.safe_files.model_file import load_model
from cnnwidgets.model.sizes import first_call, picture_size
from cnnwidgets.model.sizes.picture_size import PICTURE, Size
from cnnwidgets.model.sizes.size_multiples import with_multiples
from cnnwidgets.model.tracing.compiled import compiled, from_shapes
from cnnwidgets.model.tracing.content import Held
from cnnwidgets.model.tracing.dense_gradients import dense_gradients
from cnnwidgets.model.tracing.graph_cache import Traces

NAME_IN_A_GRAPH = re.compile(r"[A-Za-z0-9_.\\/>-]+")


class Network:
    """A Keras model plus what pictures mean to it: preprocessing, class names, inputs.

    Args:
        model: any built Keras 3 model on the tensorflow backend that takes a picture. It is never changed.
        preprocess: a function on a float32 0..255 RGB batch [N, H, W, C], or one of
            "auto" "none" "unit" "tf" "caffe" "torch"; "auto" finds what becomes of pictures before the first weights.
            For several picture inputs also a dict of those by input name.
        class_names: one name for each class, in order.
        name: how it is called in recipes and captions; the model's own name if not given.
        synonyms: for each class every name that it may be called by.
        shape: (height, width), or (height, width, channels), of the pictures of a model without a channel axis, which
            takes them as [H, W] or as one list of numbers; square gray ones, such as (28, 28) and (784,), need none.
        size: the one that it was trained at, for a network of any size: pixels of the longer side, or (height, width)
            into which photographs fit, from 1 to 4096; or "picture", each picture's own, up to 1,024 px. Bundled
            networks and those built on `keras.applications` know theirs.

    Attributes:
        size: at which the network looks at photographs, their aspect kept; `None` where nothing is known, and each
            picture's own size is used, up to 1,024 px.
        size_note: which size that is, and how it is known.

    Raises:
        BadModel: for what is no built Keras model, or takes no picture.
        BadTarget: for an unknown preprocessing, a size that does not exist, or a number of class names or a
            shape that does not fit.

    Example:
        >>> net = Network(keras.applications.VGG16(weights=None))
    """

    def __init__(
        self,
        model: Any,
        preprocess: str | Preprocess = "auto",
        class_names: Sequence[str] | None = None,
        *,
        name: str | None = None,
        synonyms: Sequence[Sequence[str]] | None = None,
        shape: tuple[int, ...] | None = None,
        size: Size | None = None,
    ) -> None:
        start_device()
        self.model = model
        self.inputs, self._nesting = inputs_.of_model(model, shape)
        self.shape = shape
        self.class_names = None if class_names is None else _checked_names(class_names)
        if not isinstance(name, str | None):
            raise BadTarget(f"name must be text, or None for the model's own, got {quoted(name)}.")
        self.name = name or model.name
        self.picture_inputs = tuple(i for i, info in enumerate(self.inputs) if info.is_picture)
        self.layers_by_path = dict(layers_.walk(model))
        self._check_names()
        self.preprocess, self.preprocess_note = resolve(preprocess, model, self.layers_by_path, self.inputs, self._nest)
        self.file_note = ""
        self._finite_weights = FiniteWeights(model)
        self.traces = Traces(context=self)
        self._sees: dict[tuple[str, int], tuple[int, ...]] = {}
        self.size, self.size_note = self._sized(size)
        self.inputs = with_multiples(self.inputs, self.layers_by_path.values(), self._run)
        if (multiple := max(self.inputs[i].multiple for i in self.picture_inputs)) > 1:
            self.size_note += f" Sides are rounded to multiples of {multiple}, which this network needs."
        self._synonyms = synonyms
        classes = self.outputs[0].classes
        if self.class_names is not None and classes and len(self.class_names) != classes:
            raise BadTarget(f"class_names must have {classes} names, one for each class, got {len(self.class_names)}.")

    @classmethod
    def from_file(
        cls,
        path: str | PathLike[str],
        preprocess: str | Preprocess = "auto",
        class_names: Sequence[str] | None = None,
        *,
        shape: tuple[int, ...] | None = None,
        size: Size | None = None,
    ) -> Network:
        """The network in a `.keras` or `.h5` file; nothing in it is executed, and what it declares is checked first.

        The content counts, whatever the file is called. Files of Keras 2 are translated; `file_note` says what was
        changed for that. What only training needs (losses, metrics, optimizers) is left out.

        Args:
            path: the file.
            preprocess: as for a Network.
            class_names: one name for each class, in order.
            shape: of the pictures of a model without a channel axis, as for a Network.
            size: the one that it was trained at, as for a Network.

        Raises:
            BadModel: why the file cannot be read, or must not be.
            BadTarget: for an unknown preprocessing, a size that does not exist, or a number of class names that does
                not fit.

        Example:
            >>> net = Network.from_file("model.keras")
        """
        loaded = load_model(path)
        net = cls(loaded.model, preprocess, class_names, shape=shape, size=size)
        net.file_note = loaded.note
        return net

    def _sized(self, given: object) -> tuple[Size | None, str]:
        """The size for photographs, and how it is known; the size of a first call is kept only where it has to be."""
        remembered = None
        if first_call.keeps_first_shape(self.model):
            remembered = self.inputs[self.picture_inputs[0]].size
            self.inputs = first_call.of_any_size(self.inputs, self._run)
        is_training_size = remembered is not None and None not in remembered and first_call.was_trained(self.model)
        return picture_size.network_size(
            given,
            self.model,
            [self.inputs[i] for i in self.picture_inputs],
            remembered if is_training_size and len(self.outputs[0].shape) < 3 else None,
        )

    def __repr__(self) -> str:
        takes = ", ".join(" x ".join("any" if n is None else str(n) for n in info.shape) for info in self.inputs)
        return f"Network({self.name!r}, takes {takes}, {len(self.layers_by_path)} layers)"

    @functools.cached_property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer as a LayerInfo, outer before inner, in the model's own order."""
        return self._survey[0]

    @functools.cached_property
    def outputs(self) -> tuple[OutputInfo, ...]:
        """The outputs in the model's own order; those of a dict by name, sorted."""
        first, *others = self._survey[1]
        return (first.named_by(len(self.class_names)) if self.class_names else first, *others)

    def random_note(self, layer: str | None = None, output: int | None = None) -> str:
        """Which layers draw random numbers at inference, and whether two calls differ; "" where none does.

        Args:
            layer: a full path: only where what this layer puts out depends on them.
            output: an index: only where this output does; any output if neither is given.
        """
        found = self._survey[3]
        if layer is not None:
            return found.note if layer in found.layers else ""
        return found.note if (found.outputs if output is None else output in found.outputs) else ""

    @property
    def returns_one_tensor(self) -> bool:
        """Whether the model returns a tensor, rather than a list or dict of them."""
        return not keras.tree.is_nested(self._survey[2])

    def as_returned(self, flat: Sequence[Any]) -> Any:
        """Flat outputs in the structure that the model itself returns: a tensor, or a list or dict of them."""
        return keras.tree.pack_sequence_as(self._survey[2], list(flat))

    @functools.cached_property
    def _survey(self) -> tuple[tuple[LayerInfo, ...], tuple[OutputInfo, ...], Any, Randomness]:
        """Layers, outputs, their nesting and what is random, from one recorded run that is traced, not executed."""
        try:
            return self._surveyed(None)
        except CnnWidgetsError:
            raise
        except Exception as error:  # whatever a layer raises, such as one that asks for the size as a number
            if self._runs_at_one_size():
                raise BadModel(
                    f"The model {quoted(self.name)} takes pictures of any size, but a layer in it must know the size "
                    "beforehand. Rebuild it for one size, such as keras.Input((224, 224, 3))."
                ) from error
            raise BadModel(
                f"The model {quoted(self.name)} cannot be run as a TensorFlow graph ({quoted(_reason(error), 200)}). "
                "Use only TensorFlow or keras.ops operations on tensors in its layers."
            ) from error

    def _runs_at_one_size(self) -> bool:
        """Whether a model that takes any size runs where the size is known."""
        if all(self.inputs[i].is_fixed for i in self.picture_inputs):
            return False
        try:
            self._surveyed(graph.SMALL)
        except Exception:  # size is not what is wrong
            return False
        return True

    def _check_names(self) -> None:
        """Refuse a model that cannot be run because of what its parts are called.

        Before anything is traced: Keras never leaves the name scope that TensorFlow refuses to enter, and whatever
        the user builds afterwards would carry that name.
        """
        called = (layer for layer in self.layers_by_path.values() if not isinstance(layer, keras.layers.InputLayer))
        for name in (self.model.name, *(layer.name for layer in called)):
            if not NAME_IN_A_GRAPH.fullmatch(name):
                raise BadModel(
                    f"TensorFlow cannot run a layer or model called {quoted(name)}. Build the model with names of "
                    "letters, digits, '_', '-' and '.' only."
                )

    def _surveyed(self, side: int | None) -> tuple[tuple[LayerInfo, ...], tuple[OutputInfo, ...], Any, Randomness]:
        """As `_survey`, with pictures of this side where the network takes any."""

        def run() -> tuple[tuple[LayerInfo, ...], tuple[OutputInfo, ...], Any, Randomness]:
            shapes = [
                [None, *(n or (side if info.is_picture else n) for n in info.model_shape)] for info in self.inputs
            ]
            feed = [
                tf.raw_ops.Placeholder(dtype=info.dtype, shape=shape)
                for info, shape in zip(self.inputs, shapes, strict=True)
            ]
            with self.record(self.layers_by_path, activations=True) as recording:
                outputs = self._run(feed)
                infos = layers_.describe(self.layers_by_path, recording)
                described = describe(self.model, outputs, self.layers_by_path, recording)
                nesting = keras.tree.map_structure(lambda _: 0, outputs)
            return infos, described, nesting, randomness_of(recording, outputs, self.layers_by_path)

        return from_shapes(run)

    def layer(self, path: object) -> LayerInfo:
        """The layer that a path, or an unambiguous last part of one, means.

        Raises:
            BadTarget: where there is none, with the nearest paths.
        """
        full = layers_.find(path, self.layers_by_path)
        return next(info for info in self.layers if info.path == full)

    def class_index(self, target: object, output: int = 0) -> int:
        """The index of a class given by index, name or any synonym, whatever the case.

        Raises:
            BadTarget: for an unknown class, with the nearest names, or an ambiguous one, with the indices.
        """
        classes = self.outputs[find_output(output, self.outputs)].classes
        if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
            if 0 <= target < (classes or 2**31):
                return int(target)
            kind = "class" if self.outputs[output].is_class_scores else "value"
            raise BadTarget(f"There is no {kind} {quoted(target)}. Choose an index from 0 to {classes - 1}.")
        if self.class_names is None or not self._is_named(output):
            raise BadTarget(f"This network has no class names, so there is no class {quoted(target)}. Give an index.")
        found = self._classes_called(target) if isinstance(target, str) else []
        if len(found) == 1:
            return found[0]
        if found:
            raise BadTarget(f"{quoted(target)} is ambiguous. Give one of the indices {', '.join(map(str, found))}.")
        raise BadTarget(
            f"There is no class {quoted(target)}. Give an index or a name ({nearest(target, self.class_names)})."
        )

    def _classes_called(self, name: str) -> list[int]:
        assert self.class_names is not None
        wanted = name.strip().casefold()
        names = self._synonyms or [[n] for n in self.class_names]
        return [i for i, every in enumerate(names) if any(wanted == n.casefold() for n in every)]

    def class_name(self, index: int, output: int = 0) -> str:
        """The name of a class; "class 7" where there are none, "value 7 of output 'box'" where it is not a class."""
        info = self.outputs[output]
        if not info.is_class_scores:
            return info.unit_name(index)
        return self.class_names[index] if self.class_names and self._is_named(output) else f"class {index}"

    def _is_named(self, output: int) -> bool:
        """Whether the class names are those of this output: another head may have other classes."""
        info = self.outputs[output]
        return info.is_class_scores and info.classes in (0, len(self.class_names or ()))

    def read_by_graphs(self) -> tuple[object, ...]:
        """What graphs read of a network besides its variables."""
        activations = (getattr(layer, "activation", None) for layer in self.layers_by_path.values())
        return self.preprocess, vars(self).get("class_names"), *map(Held, filter(callable, activations))

    def fingerprint(self) -> str:
        """A sha256 of all that changes a pixel, as it is now: weights, architecture and preprocessing; 64 digits.

        Names of layers are no part of it: Keras counts them through a session.
        """
        return self.identity().digest

    def identity(self) -> Identity:
        """The fingerprint, and whether everything that changes a pixel is in it."""
        return identity(self.model, self.preprocess)

    def spoiled_weights(self) -> str:
        """The path of the first weights that hold NaN or infinity; "" where all are finite."""
        return self._finite_weights.spoiled()

    def check_weights(self) -> None:
        """Refuse weights that are not finite: a ReLU or a softmax turns NaN into 0, so the output does not show them.

        Raises:
            BadModel: with the weights.
        """
        if self.spoiled_weights():
            raise BadModel(self.why_not_finite())

    def why_not_finite(self) -> str:
        """What to say of a network whose numbers are not finite: which weight is spoiled, or what else to check."""
        if path := self.spoiled_weights():
            return f"The weights {quoted(path)} of {quoted(self.name)} hold NaN or infinity. Load or train them again."
        return f"The output of {quoted(self.name)} is not finite, although its weights are. Check its preprocessing."

    def _nest(self, flat: Sequence[Any]) -> Any:
        return keras.tree.pack_sequence_as(self._nesting, list(flat))

    def call(self, feed: Sequence[Any]) -> list[Any]:
        """Run the model on inputs as users know them, in inference mode.

        Args:
            feed: a float tensor for each input, in the model's own order: pictures [N, H, W, C] in 0..1, tables as
                they are.

        Returns:
            The outputs, flat, in the model's own order.
        """
        prepared = [self._prepared(i, tensor) for i, tensor in enumerate(feed)]
        floats_stay = keras_internals.floats_stay(self.model) if self._takes_whole_numbers else contextlib.nullcontext()
        with floats_stay:
            return list(keras.tree.flatten(self._run(prepared)))

    def _run(self, flat: Sequence[Any]) -> Any:
        """What the model itself puts out, at rest."""
        with contextlib.ExitStack() as stack:
            for staying in keras_internals.STAYING:
                stack.enter_context(staying(self.model))
            stack.enter_context(dense_gradients(self.model))
            return self.model(self._nest(flat), training=False)

    def record(
        self,
        watch: Iterable[str] = (),
        activations: bool = False,
        instead: Instead | None = None,
        until: Iterable[Call] = (),
    ) -> contextlib.AbstractContextManager[Recording]:
        """Record the outputs of layers while the body calls the network: see `recording.record`."""
        return record(self.layers_by_path, watch, activations, instead, until, self._is_channels_first)

    def _is_channels_first(self, path: str) -> bool:
        return self.layer(path).channel_axis == 1

    def logits(self, feed: Sequence[Any], output: int = 0) -> Any:
        """What stands before the softmax or sigmoid of an output, float32 [N, ..., classes], inside a graph."""
        with self.record(activations=True) as recording:
            return tf.cast(logits_of(self.outputs[output], self.call(feed)[output], recording)[0], tf.float32)

    @property
    def _takes_whole_numbers(self) -> bool:
        return any(self.inputs[i].is_whole_numbers for i in self.picture_inputs)

    def _prepared(self, which: int, tensor: Any) -> Any:
        """What the model itself takes: preprocessed, in its order of axes and its type."""
        info = self.inputs[which]
        if not info.is_picture:
            return tf.cast(tensor, info.dtype)
        x = preprocess_of(self.preprocess, which)(tensor * 255.0)  # [N, H, W, C] 0..1 -> what the network expects
        x = tf.transpose(x, [0, 3, 1, 2]) if info.channels_first else info.without_channels(x)
        return x if info.is_whole_numbers else tf.cast(x, info.dtype)

    def feed(self, pictures: Any, which: int, held: Mapping[int, Any] | None = None) -> list[Any]:
        """Inputs for a batch of pictures at one input; the others hold still.

        Args:
            pictures: a float tensor [N, H, W, C], 0..1.
            which: the index of the input that they are for.
            held: tensors [1, ...] for other inputs; mid-gray pictures and zeros where there is none.
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

    def arrays(self, pictures: object, size: Size | None = None) -> list[Array]:
        """A picture, or one for each input, as the batches of one that `call` takes.

        A network of one fixed size gets a picture stretched to that size; any other gets it at the network's `size`,
        the aspect kept, enlarged where it is smaller.

        Args:
            pictures: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict
                by input name. Inputs that are no pictures are given as arrays; they are zero where they are left out.
            size: another size than the network's: pixels of the longer side, (height, width) into which the picture
                fits, or "picture" for the picture's own, up to 1,024 px.

        Raises:
            BadPicture: for what is no picture.
            BadModel: for too many or too few inputs, or pictures of channels that the network does not take.
            BadTarget: for a size that does not exist, or that the network does not take.
        """
        return self.fitted(self.opened(pictures), size)

    def opened(self, pictures: object) -> dict[int, Array]:
        """What was given, by the index of its input: pictures [H, W, C] in 0..1 at their own size, and tables."""
        return self.opened_with_notes(pictures)[0]

    def opened_with_notes(self, pictures: object) -> tuple[dict[int, Array], dict[int, str]]:
        """As `opened`, and what is to be said of each picture, such as "dark: ...", where there is something to say."""
        read = {i: inputs_.opened(value, self.inputs[i]) for i, value in self._by_input(pictures).items()}
        return {i: array for i, (array, _) in read.items()}, {i: note for i, (_, note) in read.items() if note}

    def fitted(self, opened: Mapping[int, Array], size: Size | None = None) -> list[Array]:
        """What `opened` gave, as the batches of one that `call` takes, pictures at a size or the network's."""
        return self._at(self.checked_size(size), opened)

    def at_own_size(self, opened: Mapping[int, Array]) -> list[Array]:
        """As `fitted`, but each picture at its own size, up to 1,024 px, where the network takes it."""
        return self._at(PICTURE, opened)

    def _at(self, size: Size | None, opened: Mapping[int, Array]) -> list[Array]:
        return [
            self._fitted(opened[i], i, size) if i in opened else inputs_.blank(info)
            for i, info in enumerate(self.inputs)
        ]

    def checked_size(self, size: object) -> Size | None:
        """The size at which pictures are looked at: the one that is asked for, or the network's.

        Raises:
            BadTarget: for a size that does not exist, or that the network does not take.
        """
        return picture_size.checked_size(size, self.size, [self.inputs[i] for i in self.picture_inputs])

    def recorded_size(self, size: object) -> Size | None:
        """As `checked_size`, for a recipe: the size is written out, so that it does not depend on the network's."""
        return picture_size.recorded_size(size, self.size, [self.inputs[i] for i in self.picture_inputs])

    def _by_input(self, pictures: object) -> dict[int, object]:
        names = [info.name for info in self.inputs]
        if isinstance(pictures, Mapping):
            for name in pictures:
                if name not in names:
                    raise BadModel(f"There is no input {quoted(name)}. The inputs of this model: {', '.join(names)}.")
            given = {names.index(name): value for name, value in pictures.items()}
        elif isinstance(pictures, (list, tuple)) and len(self.inputs) > 1:
            if len(pictures) not in (len(names), len(self.picture_inputs)):
                raise BadModel(f"{len(pictures)} inputs were given. This model takes {len(names)}: {', '.join(names)}.")
            places = range(len(names)) if len(pictures) == len(names) else self.picture_inputs
            given = dict(zip(places, pictures, strict=True))
        else:
            given = {self.picture_inputs[0]: pictures}
        missing = [names[i] for i in self.picture_inputs if i not in given]
        if missing:
            raise BadModel(f"No picture was given for {', '.join(missing)}. Give one for each of: {', '.join(names)}.")
        return given

    def array(self, value: object, which: int) -> Array:
        """What one input gets, as a batch of one: a picture in 0..1 at its own size where that is taken, or a table."""
        return self._fitted(inputs_.opened(value, self.inputs[which])[0], which, PICTURE)

    def _fitted(self, array: Array, which: int, size: Size | None) -> Array:
        info = self.inputs[which]
        if not info.is_picture:
            return array[None]
        height, width = array.shape[:2]
        fed = picture_size.fed_size((height, width), info, size)
        if fed != (height, width):
            array = pictures_.resize(array, fed)
        return array[None]  # [H, W, C] -> [1, H, W, C]

    def sees(self, path: str, call: int = 0) -> tuple[int, ...]:
        """Which picture inputs a layer's call depends on, found by gradient; () where none can be traced."""
        if (path, call) not in self._sees:  # kept outside the trace cache: so small a result should not evict a graph
            self._sees[path, call] = graph.pictures_seen(self, path, call)
        return self._sees[path, call]

    def check_room(self, feed: Sequence[Any]) -> None:
        """Refuse pictures that are too small, by shapes alone: see `graph.check_room`."""
        graph.check_room(self, feed)

    def predict(
        self,
        picture: object,
        top: int = 5,
        output: int | str | None = None,
        *,
        size: Size | None = None,
        without: Without | None = None,
    ) -> list[Prediction]:
        """The most probable classes of a picture, best first.

        Args:
            picture: a path, bytes, a PIL image, or an array [H, W] or [H, W, C], uint8 or float 0..1; for a model of
                several inputs a list or dict of them.
            top: how many classes, at most.
            output: of a model with several, its index or name.
            size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
                picture fits, or "picture" for the picture's own, up to 1,024 px.
            without: {path: units}: layers whose units are set to zero, in every call of the layer.

        Raises:
            BadPicture: for what is no picture.
            BadTarget: for an output, size, layer or unit that does not exist, or a `top` below 1.
            BadModel: for a network whose output is not finite.
        """
        top = whole_number("top", top, 1)
        kept = kept_units(self, without)
        return self.predictions(self.arrays(picture, size), top, output, kept)

    def predictions(
        self, arrays: Sequence[Array], top: int, output: int | str | None = None, kept: Kept | None = None
    ) -> list[Prediction]:
        """As `predict`, of what `arrays` gives; `kept` is what `kept_units` gives."""
        check_eager()
        index = find_output(output, self.outputs)
        feed = [tf.constant(array) for array in arrays]
        self.check_room(feed)
        self.check_weights()
        scores = np.asarray(self._outputs(feed, kept or {})[index], np.float64)[0]
        if not np.isfinite(scores).all():
            raise BadModel(self.why_not_finite())
        scores = np.moveaxis(scores, 0, -1) if self.outputs[index].channels_first else scores
        numbers = class_numbers(scores, self.outputs[index])
        best = np.argsort(-numbers, kind="stable") if self.outputs[index].is_class_scores else np.arange(len(numbers))
        return [Prediction(int(i), self.class_name(int(i), index), float(numbers[i])) for i in best[:top]]

    def _outputs(self, feed: list[Any], kept: Kept) -> list[Any]:
        """What the model puts out for inputs, without the units that are not kept."""
        if not kept:
            return self.traces.get(lambda: compiled(self.call))(feed)  # type: ignore[no-any-return]
        paths = tuple(sorted(kept))
        forward = self.traces.get(lambda: compiled(forward_without(self, paths)))
        return forward(feed, [tf.constant(kept[path]) for path in paths])  # type: ignore[no-any-return]


def _checked_names(names: object) -> tuple[str, ...]:
    """The names of classes."""
    if is_list(names):
        every = tuple(names)
        if all(isinstance(name, str) for name in every):
            return every
    raise BadTarget(f"class_names must be a list of names, one for each class, got {quoted(names)}.")


def _reason(error: Exception) -> str:
    """The line of an error that says most: the first that Keras did not put in front."""
    lines = [line.strip() for line in without_colors(str(error)).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("Exception encountered")), type(error).__name__)


def as_network(net: Network | Any) -> Network:
    """A bare Keras model is taken for a Network with `preprocess="auto"`."""
    check_eager()
    return net if isinstance(net, Network) else Network(net)
