"""Build the model without memory for its weights; what refuses becomes a finding."""

import re
import traceback
from copy import deepcopy
from typing import Any

from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.roles import Part, Path, parts_of, spell
from mmsmt.hosts.meta_device import Weightless
from mmsmt.text import nearest

_MOST_CORRECTIONS = 10


def build_part(
    config: Any, name: str, scope: str, corrections: int = _MOST_CORRECTIONS
) -> tuple[nn.Module | None, list[Finding]]:
    """Build the model, or one part of it, on the meta device; files of weights are left alone.

    Args:
        config: A config, changed by corrections.
        name: `model`, or an entry of it: `backbone`, `neck`.
        scope: Default scope of the config.
        corrections: How many faults that resemble a right name are corrected, so that the
            next one shows.

    Returns:
        The module, None where it cannot be built, and the findings.
    """
    findings: list[Finding] = []
    while True:
        try:
            return _build(config, name, scope), findings
        except Exception as error:  # noqa: BLE001  constructors raise anything
            part, argument, text = _locate(error, config, name)
        wrong, _, right = text.partition('; ')
        near = _rename(part, argument, text) if len(findings) < corrections else None
        if near:
            wrong, right = (
                f'{_kind(part)} has no argument {argument[0]!r}',
                f'did you mean {near!r}?',
            )
        key = spell((*part.path, *argument))
        findings.append(Finding(key, wrong, right or f'{_kind(part)} cannot be built with it'))
        if near is None:
            return None, findings


def _build(config: Any, name: str, scope: str) -> nn.Module:
    model = _without_weights(config.model)
    if name == 'model' and config.get('data_preprocessor'):  # as mmengine's runner does
        model.setdefault('data_preprocessor', deepcopy(config.data_preprocessor))
    part = model if name == 'model' else model[name]
    with DefaultScope.overwrite_default_scope(scope), Weightless():
        return MODELS.build(part).eval().to('meta')


def _without_weights(value: Any) -> Any:
    """A copy without `init_cfg` and `pretrained`, which would read or fetch files."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in ('init_cfg', 'pretrained')}
        return type(value)({k: _without_weights(v) for k, v in kept.items()})
    if isinstance(value, list | tuple):
        return type(value)(_without_weights(v) for v in value)
    return value


def _locate(error: BaseException, config: Any, name: str) -> tuple[Part, Path, str]:
    """The part that raised, the argument in it that its message speaks of, and the message."""
    below: Path = ('model',) if name == 'model' else ('model', name)
    parts = [p for p in parts_of(config) if p.path[: len(below)] == below]
    text = _message(error)
    part = _find_part(error, parts) or parts[0]
    words = (word for word in re.findall(r'\w+', text) if word != 'type')
    found = (_find_argument(part.config, word) for word in words)
    return part, next((path for path in found if path), ()), text


def _message(error: BaseException) -> str:
    """What was raised; an assertion without words says what it asserts."""
    if str(error):
        known = isinstance(error, ValueError | TypeError | AssertionError)
        return str(error) if known else f'{type(error).__name__}: {error}'
    return f'refused by `{traceback.extract_tb(error.__traceback__)[-1].line}`'


def _find_part(error: BaseException, parts: list[Part]) -> Part | None:
    """The innermost part of the config that was being built, as mmengine's frames tell."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        target, given = (frame.f_locals.get(name) for name in ('obj_cls', 'cfg'))
        if frame.f_code.co_name == 'build_from_cfg' and isinstance(given, dict):
            same = [p for p in parts if _kind(p) == getattr(target, '__name__', None)]
            if same:
                return max(same, key=lambda p: sum(given.get(k) == v for k, v in p.config.items()))
    return None


def _kind(part: Part) -> str:
    kind = part.config.get('type', '')
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]


def _find_argument(value: Any, name: str) -> Path:
    """The way to a key, the shortest first; empty where there is none."""
    if isinstance(value, dict):
        if name in value:
            return (name,)
        for key, inner in value.items():
            if found := _find_argument(inner, name):
                return (key, *found)
    return ()


def _rename(part: Part, argument: Path, text: str) -> str | None:
    """Give a wrong argument the nearest name that the message lists after it."""
    listed = re.findall(r'\w+', text.partition('; ')[2])
    wrong = str(argument[0]) if len(argument) == 1 else ''
    if f"'{wrong}'" not in text.partition('; ')[0]:
        return None
    near = nearest(wrong, listed)
    if near is not None:
        part.config.setdefault(near, part.config.pop(wrong))
    return near
