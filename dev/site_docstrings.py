"""Griffe extension of the site: one entry for each name of an argument list in a docstring.

The docstrings of the backbones describe arguments that belong together in one entry,
`depths, mixers: Fields of SMTArch`, which may run over several lines.
"""

import re
from typing import Any

from griffe import Extension, Object

ENTRY = re.compile(
    r'^(?P<indent> +)(?P<names>\w+(?:,\s+\w+)+): (?P<text>.*(?:\n(?P=indent) +\S.*)*)', re.MULTILINE
)


def split_entries(text: str) -> str:
    """Give every argument an entry of its own."""
    head, mark, arguments = text.partition('Args:\n')
    return head + mark + ENTRY.sub(_entries, arguments)


def _entries(entry: re.Match) -> str:
    names = re.split(r',\s+', entry['names'])
    return '\n'.join(f'{entry["indent"]}{name}: {entry["text"]}' for name in names)


class SplitEntries(Extension):
    """Applied to every object with a docstring."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Split the entries of one object's docstring."""
        if obj.docstring:
            obj.docstring.value = split_entries(obj.docstring.value)
