"""Cached forward and backward passes for one picture, used by all heatmap methods.

A Probe keeps the picture and the activations of layers for it, so that another class is computed from a layer on,
without running earlier layers again. The cache does not follow the weights: make a new Probe when they change.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadModel, BadTarget, JobFailed, quoted
from cnnwidgets.explain import targets
from cnnwidgets.explain.targets import CHOSEN, Reading, Target
from cnnwidgets.explain.traced import traced_passes
from cnnwidgets.explain.traced.guided_relu import Guidance
from cnnwidgets.explain.traced.target_reading import FUNCTION, RETURN_ONE
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.locations import NOWHERE, Location, locate, output_placement, seen_by_output
from cnnwidgets.model.geometry.placement import Edges, scaled
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.model.tracing import user_function
from cnnwidgets.model.tracing.compiled import GraphFailed, compiled

# Half precision has few small numbers: the target is multiplied so that its gradient neither vanishes nor overflows.
HALF_SCALES = (1024.0, 1.0, 1 / 1024)
GRAY = np.float32(0.5)  # the value of a covered pixel
SCALE = tf.TensorSpec([], tf.float32)
CHANNELS = tf.TensorSpec([None], tf.int32)


class RunnerUp(NamedTuple):
    """The class with the highest score besides the target's own, and its gradient in the shape of the target's."""

    unit: int
    gradient: Array


class BackwardPass(NamedTuple):
    """The target's values and gradients.

    Attributes:
        reading: of each picture.
        gradients: float32, one for each source; `None` if no gradient reaches it.
        guidance: counts of guided ReLUs.
        runner_up: `None` unless it was asked for.
    """

    reading: Reading
    gradients: list[Array | None]
    guidance: Guidance
    runner_up: RunnerUp | None = None


class Probe:
    """Cached passes of a network for one picture.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list, or a dict by input name.
        size: at which the network looks, as in `Network.predict`.

    Raises:
        BadPicture: for anything but a picture, or one too small for this network.
        BadModel: for inputs that the model does not have, or weights that hold NaN or infinity.
    """

    def __init__(self, net: Network | Any, picture: object, size: Size | None = None) -> None:
        self.net = as_network(net)
        opened, self.notes = self.net.opened_with_notes(picture)
        self.sizes: dict[int, tuple[int, int]] = {i: opened[i].shape[:2] for i in self.net.picture_inputs}
        fitted = self.net.fitted(opened, size)
        self.pictures: dict[int, Array] = {i: fitted[i] for i in self.net.picture_inputs}  # [1, H, W, C], 0..1
        self.feed = [tf.constant(array) for array in fitted]
        self.net.check_room(self.feed)
        self.net.check_weights()
        self._seen: dict[str, list[Any]] = {}
        self._locations: dict[tuple[str, int, int], Location] = {}

    def named(self, target: object, output: int | str | None, of: object = "logit", against: object = None) -> Target:
        """As `targets.named`, for the size of this picture.

        Raises:
            BadTarget: also for a region that does not fit the picture.
        """
        found = targets.named(self.net, target, output, of, against)
        if found.region is None:
            return found
        which = self.net.picture_inputs[0]
        size, fed = self.sizes[which], self.pictures[which].shape[1:3]
        return found.placed(output_placement(self.net, found.output, which, fed, size))

    def location(self, path: str, call: int) -> Location:
        """The locations of the cells of a layer's call in the first picture that it sees."""
        key = path, call, self.net.version
        if key not in self._locations:
            which = self.sees(path, call)[0]
            height, width = self.pictures[which].shape[1:3]
            self._locations[key] = locate(self.net, path, call, which, (height, width))
        return self._locations[key]

    def seen_by(self, target: Target, which: int) -> Edges:
        """(top, left, bottom, right) of the part of a picture, as given, that can affect the target."""
        size, fed = self.sizes[which], self.pictures[which].shape[1:3]
        outputs = range(len(self.net.outputs)) if target.takes_all else [target.output]
        every = [seen_by_output(self.net, output, which, fed) for output in outputs]
        tops, lefts, bottoms, rights = zip(*every, strict=True)
        return scaled((min(tops), min(lefts), max(bottoms), max(rights)), fed, size)

    def activations(self, path: str) -> list[Any]:
        """The output of each call of a layer: float32 tensors [1, h, w, C]; tokens as rows and columns.

        Raises:
            BadTarget: for a layer without rows and columns.
            BadModel: for a network whose numbers are not finite.
        """
        if path not in self._seen:
            self._keep(path, self._traced(functools.partial(traced_passes.activations, self.net, path))(self.feed))
        return self._seen[path]

    def _keep(self, path: str, found: Sequence[Any]) -> None:
        """Keep the output of each call of a layer, as `activations` returns it."""
        seen = [self._on_a_grid(path, call, one) for call, one in enumerate(found)]
        if not all(np.isfinite(one).all() for one in seen):
            raise BadModel(self.net.why_not_finite())
        self._seen[path] = seen

    def _on_a_grid(self, path: str, call: int, found: Any) -> Any:  # [1, h, w, C] or [1, tokens, C] -> [1, h, w, C]
        location = self.location(path, call)
        if location.kind == NOWHERE and not (found.shape.rank == 4 and location.guessed):
            raise BadTarget(traced_passes.why_no_map(self.net, path, tuple(found.shape)[1:]))
        if found.shape.rank == 4:
            return found
        return tf.reshape(tf.gather(found, location.tokens, axis=1), [1, *location.cells, found.shape[-1]])

    def values(self, target: Target, copies: Mapping[int, Array] | None = None) -> Reading:
        """The target of the pictures, or of copies [N, H, W, C] for each picture input."""
        traced = self._traced(functools.partial(traced_passes.values, self.net, target.structure), CHOSEN)
        feed = self._repeated(copies)
        return self._checked(self._run(traced, target, feed, target.chosen), feed, len(feed[0]), target)

    def backward(self, target: Target, copies: Mapping[int, Array] | None = None, guided: bool = False) -> BackwardPass:
        """The target's gradient by each picture input, [N, H, W, C]."""
        traced = self._traced(
            functools.partial(traced_passes.backward, self.net, target.structure, guided), CHOSEN, SCALE
        )
        return self._scaled(traced, target, self._repeated(copies), target.chosen)

    def backward_to(self, path: str, call: int, target: Target, is_compared: bool = False) -> BackwardPass:
        """The target's gradient by the output of one call of a layer, [1, h, w, C].

        Args:
            path: the layer's full path.
            call: which of its calls.
            target: what is read.
            is_compared: whether the runner-up's gradient is computed too; only where `targets.has_runner_up`.
        """
        if path not in self._seen:
            return self._forward_and_backward(path, call, target, is_compared)
        activation = self.activations(path)[call]
        tokens = self.location(path, call).tokens
        build = functools.partial(
            traced_passes.backward_to, self.net, path, call, target.structure, tokens, is_compared
        )
        traced = self._traced(build, _like(activation), CHOSEN, SCALE)
        return self._scaled(traced, target, self.feed, activation, target.chosen)

    def _forward_and_backward(self, path: str, call: int, target: Target, is_compared: bool) -> BackwardPass:
        """`activations`, which are kept, and `backward_to` in one device call: what a new picture needs."""
        build = functools.partial(
            traced_passes.forward_and_backward, self.net, path, call, target.structure, is_compared
        )
        graph, comes_through = self._traced(build, CHOSEN, SCALE)

        def run(*arguments: Any) -> Any:
            found, passed = graph(*arguments)
            self._keep(path, found)
            return passed

        passed = self._scaled((run, comes_through), target, self.feed, target.chosen)
        gradients = [one if one is None else self._grid_of(path, call, one) for one in passed.gradients]
        if passed.runner_up is None:
            return passed._replace(gradients=gradients)
        second = self._grid_of(path, call, passed.runner_up.gradient)
        return passed._replace(gradients=gradients, runner_up=passed.runner_up._replace(gradient=second))

    def _grid_of(self, path: str, call: int, gradient: Array) -> Array:  # as `_on_a_grid`
        return np.asarray(self._on_a_grid(path, call, tf.constant(gradient))) if gradient.ndim == 3 else gradient

    def has_rows(self, path: str) -> bool:
        """Whether a layer's output has rows and columns on the picture; tokens may have them."""
        axes = len(self.net.layer(path).output_shape)
        if axes not in (2, 3):
            return False
        location = self.location(path, 0)
        return location.kind != NOWHERE or (axes == 3 and bool(location.guessed))

    def unit_activations(self, path: str) -> list[Any]:
        """As `activations`, but of any layer: [1, positions, 1, units] where it has no rows and columns."""
        if self.has_rows(path):
            return self.activations(path)
        if path not in self._seen:
            found = self._traced(functools.partial(traced_passes.unit_activations, self.net, path))(self.feed)
            if not all(np.isfinite(one).all() for one in found):
                raise BadModel(self.net.why_not_finite())
            self._seen[path] = list(found)
        return self._seen[path]

    def backward_to_units(self, path: str, call: int, target: Target, is_compared: bool = False) -> BackwardPass:
        """As `backward_to`, with respect to one call of any layer, in the shape of `unit_activations`."""
        if self.has_rows(path):
            return self.backward_to(path, call, target, is_compared)
        activation = self.unit_activations(path)[call]
        build = functools.partial(
            traced_passes.backward_to, self.net, path, call, target.structure, is_compared=is_compared
        )
        in_a_row = tf.TensorSpec([1, None, 1, activation.shape[-1]], tf.float32)
        traced = self._traced(build, in_a_row, CHOSEN, SCALE)
        return self._scaled(traced, target, self.feed, activation, target.chosen)

    def class_scores(self, target: Target, copies: Mapping[int, Array] | None = None) -> Array:
        """The logits of all classes of the target's output, [N, ..., K]."""
        ask = self._traced(functools.partial(traced_passes.class_scores, self.net, target.output))
        scores = np.asarray(ask(self._repeated(copies)))
        if not np.isfinite(scores).all():
            raise BadModel(self.net.why_not_finite())
        return scores

    def without(self, path: str, call: int, target: Target, channels: Sequence[int]) -> Array:
        """The target with one channel of a layer's call at zero, for each of the channels: [N]."""
        activation = self.activations(path)[call]
        tokens = self.location(path, call).tokens
        build = functools.partial(traced_passes.without, self.net, path, call, target.structure, tokens)
        traced = self._traced(build, _like(activation), CHANNELS, CHOSEN)
        off = tf.constant(np.asarray(channels, np.int32))
        read = self._run(traced, target, self.feed, activation, off, target.chosen)
        reading = self._checked(read, self.feed, len(channels), target)
        return np.asarray(reading.value)

    def values_at(self, path: str, call: int, target: Target, activations: Array) -> Array:
        """The target with each of these outputs of a layer's call, [N, h, w, C] as in `unit_activations`: [N]."""
        tokens = self.location(path, call).tokens if self.has_rows(path) else ()
        build = functools.partial(traced_passes.values_at, self.net, path, call, target.structure, tokens)
        traced = self._traced(build, tf.TensorSpec([None, None, None, activations.shape[-1]], tf.float32), CHOSEN)
        given = tf.constant(activations, tf.float32)
        reading = self._checked(
            self._run(traced, target, self.feed, given, target.chosen), self.feed, len(given), target
        )
        return np.asarray(reading.value)

    def sees(self, path: str, call: int) -> tuple[int, ...]:
        """The picture inputs that a layer's call sees; all of them if that cannot be traced."""
        every = self.net.picture_inputs
        return every if len(every) == 1 else self.net.sees(path, call) or every

    def behind(self, masks: Mapping[int, Array]) -> dict[int, Array]:
        """Copies [N, H, W, C] of the pictures behind masks [N, h, w] of any size: gray where a mask is 0.

        Pictures without a mask stay as they are.
        """
        count = len(next(iter(masks.values())))
        copies = {}
        for i, picture in self.pictures.items():
            if i in masks:
                mask = tf.image.resize(masks[i][..., None], picture.shape[1:3]).numpy()  # [N, H, W, 1]
                copies[i] = GRAY + (picture - GRAY) * mask
            else:
                copies[i] = np.repeat(picture, count, 0)
        return copies

    def _traced(self, build: Callable[[], Any], *more: Any) -> Any:
        """A pass as a graph for inputs of any size and number, kept by the network."""
        feed = [tf.TensorSpec([None, *info.fed_shape]) for info in self.net.inputs]
        return self.net.traces.get(functools.partial(_trace, build, (feed, *more)))

    def _repeated(self, copies: Mapping[int, Array] | None) -> list[Any]:
        """Inputs for copies of the pictures; tables are the same for each."""
        if copies is None:
            return self.feed
        count = len(next(iter(copies.values())))
        return [
            tf.constant(copies[i], tf.float32) if i in copies else tf.repeat(tensor, count, 0)
            for i, tensor in enumerate(self.feed)
        ]

    def _run(self, traced: Any, target: Target, *arguments: Any) -> Any:
        """Run a traced pass; an error of the user's function is reported as such."""
        try:
            return traced(*arguments)
        except GraphFailed as error:
            if target.function is None:
                raise
            compiled(self.net.call)(self.feed)  # the network itself may be what fails
            raise user_function.failed(FUNCTION, error.__cause__ or error) from error

    def _scaled(
        self, traced_and_flags: tuple[Any, list[bool]], target: Target, feed: list[Any], *more: Any
    ) -> BackwardPass:
        traced, comes_through = traced_and_flags
        for scale in HALF_SCALES if self._is_half else (1.0,):
            reading, gradients, guidance, *second = self._run(traced, target, feed, *more, tf.constant(scale))
            reading = self._checked(reading, feed, len(feed[0]), target)
            if all(np.isfinite(g).all() for g in (*gradients, *second)):
                relus, gates, is_bypassed = np.asarray(guidance).tolist()
                counts = Guidance(relus, gates, bool(is_bypassed))
                found = [np.asarray(g) if is_one else None for g, is_one in zip(gradients, comes_through, strict=True)]
                runner_up = RunnerUp(int(second[0].numpy()[0]), second[1].numpy()) if second else None
                return BackwardPass(reading, found, counts, runner_up)
        of = "your target function" if target.function is not None else quoted(self.net.name)
        raise JobFailed(
            f"The gradient of {of} is not finite for this picture, although its output is. "
            + traced_passes.OTHER_METHODS
        )

    @property
    def _is_half(self) -> bool:
        return any(layer.compute_dtype == "float16" for layer in self.net.layers_by_path.values())

    def _checked(self, reading: Reading, feed: list[Any], count: int, target: Target) -> Reading:
        read = Reading(*map(np.asarray, reading))
        if len(read.value) != count:
            raise BadTarget(
                f"The target function returned {len(read.value)} numbers for {count} pictures. {RETURN_ONE}"
            )
        if np.isfinite(read.value).all():
            targets.settled(target, read)  # refuses a top class among those it is compared with
            return read
        if target.function is not None and all(np.isfinite(output).all() for output in compiled(self.net.call)(feed)):
            bad = float(read.value[~np.isfinite(read.value)][0])
            raise BadTarget(
                f"The target function returned {bad}, although every output of {quoted(self.net.name)} is finite. "
                "Look for a logarithm, root or division in it."
            )
        raise BadModel(self.net.why_not_finite())


def _trace(build: Callable[[], Any], arguments: Sequence[Any]) -> Any:
    """The graph of a pass, with the flags that tracing it sets, if there are any."""
    made = build()
    run, flags = made if isinstance(made, tuple) else (made, None)
    graph = compiled(run).get_concrete_function(*arguments)
    return graph if flags is None else (graph, flags)


def _like(activation: Any) -> Any:
    return tf.TensorSpec([1, None, None, activation.shape[-1]], tf.float32)
