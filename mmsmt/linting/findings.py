"""What a check found, and the nearest right name for a wrong one."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Finding:
    """One problem of a config.

    Args:
        key: Where: `model.neck.in_channels`, `param_scheduler[0]`, `_base_`.
        wrong: What is wrong there.
        right: What would be right.
        note: Worth knowing, but no fault.
    """

    key: str
    wrong: str
    right: str
    note: bool = False

    def __str__(self) -> str:
        return ' '.join(f'{self.key}: {self.wrong}; {self.right}'.split())


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of `names` that `name` was probably meant to be.

    Args:
        name: The wrong name.
        names: The right ones.
        cutoff: Least similarity, 0 to 1; the default is difflib's.

    Returns:
        The nearest name, None where none is similar.
    """
    by_lower = {known.lower(): known for known in names}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def shorten(names: Iterable[str], shown: int = 12) -> str:
    """Names in alphabetic order, a long list cut."""
    listed = sorted(names)
    more = len(listed) - shown
    return (', '.join(listed[:shown]) or 'none') + (f' and {more} more' if more > 0 else '')
