"""Findings of a check, one line each."""

from collections.abc import Generator
from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One line about the data.

    Args:
        level: 'error' where a training would stop or learn something else than meant, 'warning'
            where hosts leave something out or a person should look, 'note' for what is right.
        where: Path, or entry of the config.
        wrong: What is found there.
        right: What should be there or how to fix it.
    """

    level: Literal['error', 'warning', 'note']
    where: str
    wrong: str
    right: str = ''

    def __str__(self) -> str:
        line = f'{self.level}: {self.where}: {self.wrong}'
        return ' '.join(f'{line}; {self.right}'.split()) if self.right else line


# Yields what it finds on the way to a list of names, of classes or files.
Check = Generator[Finding, None, list[str]]
