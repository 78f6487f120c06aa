"""Findings of data checks, one line each."""

from collections.abc import Generator
from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """A finding about the data.

    Args:
        level: 'error' if training would stop or learn the wrong thing, 'warning' if hosts ignore
            something or a person should look, 'note' for information.
        where: Path, or entry of the config.
        wrong: What is found there.
        right: The expected value, or how to fix it.
    """

    level: Literal['error', 'warning', 'note']
    where: str
    wrong: str
    right: str = ''

    def __str__(self) -> str:
        line = f'{self.level}: {self.where}: {self.wrong}'
        return ' '.join(f'{line}; {self.right}'.split()) if self.right else line


# Yields findings on the way to a list of names, of classes or files.
Check = Generator[Finding, None, list[str]]
