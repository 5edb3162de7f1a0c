"""Nouns that agree with a count."""


def plural(noun: str, count: int) -> str:
    """The noun for a count: "unit" for 1, "units" for 0, 2, ...; "class" and "patch" take "es"."""
    if count == 1:
        return noun
    return f"{noun}es" if noun.endswith(("s", "ch")) else f"{noun}s"
