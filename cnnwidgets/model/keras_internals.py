"""Every private name of Keras and TensorFlow, and every patch on a model, behind functions and context managers.

The context managers let a model be called in inference mode with nothing of a traced call left behind, and trace what
Keras alone cannot. Each puts back exactly what was there, also after an error.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from cnnwidgets.model.backend import keras, tf

from tensorflow.python.eager import record as taping  # isort: skip  # once `backend` has imported TensorFlow quietly
from tensorflow.python.framework.ops import get_gradient_function  # isort: skip

TRACING = threading.RLock()  # one at a time: a cell's verb may run during a panel's gradient ascent


Shadow = tuple[Any, str, Any]  # (owner, name of an attribute, what it is for the length of a `with`)
Before = tuple[dict[str, Any], str, bool, Any]  # (attributes, name of one, whether it was there, what it was)

_shadowed: list[Before] = []  # by all shadows that are there now, the first one first; written under the lock


@contextlib.contextmanager
def shadowed(shadows: Iterable[Shadow]) -> Iterator[None]:
    """Shadow attributes on their owners, behind Keras' own bookkeeping, and put back exactly what was there.

    The shadows are made one after the other, under the lock, so that none of them holds another thread's shadow.
    """
    before: list[Before] = []
    with TRACING:
        try:
            for owner, name, value in shadows:
                attributes = owner.__dict__
                before.append((attributes, name, name in attributes, attributes.get(name)))
                _shadowed.append(before[-1])
                attributes[name] = value
            yield
        finally:
            for attributes, name, was_there, value in reversed(before):
                if was_there:
                    attributes[name] = value
                else:
                    del attributes[name]
                _shadowed.pop()


def own_attributes(owners: Iterable[Any]) -> list[dict[str, Any]]:
    """The attributes of each object as they are without the shadows that this or another thread has made."""
    return [_without_shadows(owner) for owner in owners]


def _without_shadows(owner: Any) -> dict[str, Any]:
    own = dict(vars(owner))
    for attributes, name, was_there, value in reversed(list(_shadowed)):
        if attributes is owner.__dict__ and was_there:
            own[name] = value
        elif attributes is owner.__dict__:
            own.pop(name, None)
    return own


def changed(owner: Any, name: str, change: Callable[[Any], Any]) -> Shadow:
    """The shadow that a function makes of an attribute.

    A method is shadowed for this thread alone: another one may use the model meanwhile, or train it.
    """
    usual = getattr(owner, name)
    return owner, name, _in_this_thread(usual, change(usual)) if callable(usual) else change(usual)


def _in_this_thread(usual: Callable[..., Any], shadow: Callable[..., Any]) -> Callable[..., Any]:
    """The shadow in the thread that asks now, and the method as it was in any other."""
    here = threading.get_ident()

    @functools.wraps(usual)
    def either(*args: Any, **kwargs: Any) -> Any:
        return (shadow if threading.get_ident() == here else usual)(*args, **kwargs)

    return either


# -- what Keras knows about a model


def all_layers(model: Any, include_self: bool = True) -> list[Any]:
    """A model or layer and all that is inside it, at any depth."""
    return list(model._flatten_layers(include_self=include_self))


def inner_layers(parent: Any) -> list[Any]:
    """The layers right inside a model or a layer."""
    return list(parent.layers if isinstance(parent, keras.Model) else parent._layers)


def layer_tree(model: Any) -> list[tuple[Any, Any]]:
    """(parent, layer) of every layer inside a model, once each, outer before inner, layers in custom layers too."""
    found: dict[int, tuple[Any, Any]] = {}

    def look_into(parent: Any) -> None:
        for layer in inner_layers(parent):
            if id(layer) not in found and isinstance(layer, keras.Layer):
                found[id(layer)] = parent, layer
                look_into(layer)

    look_into(model)
    return list(found.values())


def built_shapes(model: Any) -> Mapping[str, Any]:
    """The shapes that a model was built with, by the names of the arguments; empty where Keras has noted none."""
    return getattr(model, "_build_shapes_dict", None) or {}


Run = list[tuple[Any, list[Any], list[Any]]]  # (layer or function, tensors that it takes, tensors that it gives)


def nodes_in_order(model: Any) -> tuple[list[Any], list[Any], Run] | None:
    """The symbolic inputs and outputs of a Functional or Sequential model, and what it runs, in its order.

    `None` for another model, and for one whose `call` is the user's own.
    """
    functional = model._functional if isinstance(model, keras.Sequential) else model
    own = type(model).call not in (keras.Sequential.call, keras.src.models.Functional.call)
    if own or not isinstance(functional, keras.src.models.Functional):
        return None
    depths = functional._nodes_by_depth
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth] if not node.is_input]
    run = [(node.operation, list(node.input_tensors), list(node.outputs)) for node in nodes if node.operation]
    return list(functional.inputs), list(functional.outputs), run


def is_turned_to_channels_last(model: Any, which: int) -> bool:
    """Whether the first thing done to an input is to bring its channels from the front to the end."""
    found = nodes_in_order(model)
    if found is None:
        return False
    inputs, _, run = found
    tensor = inputs[which]
    operation = None
    for operation, given, made in run:
        if not any(one is tensor for one in given):
            continue
        if isinstance(operation, keras.Model):
            return is_turned_to_channels_last(operation, next(i for i, one in enumerate(given) if one is tensor))
        if not isinstance(operation, keras.layers.Rescaling):
            break
        tensor = made[0]
    if isinstance(operation, keras.layers.Permute):
        return tuple(operation.dims) == (2, 3, 1)
    if isinstance(operation, keras.src.ops.numpy.Transpose):
        return tuple(operation.axes or ()) == (0, 2, 3, 1)
    return isinstance(operation, keras.src.ops.numpy.Moveaxis) and (operation.source, operation.destination) in _TO_END


_TO_END = [([one], [other]) for one in (1, -3) for other in (3, -1)]


# -- patches, each for the length of a `with`


@contextlib.contextmanager
def name_scopes_restored() -> Iterator[None]:
    """Close the name scopes left open by a layer that failed: Keras would write their names into later weights."""
    depth = len(open_name_scopes())
    try:
        yield
    finally:
        del open_name_scopes()[depth:]


def open_name_scopes() -> list[Any]:
    """The name scopes of Keras that are open in this thread, outermost first."""
    state = keras.src.backend.common.global_state
    scopes: list[Any] = state.get_global_attribute("name_scope_stack", default=[], set_to_default=True)
    return scopes


def convolving(
    layers: Iterable[Any], convolve: Callable[[Any, Any, Any, Any], Any]
) -> contextlib.AbstractContextManager[None]:
    """Let `convolve(layer, usual, inputs, kernel)` compute the convolutions of layers; `usual` is Keras' own."""

    def replaced(layer: Any, usual: Any) -> Any:
        @functools.wraps(usual)
        def wrapped(inputs: Any, kernel: Any) -> Any:
            return convolve(layer, usual, inputs, tf.convert_to_tensor(kernel))

        return wrapped

    return shadowed(changed(layer, "convolution_op", functools.partial(replaced, layer)) for layer in layers)


