"""Finding of a check, and the entries of a config by their keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One problem of a config.

    Args:
        key: Where: `model.neck.in_channels`, `param_scheduler[0]`, `_base_`.
        wrong: What is wrong there.
        right: What would be right.
        note: Worth knowing, but not an error.
        needs_package: A package that is not installed is needed; the config itself may be right.
    """

    key: str
    wrong: str
    right: str
    note: bool = False
    needs_package: bool = False

    def __str__(self) -> str:
        return ' '.join(f'{self.key}: {self.wrong}; {self.right}'.split())


def entries(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Everything inside a part of a config, with keys as users write them: `model.neck[0].type`."""
    if isinstance(value, dict):
        inside = [(f'{key}.{name}', inner) for name, inner in value.items()]
    else:
        several = value if isinstance(value, list | tuple) else ()
        inside = [(f'{key}[{i}]', inner) for i, inner in enumerate(several)]
    for name, inner in inside:
        yield name, inner
        yield from entries(inner, name)
