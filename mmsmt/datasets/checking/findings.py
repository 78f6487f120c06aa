"""What a check says: one line a finding."""

from collections.abc import Generator, Iterable
from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One line about the data.

    Args:
        level: 'error' where a training would stop or learn something else than meant, 'warning'
            where hosts leave something out or a person should look, 'note' for what is right.
        where: Path, or entry of the config.
        wrong: What is found there.
        right: What should be there or how to mend it.
    """

    level: Literal['error', 'warning', 'note']
    where: str
    wrong: str
    right: str = ''

    def __str__(self) -> str:
        line = f'{self.level}: {self.where}: {self.wrong}'
        return ' '.join(f'{line}; {self.right}'.split()) if self.right else line


# Says what it finds on the way to a list of names, of classes or files.
Check = Generator[Finding, None, list[str]]


def count(number: int, noun: str) -> str:
    """A number and its noun: `1 image`, `1,000 images`."""
    return f'{number:,} {noun}' if number == 1 else f'{number:,} {noun}s'


def some(names: Iterable[object], limit: int = 3) -> str:
    """The first names of many, and how many more there are."""
    listed = [str(name) for name in names]
    more = f' and {len(listed) - limit:,} more' if len(listed) > limit else ''
    return ', '.join(listed[:limit]) + more