def floats_stay(model: Any) -> contextlib.AbstractContextManager[None]:
    """Let a model that takes whole numbers take floats as they are, so that a gradient passes its first cast."""

    def keeping(convert: Any) -> Any:
        @functools.wraps(convert)
        def wrapped(flat: list[Any]) -> Any:
            return [given if given.dtype.is_floating else made for given, made in zip(flat, convert(flat), strict=True)]

        return wrapped

    def shadows() -> Iterator[Shadow]:
        for part in all_layers(model):
            if isinstance(part, keras.Sequential):  # it casts what it is called with, before its layers see it
                yield part, "_convert_input_args", False
            for owner in (part, getattr(part, "_functional", None)):
                if hasattr(owner, "_convert_inputs_to_tensors"):
                    yield changed(owner, "_convert_inputs_to_tensors", keeping)

    return shadowed(shadows())


@contextlib.contextmanager
def losses_stay(model: Any) -> Iterator[None]:
    """Keep the losses that layers hold from the user's last call: a traced call would leave tensors of its graph."""
    with TRACING:
        held = [(layer, list(layer._losses)) for layer in all_layers(model)]
        try:
            yield
        finally:
            for layer, losses in held:
                layer._losses[:] = losses


class _Unassigned(keras.StatelessScope):  # type: ignore[misc]
    """Lets a call see what it assigns to Keras' variables, and lets nothing of it reach them.

    What was assigned inside a loop or a branch is not seen outside of it.
    """

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Note an assignment; until the first one there is nothing to look for."""
        super().add_update(update)
        self.get_current_value = self._reachable_value

    def _reachable_value(self, variable: Any) -> Any:
        """What this call has assigned so far, where that can be reached from here; else `None`."""
        value = super().get_current_value(variable)
        if value is None or not tf.is_symbolic_tensor(value):
            return value
        graph = tf.compat.v1.get_default_graph()
        while graph is not None and graph is not value.graph:
            graph = getattr(graph, "outer_graph", None)
        return None if graph is None else value


@contextlib.contextmanager
def variables_stay(model: Any) -> Iterator[None]:
    """Let nothing be assigned to Keras' variables: seed generators, moving means, counters, states.

    Where a layer is not built yet, its variables could not be made in here; graphs put back what they assign.
    """
    if all(layer.built for layer in all_layers(model)):
        with _Unassigned():
            yield
    else:
        yield


@contextlib.contextmanager
def attributes_stay(model: Any) -> Iterator[None]:
    """Put back the attributes that the user's own layers change while they are called: counters, lists, last maps.

    A traced call would leave tensors of its graph there, which nobody can read.
    """
    with TRACING:
        owners = [one for one in all_layers(model) if not type(one).__module__.startswith("keras.")]
        before = [(one, one.built, dict(vars(one)), _contents(vars(one))) for one in owners]
        try:
            yield
        finally:
            for one, was_built, attributes, contents in before:
                if one.built == was_built:  # else it has just got its variables
                    _put_back(vars(one), attributes, contents)


def _contents(attributes: dict[str, Any]) -> list[tuple[Any, Any]]:
    """(container, copy) of each list, dict and set among attributes; TensorFlow puts a proxy around some dicts."""
    held = [getattr(one, "__wrapped__", one) for one in attributes.values() if isinstance(one, (list, dict, set))]
    return [(one, one.copy()) for one in held]


def _put_back(now: dict[str, Any], attributes: dict[str, Any], contents: list[tuple[Any, Any]]) -> None:
    for name, value in attributes.items():
        if now.get(name) is not value:
            now[name] = value
    for name in now.keys() - attributes.keys():
        if any(tf.is_symbolic_tensor(leaf) for leaf in tf.nest.flatten(now[name])):
            del now[name]
    for container, copy in contents:
        if isinstance(container, list):
            list.__setitem__(container, slice(None), copy)
        else:
            type(copy).clear(container)
            type(copy).update(container, copy)


def states_stay(model: Any) -> contextlib.AbstractContextManager[None]:
    """Reset stateful recurrent layers for each picture: a kept state fits one batch size only."""
    recurrent = (layer for layer in all_layers(model) if isinstance(layer, keras.layers.RNN))
    return shadowed((layer, "stateful", False) for layer in recurrent if layer.stateful)


def sizes_stay_open(model: Any) -> contextlib.AbstractContextManager[None]:
    """Let upsampling between pixels be traced for pictures of any size: Keras asks there for the size as a number."""

    def resizing(by_keras: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(by_keras)
        def wrapped(x: Any, high: int, wide: int, data_format: str, interpolation: str = "nearest") -> Any:
            first = data_format == "channels_first"
            if interpolation == "nearest" or None not in (x.shape[2:] if first else x.shape[1:3]):
                return by_keras(x, high, wide, data_format, interpolation=interpolation)
            x = tf.transpose(x, [0, 2, 3, 1]) if first else x
            x = tf.image.resize(x, tf.shape(x)[1:3] * [high, wide], interpolation)
            return tf.transpose(x, [0, 3, 1, 2]) if first else x

        return wrapped

    upsampling = (layer for layer in all_layers(model) if isinstance(layer, keras.layers.UpSampling2D))
    return shadowed(changed(one, "_resize_images", resizing) for one in upsampling if hasattr(one, "_resize_images"))


def nothing_recomputed(model: Any) -> contextlib.AbstractContextManager[None]:
    """Let what was built in a keras.RematScope run once, as any other layer.

    A layer that is recomputed on the way back lies in a graph inside the graph, to which no gradient leads from
    outside; its results are the same.
    """
    parts = (part for layer in all_layers(model) for part in (layer, *_operations(layer)))
    return shadowed((part, "_remat_mode", None) for part in parts if part.__dict__.get("_remat_mode") is not None)


def _operations(layer: Any) -> Sequence[Any]:
    """What a Functional model runs: its layers, and functions such as `keras.ops.relu`."""
    functional = getattr(layer, "_functional", None) or layer
    return getattr(functional, "operations", None) or ()


STAYING = (
    losses_stay,
    attributes_stay,
    variables_stay,
    states_stay,
    sizes_stay_open,
    nothing_recomputed,
)  # outermost first


# -- graphs of TensorFlow


def register_gradients(gradients: Mapping[str, Callable[..., Any]]) -> None:
    """Give gradients the names by which `gradients_by_name` and `set_gradient` find them."""
    for name, gradient in gradients.items():
        with contextlib.suppress(KeyError):  # a module may be loaded a second time
            tf.RegisterGradient(name)(gradient)


def gradients_by_name(graph: Any, names: Mapping[str, str]) -> contextlib.AbstractContextManager[None]:
    """Let operations that are made while it is open have other gradients: {type of operation: registered name}."""
    return graph.gradient_override_map(dict(names))  # type: ignore[no-any-return]


def has_own_gradient(operation: Any) -> bool:
    """Whether `tf.custom_gradient` made this operation."""
    if operation.type != "IdentityN":
        return False
    return bool(operation.node_def.attr["_gradient_op_type"].s.startswith(b"CustomGradient"))


def own_gradients(operation: Any) -> list[Any]:
    """The gradients by the inputs of an operation that `has_own_gradient`, `None` where there is none."""
    return list(get_gradient_function(operation)(operation, *map(tf.ones_like, operation.outputs)))


def set_gradient(operation: Any, name: str) -> None:
    """Let an operation have the gradient that is registered by this name."""
    operation._set_attr("_gradient_op_type", tf.compat.v1.AttrValue(s=name.encode()))


def pass_assertions(graph: Any) -> None:
    """Let each assertion of a graph that is being traced pass, whatever its values."""
    for operation in graph.get_operations():
        if operation.type == "Assert" or (operation.type in ("If", "StatelessIf") and "AssertGuard" in operation.name):
            with graph.as_default(), graph.control_dependencies(None):
                operation._update_input(0, tf.constant(True))


def add_function(graph: Any, function: Any) -> None:
    """Let operations of a graph call a function of another one, and what it calls."""
    graph._add_function_recursive(function)


def dtype_behind(handle: Any) -> Any:
    """The type of the numbers of the variable behind a handle; `None` where TensorFlow does not know it."""
    known = getattr(getattr(handle, "_handle_data", None), "shape_and_type", None)
    return tf.dtypes.as_dtype(known[0].dtype) if known else None


tapes_are_open: Callable[[], bool] = taping.could_possibly_record  # whether the user has a `tf.GradientTape` open
# Keeps open tapes from recording a verb: they would ask for gradients of gradients, which may not exist.
stopped_tapes: Callable[[], contextlib.AbstractContextManager[None]] = taping.stop_recording
# Of a graph: the look-up of the function that its operations call by a name; it returns `None` where there is none.
functions_of: Callable[[Any], Callable[[str], Any]] = operator.attrgetter("_get_function")
