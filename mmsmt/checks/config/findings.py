"""Findings of config checks, and iteration over the entries of a config."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A problem in a config.

    Args:
        key: Position: `model.neck.in_channels`, `param_scheduler[0]`, `_base_`.
        wrong: What is wrong there.
        right: The right value, or what to do.
        note: Whether it is only a note, not an error.
        needs_package: Whether a package is missing; the config itself may be right.
    """

    key: str
    wrong: str
    right: str
    note: bool = False
    needs_package: bool = False

    def __str__(self) -> str:
        return ' '.join(f'{self.key}: {self.wrong}; {self.right}'.split())


def entries(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield everything inside a part of a config, with keys like `model.neck[0].type`."""
    if isinstance(value, dict):
        inside = [(f'{key}.{name}', inner) for name, inner in value.items()]
    else:
        several = value if isinstance(value, list | tuple) else ()
        inside = [(f'{key}[{i}]', inner) for i, inner in enumerate(several)]
    for name, inner in inside:
        yield name, inner
        yield from entries(inner, name)
