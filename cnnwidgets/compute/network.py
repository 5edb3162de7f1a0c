"""A Keras model plus what pictures mean to it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.compute import inputs as inputs_
from cnnwidgets.compute import layers as layers_
from cnnwidgets.compute.backend import compiled, keras, start_device, tf
from cnnwidgets.compute.layers import LayerInfo
from cnnwidgets.compute.preprocess import Preprocess, resolve
from cnnwidgets.compute.traces import Traces
from cnnwidgets.errors import BadModel, BadTarget, nearest, quoted

LONGEST_SIDE = 1024  # a larger picture is shrunk before a network that takes any size


class Prediction(NamedTuple):
    """One line of `net.predict`: class index, name, and probability 0..1."""

    index: int  # type: ignore[assignment]  # a tuple's own method of that name is not missed
    name: str
    probability: float


class Network:
    """A Keras model plus what pictures mean to it: preprocessing, class names, inputs.

    Args:
        model: any built Keras 3 model on the tensorflow backend that takes a picture. It is never changed.
        preprocess: a function on a float32 0..255 RGB batch [N, H, W, C], or one of
            "auto" "none" "unit" "tf" "caffe" "torch"; "auto" says what it chose in `preprocess_note`.
        class_names: one name for each class, in order.
        name: how it is called in recipes and captions; the model's own name if not given.
        synonyms: for each class every name that it may be called by.

    Raises:
        BadModel: for what is no built Keras model, or takes no picture.
        BadTarget: for an unknown preprocessing, or a number of class names that does not fit.

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
    ) -> None:
        """See the class."""
        start_device()
        self.model = model
        self.inputs, self._nesting = inputs_.of_model(model)
        self.name = name or model.name
        self.picture_input = next(i for i, info in enumerate(self.inputs) if info.is_picture)
        self.preprocess, self.preprocess_note = resolve(preprocess, model, self.inputs[self.picture_input].channels)
        self.layers_by_path = dict(layers_.walk(model))
        self.traces = Traces()
        self.class_names = tuple(class_names) if class_names is not None else None
        self._synonyms = synonyms
        if self.class_names is not None and self.classes and len(self.class_names) != self.classes:
            raise BadTarget(
                f"There are {len(self.class_names)} class names for {self.classes} classes. Give one for each class."
            )

    def __repr__(self) -> str:
        """One line: what it takes and how many layers it has."""
        takes = ", ".join(" x ".join("any" if n is None else str(n) for n in info.shape) for info in self.inputs)
        return f"Network({self.name!r}, takes {takes}, {len(self.layers_by_path)} layers)"

    @functools.cached_property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer as a LayerInfo, outer before inner, in the model's own order."""
        return self._survey[0]

    @functools.cached_property
    def output_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shape of each output, without the batch, in the model's own order."""
        return self._survey[1]

    @functools.cached_property
    def _survey(self) -> tuple[tuple[LayerInfo, ...], tuple[tuple[int | None, ...], ...]]:
        shapes: list[tuple[int | None, ...]] = []

        def run() -> None:
            feed = [tf.raw_ops.Placeholder(dtype=info.dtype, shape=[None, *info.shape]) for info in self.inputs]
            outputs = self.model(self._nest(feed), training=False)
            shapes.extend(tuple(tensor.shape)[1:] for tensor in keras.tree.flatten(outputs))

        return layers_.describe(self.layers_by_path, run), tuple(shapes)

    def layer(self, path: object) -> LayerInfo:
        """The layer that a path, or an unambiguous last part of one, means.

        Raises:
            BadTarget: where there is none, with the nearest paths.
        """
        full = layers_.find(path, self.layers_by_path)
        return next(info for info in self.layers if info.path == full)

    @functools.cached_property
    def classes(self) -> int:
        """How many classes the first output tells apart; 0 where that is not fixed."""
        return (self.output_shapes[0][-1:] or (0,))[0] or 0

    def class_index(self, target: object) -> int:
        """The index of a class given by index, name or any synonym, whatever the case.

        Raises:
            BadTarget: for an unknown class, with the nearest names, or an ambiguous one, with the indices.
        """
        if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
            if 0 <= target < (self.classes or 2**31):
                return int(target)
            raise BadTarget(f"There is no class {quoted(target)}. Choose one of 0 to {self.classes - 1}.")
        if self.class_names is None:
            raise BadTarget(f"This network has no class names, so there is no class {quoted(target)}. Give an index.")
        found = self._classes_called(str(target)) if isinstance(target, str) else []
        if len(found) == 1:
            return found[0]
        if found:
            raise BadTarget(f"{quoted(target)} is ambiguous. Give one of the indices {', '.join(map(str, found))}.")
        raise BadTarget(f"There is no class {quoted(target)}. Give an index or a name "
                        f"({nearest(target, self.class_names)}).")  # fmt: skip

    def _classes_called(self, name: str) -> list[int]:
        assert self.class_names is not None
        wanted = name.strip().casefold()
        names = self._synonyms or [[n] for n in self.class_names]
        return [i for i, every in enumerate(names) if any(wanted == n.casefold() for n in every)]

    def class_name(self, index: int) -> str:
        """The name of a class; "class 7" where the network has no names."""
        return self.class_names[index] if self.class_names else f"class {index}"

    def fingerprint(self) -> str:
        """A sha256 of the weights as they are now, in hexadecimal digits."""
        digest = hashlib.sha256()
        for weight in self.model.weights:
            value = np.ascontiguousarray(weight.numpy())
            digest.update(f"{weight.path}{value.shape}{value.dtype}".encode())
            digest.update(value.tobytes())
        return digest.hexdigest()

    def _nest(self, flat: Sequence[Any]) -> Any:
        return keras.tree.pack_sequence_as(self._nesting, list(flat))

    def call(self, pictures: Any) -> Any:
        """Run the model on a batch of pictures as users know them.

        Args:
            pictures: a float tensor [N, H, W, C], 0..1; its size is one that the network takes.
        """
        info = self.inputs[self.picture_input]
        x = self.preprocess(pictures * 255.0)  # [N, H, W, C] 0..1 -> what the network expects
        if info.channels_first:
            x = tf.transpose(x, [0, 3, 1, 2])
        feed = [self._idle(other, tf.shape(pictures)) for other in self.inputs]
        feed[self.picture_input] = tf.cast(x, info.dtype)
        return self.model(self._nest(feed), training=False)

    def _idle(self, info: inputs_.InputInfo, shape: Any) -> Any:
        """What an input gets that is not climbed: mid-grey for a picture, zeros for a table."""
        sizes = [n or 1 for n in info.shape]
        if not info.is_picture:
            return tf.zeros([shape[0], *sizes], info.dtype)
        height, width = info.full_size(shape[1], shape[2])
        grey = self.preprocess(tf.fill([shape[0], height, width, info.channels], 127.5))
        return tf.cast(tf.transpose(grey, [0, 3, 1, 2]) if info.channels_first else grey, info.dtype)

    def batch(self, picture: object) -> np.ndarray[Any, Any]:
        """A picture, in any form that `load_picture` takes, as the batch of one that `call` takes.

        A network of one fixed size gets it stretched to that size; any other gets it as it is, but at most 1,024 long.
        """
        info = self.inputs[self.picture_input]
        if isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[-1] == info.channels not in (1, 3):
            array = picture.astype(np.float32) / (255.0 if picture.dtype == np.uint8 else 1.0)
        else:
            array = _with_channels(pictures_.load_picture(picture), info.channels)
        height, width = array.shape[:2]
        shrink = min(1.0, LONGEST_SIDE / max(height, width))
        size = info.full_size(max(1, round(height * shrink)), max(1, round(width * shrink)))
        if size != (height, width):
            array = pictures_.resize(array, size)
        return array[None]  # [H, W, C] -> [1, H, W, C]

    def predict(self, picture: object, top: int = 5) -> list[Prediction]:
        """The most probable classes of a picture, best first.

        Args:
            picture: a path, bytes, a PIL image, or an array [H, W] or [H, W, C], uint8 or float 0..1.
            top: how many classes.

        Raises:
            BadPicture: for what is no picture.
        """
        forward = self.traces.get("predict", lambda: compiled(self.call))
        outputs = keras.tree.flatten(forward(tf.constant(self.batch(picture))))
        scores = np.asarray(outputs[0], np.float64).reshape(-1)
        probabilities = _probabilities(scores)
        best = np.argsort(-probabilities, kind="stable")[:top]
        return [Prediction(int(i), self.class_name(int(i)), float(probabilities[i])) for i in best]


def _probabilities(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Softmax of logits; what is a distribution already stays as it is."""
    if scores.size == 1 or (scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2):
        return scores
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def _with_channels(picture: np.ndarray[Any, Any], channels: int) -> np.ndarray[Any, Any]:  # [H, W, 3] -> [H, W, C]
    if channels == 3:
        return picture
    if channels == 1:
        return np.asarray(picture @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    raise BadModel(
        f"The network takes pictures of {channels} channels, and this one has 3. "
        f"Give an array of the shape (height, width, {channels})."
    )


def as_network(net: Network | Any) -> Network:
    """A bare Keras model is taken for a Network with `preprocess="auto"`."""
    return net if isinstance(net, Network) else Network(net)
