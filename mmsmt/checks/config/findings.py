"""What a check found, and the nearest right name for a wrong one."""

from dataclasses import dataclass


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
