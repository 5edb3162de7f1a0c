"""A Keras model plus what pictures mean to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from cnnwidgets.errors import BadModel, BadTarget
from cnnwidgets.frame import Array
from cnnwidgets.model import finite_weights, graph
from cnnwidgets.model.arguments import whole_number
from cnnwidgets.model.backend import check_eager, start_device
from cnnwidgets.model.identity.fingerprint import Identity, identity
from cnnwidgets.model.inputs import given
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.outputs import class_names as names_
from cnnwidgets.model.outputs import predictions as predictions_
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.model.outputs.without_units import Kept, Without, kept_units
from cnnwidgets.model.prepared_model import PreparedModel
from cnnwidgets.model.preprocessing.modes import Preprocess
from cnnwidgets.model.safe_files.model_file import load_model
from cnnwidgets.model.sizes import picture_size, sizes_taken
from cnnwidgets.model.sizes.picture_size import PICTURE, Size
from cnnwidgets.model.tracing.compiled import TURNS


class Network(PreparedModel):
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
        BadModel: for anything but a built Keras model that takes a picture.
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
        super().__init__(model, preprocess, class_names, name, shape)
        self.shape, self.file_note, self._synonyms = shape, "", synonyms
        self._set_sizes(size)
        classes = self.outputs[0].classes
        if self.class_names is not None and classes and len(self.class_names) != classes:
            raise BadTarget(f"class_names must have {classes} names, one for each class, got {len(self.class_names)}.")

    def _set_sizes(self, size: object) -> None:
        first = self._pictures_taken[0].size
        self.inputs = sizes_taken.of_any_size(self.model, self.inputs, self.run)
        is_dense = len(self._survey.outputs[0].shape) >= 3
        trained_at = None if is_dense else sizes_taken.trained_at(self.model, first)
        self.size, self.size_note = picture_size.network_size(size, self.model, self._pictures_taken, trained_at)
        self.inputs = sizes_taken.with_multiples(self.inputs, self.layers_by_path.values(), self.run)
        if (multiple := max(info.multiple for info in self._pictures_taken)) > 1:
            self.size_note += f" Sides are rounded to multiples of {multiple}, which this network needs."

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

        The content decides, not the name of the file. Files of Keras 2 are translated; `file_note` lists the changes.
        Losses, metrics and optimizers, which only training needs, are left out.

        Args:
            path: the file.
            preprocess: as for a Network.
            class_names: one name for each class, in order.
            shape: of the pictures of a model without a channel axis, as for a Network.
            size: the one that it was trained at, as for a Network.

        Raises:
            BadModel: for a file that cannot be read, or that contains code.
            BadTarget: for an unknown preprocessing, a size that does not exist, or a number of class names that does
                not fit.

        Example:
            >>> net = Network.from_file("model.keras")
        """
        loaded = load_model(path)
        net = cls(loaded.model, preprocess, class_names, shape=shape, size=size)
        net.file_note = loaded.note
        return net

    def __repr__(self) -> str:
        takes = ", ".join(" x ".join("any" if n is None else str(n) for n in info.shape) for info in self.inputs)
        return f"Network({self.name!r}, takes {takes}, {len(self.layers_by_path)} layers)"

    def class_index(self, target: object, output: int = 0) -> int:
        """The index of a class given by index, name or any synonym, in upper or lower case.

        Raises:
            BadTarget: for an unknown class, with the nearest names, or an ambiguous one, with the indices.
        """
        info = self.outputs[find_output(output, self.outputs)]
        return names_.index_of(target, info, self.class_names, self._synonyms)

    def class_name(self, index: int, output: int = 0) -> str:
        """The name of a class; "class 7" if it has none, "value 7 of output 'box'" if it is not a class."""
        return names_.name_of(index, self.outputs[output], self.class_names)

    def fingerprint(self) -> str:
        """A sha256 of all that changes a pixel, as it is now: weights, architecture and preprocessing; 64 digits.

        Names of layers are not part of it: Keras numbers them within a session.
        """
        return self.identity().digest

    def identity(self) -> Identity:
        """The fingerprint, and whether everything that changes a pixel is in it."""
        with TURNS.reading():
            return identity(self.model, self.preprocess)

    @property
    def weights_are_moving(self) -> bool:
        """Whether a training that a TrainingRecorder records is changing its weights now."""
        return TURNS.are_moving(self.model.weights)

    def spoiled_weights(self) -> str:
        """The path of the first weights that hold NaN or infinity; "" where all are finite."""
        return finite_weights.spoiled(self.model)

    def check_weights(self) -> None:
        """Refuse weights that are not finite: a ReLU or a softmax turns NaN into 0, so the output does not show them.

        Raises:
            BadModel: with the weights.
        """
        if self.spoiled_weights():
            raise BadModel(self.why_not_finite())

    def why_not_finite(self) -> str:
        """Why a network's numbers are not finite: the weights that are spoiled, or what else to check."""
        others = [info.name for info in self.inputs if not info.is_picture]
        return finite_weights.why_not_finite(self.model, self.name, others)

    def arrays(self, pictures: object, size: Size | None = None) -> list[Array]:
        """A picture, or one for each input, as the batches of one that `call` takes.

        A network of one fixed size gets a picture stretched to that size; any other gets it at the network's `size`,
        the aspect kept, enlarged if it is smaller.

        Args:
            pictures: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict
                by input name. Inputs other than pictures are given as arrays; they are zero if left out.
            size: another size than the network's: pixels of the longer side, (height, width) into which the picture
                fits, or "picture" for the picture's own, up to 1,024 px.

        Raises:
            BadPicture: for anything but a picture.
            BadModel: for too many or too few inputs, or pictures of channels that the network does not take.
            BadTarget: for a size that does not exist, or that the network does not take.
        """
        return self.fitted(self.opened(pictures), size)

    def opened(self, pictures: object) -> dict[int, Array]:
        """The given pictures [H, W, C] in 0..1 at their own size, and tables, by the index of their input."""
        return self.opened_with_notes(pictures)[0]

    def opened_with_notes(self, pictures: object) -> tuple[dict[int, Array], dict[int, str]]:
        """As `opened`, with a note for each picture that needs one, such as "dark: ..."."""
        return given.opened_by_input(pictures, self.inputs)

    def fitted(self, opened: Mapping[int, Array], size: Size | None = None) -> list[Array]:
        """Opened pictures as the batches of one that `call` takes, at a size or the network's own."""
        return given.fitted(opened, self.inputs, self.checked_size(size))

    def at_own_size(self, opened: Mapping[int, Array]) -> list[Array]:
        """As `fitted`, but each picture at its own size, up to 1,024 px, if the network takes it."""
        return given.fitted(opened, self.inputs, PICTURE)

    def array(self, value: object, which: int) -> Array:
        """One input as a batch of one: a picture in 0..1 at its own size if the network takes it, or a table."""
        return given.one(value, self.inputs[which])

    def checked_size(self, size: object) -> Size | None:
        """The size at which pictures are given to the model: the requested one, or the network's own.

        Raises:
            BadTarget: for a size that does not exist, or that the network does not take.
        """
        return picture_size.checked_size(size, self.size, self._pictures_taken)

    def recorded_size(self, size: object) -> Size | None:
        """As `checked_size`, for a recipe: the size is written out, so that it does not depend on the network's."""
        return picture_size.recorded_size(size, self.size, self._pictures_taken)

    @property
    def _pictures_taken(self) -> list[InputInfo]:
        return [self.inputs[i] for i in self.picture_inputs]

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
            BadPicture: for anything but a picture.
            BadTarget: for an output, size, layer or unit that does not exist, or a `top` below 1.
            BadModel: for a network whose output is not finite.
        """
        top = whole_number("top", top, 1)
        kept = kept_units(self, without)
        return self.predictions(self.arrays(picture, size), top, output, kept)

    def predictions(
        self, arrays: Sequence[Array], top: int, output: int | str | None = None, kept: Kept | None = None
    ) -> list[Prediction]:
        """As `predict`, of the batches that `arrays` returns; `kept` is what `kept_units` returns."""
        as_network(self)
        return predictions_.best(self, arrays, find_output(output, self.outputs), top, kept or {})


def as_network(net: Network | Any) -> Network:
    """A Network as its model is now; a bare Keras model is taken for one with `preprocess="auto"`."""
    check_eager()
    if not isinstance(net, Network):
        return Network(net)
    net.follow_model()
    return net
