"""Comparison of a state dict with a model, entry by entry."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmsmt.errors import CheckpointError

_SHOWN = 4
# More modules than this in a suggested `allow` are replaced by their parents.
_ROOTS = 8


def _named(names: Collection[str], patterns: Collection[str]) -> list[str]:
    """Return the names that no pattern covers: a name, a parent of it, or '' for all."""
    return [
        name
        for name in names
        if not any(p in ('', name) or name.startswith(p.rstrip('.') + '.') for p in patterns)
    ]


def _shorten(names: Collection[str]) -> str:
    more = len(names) - _SHOWN
    return ', '.join(list(names)[:_SHOWN]) + (f' and {more} more' if more > 0 else '')


@dataclass
class LoadReport:
    """Result of comparing a file with a model.

    Args:
        fitting: Number of the model's entries that the file provides in the right shape.
        total: Number of the model's entries.
        missing: The model's entries that the file lacks.
        unexpected: The file's entries that the model lacks.
        mismatched: Entries of another shape: name to (in the file, in the model).
        other_kind: Entries of another kind of number, such as integer instead of floating-point:
            name to (in the file, in the model).
        left_out: Entries of the file that do not belong to the model (such as a head), or repeat
            an entry that does.
        dialect: The released naming that was translated, if any.
    """

    fitting: int
    total: int
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    other_kind: dict[str, tuple[torch.dtype, torch.dtype]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    dialect: str | None = None

    @property
    def fits(self) -> bool:
        """Return whether the file has every entry of the model, in its shape, and no others."""
        return not (self.missing or self.unexpected or self.mismatched or self.other_kind)

    def keep_fitting(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the entries of a state dict without those left out, of another shape or kind."""
        differing = {*self.mismatched, *self.other_kind, *self.left_out}
        return {name: value for name, value in state.items() if name not in differing}

    def __str__(self) -> str:
        lines = [f'{self.fitting} of {self.total} entries fit']
        if self.dialect:
            lines[0] += f' (names: {self.dialect})'
        lines += [f'  missing in the file: {name}' for name in self.missing]
        lines += [f'  unexpected in the file: {name}' for name in self.unexpected]
        lines += [
            f'  other shape: {name} is {list(theirs)} in the file, {list(ours)} in the model'
            for name, (theirs, ours) in self.mismatched.items()
        ]
        lines += [
            f'  other kind: {name} is {theirs} in the file, {ours} in the model'
            for name, (theirs, ours) in self.other_kind.items()
        ]
        lines += [f'  left out: {name}' for name in self.left_out]
        return '\n'.join(lines)

    def summary(self) -> str:
        """Return the report in one line, long lists truncated."""
        shapes = [
            f'{n} ({list(theirs)} in the file, {list(ours)} in the model)'
            for n, (theirs, ours) in self.mismatched.items()
        ]
        types = [
            f'{n} ({theirs} in the file, {ours} in the model)'
            for n, (theirs, ours) in self.other_kind.items()
        ]
        kinds = {
            'missing': self.missing,
            'unexpected': self.unexpected,
            'other shape': shapes,
            'other kind': types,
            'left out': self.left_out,
        }
        found = [f'{kind}: {_shorten(names)}' for kind, names in kinds.items() if names]
        return '; '.join([f'{self.fitting} of {self.total} entries fit', *found])

    def require_fit(
        self,
        source: str,
        allow: Collection[str] = (),
        hint: str = '',
        option: str = 'allow',
    ) -> None:
        """Raise unless everything fits, except what is allowed by name.

        Args:
            source: What was loaded, for the message.
            allow: Names of entries or of their parent modules that may be missing, unexpected or
                of another shape.
            hint: Additional text for the message.
            option: The user's name for `allow`, for the message.

        Raises:
            CheckpointError: If anything outside `allow` does not fit, or nothing fits.
        """
        found = [*self.missing, *self.unexpected, *self.mismatched, *self.other_kind]
        problems = _named(found, allow)
        if problems or not self.fitting:
            message = f'{source}: does not fit the model: {self.summary()}. {hint}'.rstrip()
            # If less than half fits it is another network, which nobody should allow.
            if 2 * self.fitting >= self.total > 0:
                message += f' To accept this, set {option}={[*allow, *_roots(problems)]}.'
            raise CheckpointError(message)


def _roots(names: Collection[str]) -> list[str]:
    """Return the modules of names: their first three components, or two if those are too many."""
    found: list[str] = []
    for depth in (3, 2):
        found = list(dict.fromkeys('.'.join(n.split('.')[:-1][:depth]) or n for n in names))
        if len(found) <= _ROOTS:
            break
    return found


def compare(
    model: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    left_out: Collection[str] = (),
    dialect: str | None = None,
) -> LoadReport:
    """Compare a file's entries with a model's by name, shape and kind of number.

    All floating-point precisions fit each other. `num_batches_tracked`, a counter that files of
    early PyTorch versions lack, is never reported as missing. An unexpected entry that repeats one
    of the model's is left out: in training, mmdet's DDQ registers branches of its head a second
    time in its decoder.

    Args:
        model: The model's state dict.
        state: The file's entries under the model's names.
        left_out: Names of entries that were left out before.
        dialect: Name of the dialect that was translated.

    Returns:
        The report.

    Examples:
        >>> import torch
        >>> from mmsmt.checkpoints import compare
        >>> print(compare(torch.nn.Linear(3, 2).state_dict(), {'weight': torch.ones(2, 4)}))
        0 of 2 entries fit
          missing in the file: bias
          other shape: weight is [2, 4] in the file, [2, 3] in the model
    """
    mismatched = {
        name: (tuple(state[name].shape), tuple(own.shape))
        for name, own in model.items()
        if name in state and state[name].shape != own.shape
    }
    other_kind = {
        name: (state[name].dtype, own.dtype)
        for name, own in model.items()
        if name in state
        and name not in mismatched
        and own.is_floating_point()
        and not state[name].is_floating_point()
    }
    unexpected = [name for name in state if name not in model]
    repeated = _repeated(unexpected, model.keys() & state.keys(), state)
    return LoadReport(
        fitting=sum(name in state for name in model) - len(mismatched) - len(other_kind),
        total=len(model),
        missing=[n for n in model if n not in state and not n.endswith('num_batches_tracked')],
        unexpected=[name for name in unexpected if name not in repeated],
        mismatched=mismatched,
        other_kind=other_kind,
        left_out=[*left_out, *repeated],
        dialect=dialect,
    )


def _repeated(
    unexpected: Collection[str], known: Collection[str], state: Mapping[str, Tensor]
) -> list[str]:
    """Return the entries equal to one that is known below another part of the model."""
    below: dict[str, list[str]] = {}
    for name in known if unexpected else ():
        below.setdefault(name.partition('.')[2], []).append(name)
    return [
        name
        for name in unexpected
        if any(torch.equal(state[name], state[k]) for k in below.get(name.partition('.')[2], ()))
    ]
