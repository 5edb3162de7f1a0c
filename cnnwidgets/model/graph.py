"""What leads where in a network's graph: which pictures a layer sees, where gradients stop, and which sizes fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cnnwidgets.errors import BadPicture, BadTarget, CnnWidgetsError
from cnnwidgets.model.backend import tf
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.tracing.compiled import from_shapes

if TYPE_CHECKING:
    from cnnwidgets.model.prepared_model import PreparedModel

SMALL = 128  # pixels: any network takes pictures of this size


def pictures_seen(net: PreparedModel, path: str, calls: int) -> list[tuple[int, ...]]:
    """Which picture inputs each call of a layer depends on, found by gradient; () where none can be traced."""

    def run() -> list[tuple[int, ...]]:
        feed = sample_feed(net)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(feed)
            with net.record([path], until=[(path, call) for call in range(calls)]) as recording:
                net.call(feed)
            outputs = [recording.activation(path, call) for call in range(calls)]
        found: list[tuple[int, ...]] = []
        for output in outputs:
            try:
                gradients = tape.gradient(output, feed)
            except LookupError:  # an operation for which TensorFlow knows no gradient
                gradients = [None] * len(feed)
            found.append(tuple([i for i in net.picture_inputs if gradients[i] is not None]))
        return found

    return from_shapes(run)


def first_cut(net: PreparedModel) -> str:
    """The path of the first layer, in the order of the calls, that no gradient leaves; "" where there is none."""

    def run() -> str:
        feed = sample_feed(net)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(feed)
            with net.record(net.layers_by_path) as recording:
                net.call(feed)
        cut = (p for p, one in recording.order if all(g is None for g in tape.gradient(one, feed)))
        return next(cut, "")

    return from_shapes(run)


def sample_feed(net: PreparedModel, side: int = SMALL) -> list[Any]:
    """Zeros for each input, of this side where the network takes any, for a run that is traced and not executed."""
    return [_channels_last(info, tf.zeros([1, *(n or side for n in info.shape)])) for info in net.inputs]


def _channels_last(info: InputInfo, x: Any) -> Any:
    return tf.transpose(x, [0, 2, 3, 1]) if info.is_picture and info.channels_first else x


def check_room(net: PreparedModel, feed: Sequence[Any]) -> None:
    """Refuse pictures that are too small, by shapes alone: a pooling of less than it pools ends the process."""
    shapes = [tuple(tensor.shape) for tensor in feed]
    sizes = [shapes[i][1:3] for i in net.picture_inputs if not net.inputs[i].is_fixed]
    height, width = min(sizes, key=min, default=(SMALL, SMALL))

    def trace() -> bool:
        with enough_room(height, width, BadPicture):
            from_shapes(lambda: net.call([tf.zeros(shape) for shape in shapes]))
        return True

    if min(height, width) < SMALL:
        net.traces.get(trace)


@contextlib.contextmanager
def enough_room(height: int, width: int, error: type[BadPicture | BadTarget]) -> Iterator[None]:
    """Say in one sentence that pictures of this size have no rows or columns left somewhere inside the model."""
    try:
        yield
    except CnnWidgetsError:
        raise
    except (ValueError, tf.errors.InvalidArgumentError) as inner:
        if "negative" not in str(inner).casefold():  # Keras and TensorFlow: "Negative dimension size", "... negative"
            raise
        raise error(
            f"Pictures of {height} x {width} pixels are too small for this network: no rows or columns are "
            "left inside it. Give larger ones, or look at them at a larger size=."
        ) from inner
