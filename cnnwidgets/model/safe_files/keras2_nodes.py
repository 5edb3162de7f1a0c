"""Calls of layers as Keras 2 wrote them, and the functions of TensorFlow among its layers.

A call was a list of `[layer, call of it, output of that, settings]`. Of a nested model the call that made it counted as
number 0, so that its first use was number 1; the references in the file decide that, not its version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.model.safe_files.keras2_notes import Notes

Json = dict[str, Any]
CONSTANT = "_CONSTANT_VALUE"


class Reference(NamedTuple):
    """One output of one call of a layer."""

    layer: str
    call: int
    output: int

    def tensor(self) -> Json:
        """As Keras 3 writes it; it looks the shape up itself."""
        history = {"shape": [None], "dtype": "float32", "keras_history": list(self)}
        return {"class_name": "__keras_tensor__", "config": history}


class Calls:
    """The calls of one model's layers.

    Args:
        layers: their entries.
        inputs, outputs: where the model begins and ends.
        is_model: whether an entry is a nested model.
        notes: for new names of layers, and what was changed.

    Raises:
        BadModel: for a call that takes the output of a layer that the file does not have.
    """

    def __init__(
        self, layers: list[Json], inputs: Any, outputs: Any, is_model: Callable[[Any], bool], notes: Notes
    ) -> None:
        self.notes = notes
        self._entries = {str(layer.get("name") or layer["config"]["name"]): layer for layer in layers}
        self._models = {name for name, layer in self._entries.items() if is_model(layer)}
        self._functional = {name for name in self._models if self._entries[name]["class_name"] != "Sequential"}
        nodes = [layer.get("inbound_nodes") or [] for layer in layers]
        found = list(self._found([nodes, inputs, outputs]))
        self._check_layers(found)
        self._first = self._first_calls(found)

    def _check_layers(self, found: list[Reference]) -> None:
        missing = next((one.layer for one in found if one.layer not in self._entries), None)
        if missing is not None:
            raise BadModel(f"a layer takes the output of {quoted(missing)}, and the file has no such layer")

    def _first_calls(self, found: list[Reference]) -> dict[str, int]:
        """The number of the first call of each nested model: 1 where the file refers to one more than it lists."""
        first = {}
        for name in self._models:
            count = len(self._entries[name].get("inbound_nodes") or [])
            calls = {one.call for one in found if one.layer == name}
            first[name] = int(bool(calls) and min(calls) >= 1 and max(calls) == count)
            if first[name]:
                self.notes.add("calls of nested models counted from 0", name)
        return first

    def _found(self, value: Any) -> Iterator[Reference]:
        if self.refers(value):
            yield Reference(*value[:3])
            value = value[3:]
        if isinstance(value, (list, dict)):
            for one in value.values() if isinstance(value, dict) else value:
                yield from self._found(one)

    def refers(self, value: Any) -> bool:
        """Whether a value stands for the output of a layer."""
        if not isinstance(value, list) or len(value) not in (3, 4) or not isinstance(value[0], str):
            return False
        whole = all(isinstance(number, int) and not isinstance(number, bool) for number in value[1:3])
        return whole and value[0] != CONSTANT

    def reference(self, value: list[Any]) -> Reference:
        """The same output, by the name and number that it has in Keras 3."""
        name, call, output = value[:3]
        return Reference(self.notes.renamed(name), call - self._first.get(name, 0), output)

    def node(self, node: Any) -> Any:
        """One call of a layer; those of Keras 3 stay as they are."""
        if isinstance(node, dict) and "args" in node:
            return node
        settings: Json = {}
        if self.refers(node):
            args = [self._argument(node, settings)]
        elif isinstance(node, list) and len(node) == 1:
            args = [self._argument(node[0], settings)]
        else:
            args = [self._argument(node, settings)]
        return {"args": args, "kwargs": self.settings(settings)}

    def _argument(self, value: Any, settings: Json) -> Any:
        if self.refers(value):
            settings.update(value[3] if len(value) == 4 and isinstance(value[3], dict) else {})
            return self.reference(value).tensor()
        if isinstance(value, dict):
            return {key: self._argument(one, settings) for key, one in value.items()}
        return [self._argument(one, settings) for one in value] if isinstance(value, list) else value

    def settings(self, settings: Json) -> Json:
        """What a call is given by name: tensors as Keras 3 writes them, and nothing that is `None`."""
        return {key: self.value(value) for key, value in settings.items() if value is not None}

    def value(self, value: Any) -> Any:
        """A setting, with the tensors in it."""
        if self.refers(value):
            return self.reference(value).tensor()
        if isinstance(value, dict) and "class_name" not in value:
            return {key: self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list) else value

    def ends(self, value: Any, models_from_one: bool) -> Any:
        """The inputs or outputs of the model, for which Keras 3 counts calls of a Functional from 1, and only those."""
        if isinstance(value, list) and len(value) == 1:  # Keras 3 would make a list of one of it
            value = value[0]
        if self.refers(value):
            found = self.reference(value)
            return [found.layer, found.call + (models_from_one and value[0] in self._functional), found.output]
        if isinstance(value, dict):
            return {key: self.ends(one, models_from_one) for key, one in value.items()}
        return [self.ends(one, models_from_one) for one in value] if isinstance(value, list) else value
