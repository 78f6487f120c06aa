"""Words for messages: counts with their nouns, shortened lists, the nearest name."""

from collections.abc import Iterable
from difflib import get_close_matches


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 image`, `1,000 images`, `3 classes`.

    Examples:
        >>> from mmsmt.text import count
        >>> count(1, 'image'), count(2000, 'box'), count(3, 'class')
        ('1 image', '2,000 boxes', '3 classes')
    """
    ending = '' if number == 1 else 'es' if noun.endswith(('s', 'x', 'sh', 'tch')) else 's'
    return f'{number:,} {noun}{ending}'


def some(names: Iterable[object], limit: int = 3) -> str:
    """Return the first names of many, and how many more there are."""
    listed = [str(name) for name in names]
    more = f' and {len(listed) - limit:,} more' if len(listed) > limit else ''
    return ', '.join(listed[:limit]) + more


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the one of `names` that `name` was probably meant to be.

    Args:
        name: The misspelt name.
        names: The known names.
        cutoff: Minimum similarity, 0 to 1; the default is difflib's.

    Returns:
        The nearest name, or None if none is similar.
    """
    by_lower = {known.lower(): known for known in names}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def shorten(names: Iterable[str], shown: int = 12) -> str:
    """Return names in alphabetical order, a long list truncated."""
    listed = sorted(names)
    more = len(listed) - shown
    return (', '.join(listed[:shown]) or 'none') + (f' and {more} more' if more > 0 else '')


def printable(text: object) -> str:
    """Replace control characters of text from untrusted files, which a terminal would obey."""
    return ''.join(c if c.isprintable() else '?' for c in str(text))
