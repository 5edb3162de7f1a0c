"""Notes on the changes that make a model file open."""

from __future__ import annotations

from typing import Any

MOST_NAMED = 3


class Notes:
    """Changes by kind, in the order in which they came up, and the new names of layers.

    Args:
        version: of the Keras that wrote the file.
        config: the configuration in it, whose names of layers are taken.
    """

    def __init__(self, version: str, config: dict[str, Any]) -> None:
        self.version = version
        self._taken = _names(config)
        self._changes: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}

    def old_name(self, name: str) -> str:
        """The name that a layer had in the file."""
        return next((old for old, new in self._names.items() if new == name), name)

    def add(self, change: str, what: str = "") -> None:
        """Note a change, and what it was made to."""
        every = self._changes.setdefault(change, [])
        if what and what not in every:
            every.append(what)

    def renamed(self, name: object) -> str:
        """The name as Keras 3 allows it: without a slash."""
        text = str(name)
        if "/" not in text:
            return text
        if text not in self._names:
            new = text.replace("/", "_")
            while new in self._taken:
                new += "_"
            self._taken.add(new)
            self._names[text] = new
            self.add("layers renamed, since Keras 3 allows no '/' in a name", f"{text} is {new}")
        return self._names[text]

    def __str__(self) -> str:
        """One line for people: who wrote the file, and what was changed to open it."""
        written = f"Written by Keras {self.version}" if self.version else "Written by an old version of Keras"
        changes = [change + self._listed(every) for change, every in self._changes.items()]
        return f"{written} and translated for Keras 3" + (f": {'; '.join(changes)}." if changes else ".")

    @staticmethod
    def _listed(every: list[str]) -> str:
        if not every:
            return ""
        more = f", and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
        return f" ({', '.join(every[:MOST_NAMED])}{more})"


def _names(config: dict[str, Any]) -> set[str]:
    """All that is called by a name in a configuration."""
    found, waiting = set(), [config]
    while waiting:
        item: Any = waiting.pop()
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            found.add(item["name"])
    return found
