"""Build of the model without memory for its weights; what raises becomes a finding."""

import re
import traceback
from typing import Any

from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmsmt.checks.config.findings import Finding, entries
from mmsmt.checks.config.registries import Part, parts_of
from mmsmt.hosts.config import without_files
from mmsmt.hosts.meta_device import Weightless


def build_part(config: Any, key: str, scope: str) -> tuple[nn.Module | None, list[Finding]]:
    """Build `model`, `model.backbone` or `model.neck` on the meta device.

    Returns:
        The module, None where it cannot be built, and why it cannot.
    """
    model = without_files(config.model)
    if config.get('data_preprocessor'):  # as mmengine's runner does
        model.setdefault('data_preprocessor', without_files(config.data_preprocessor))
    part = model if key == 'model' else model[key.partition('.')[2]]
    try:
        with DefaultScope.overwrite_default_scope(scope), Weightless():
            return MODELS.build(part).eval().to('meta'), []
    except Exception as error:  # noqa: BLE001  constructors raise anything
        return None, [_explain(error, [p for p in parts_of(config) if p.key.startswith(key)], key)]


def _explain(error: Exception, parts: list[Part], key: str) -> Finding:
    """What was raised, at the argument that the message speaks of."""
    text, kind = f'{type(error).__name__}: {error}', 'the model'
    if isinstance(error, AssertionError) and not str(error):  # say what it asserts
        text = f'refused by `{traceback.extract_tb(error.__traceback__)[-1].line}`'
    elif isinstance(error, ValueError | TypeError | AssertionError):
        text = str(error)
    if part := _find_part(error, parts) or next(iter(parts), None):
        given = part.config.get('type')
        key, kind = part.key, getattr(given, '__name__', str(given).rpartition('.')[2])
        inside = sorted((name for name, _ in entries(part.config, key)), key=len, reverse=True)
        keys = {name.rpartition('.')[2]: name for name in inside}  # the shortest of a name
        words = (word for word in re.findall(r'\w+', text) if word != 'type')
        key = next((keys[word] for word in words if word in keys), key)
    wrong, _, right = text.partition('; ')
    return Finding(key, wrong, right or f'{kind} cannot be built with it')


def _find_part(error: Exception, parts: list[Part]) -> Part | None:
    """The innermost part of the config that was being built, as mmengine's frames tell."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        if frame.f_code.co_name == 'build_from_cfg' and 'obj_cls' in frame.f_locals:
            given = frame.f_locals['cfg']
            same = [p for p in parts if p.config.get('type') == given.get('type')]
            if same:
                return max(same, key=lambda p: sum(given.get(k) == v for k, v in p.config.items()))
    return None
