"""Durations and counts in words."""


def spoken(seconds: float, tenths: bool = False) -> str:
    """A duration with the unit that suits it: "42 s", "7 min", "2.5 h".

    Args:
        seconds: 0 or more.
        tenths: whether less than ten seconds are given to a tenth: "4.2 s".
    """
    if tenths and seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def plural(noun: str, count: int) -> str:
    """The noun for a count: "unit" for 1, "units" for 0, 2, ...; "class" and "patch" take "es"."""
    if count == 1:
        return noun
    return f"{noun}es" if noun.endswith(("s", "ch")) else f"{noun}s"
