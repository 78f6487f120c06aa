"""Words for messages: a number with its noun, the first of many names, the nearest name."""

from collections.abc import Iterable
from difflib import get_close_matches


def count(number: int, noun: str) -> str:
    """A number and its noun: `1 image`, `1,000 images`, `2 classes`."""
    ending = '' if number == 1 else 'es' if noun.endswith('s') else 's'
    return f'{number:,} {noun}{ending}'


def some(names: Iterable[object], limit: int = 3) -> str:
    """The first names of many, and how many more there are."""
    listed = [str(name) for name in names]
    more = f' and {len(listed) - limit:,} more' if len(listed) > limit else ''
    return ', '.join(listed[:limit]) + more


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


def printable(text: object) -> str:
    """A text of a stranger's file without control characters, which a terminal would obey."""
    return ''.join(c if c.isprintable() else '?' for c in str(text))
