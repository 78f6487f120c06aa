"""Build of the model without memory for its weights; exceptions become findings."""

import re
import traceback
from copy import deepcopy
from typing import Any

from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmsmt.checks.config.findings import Finding, entries
from mmsmt.checks.config.registries import Part, name_one_of, parts_of
from mmsmt.engine.patches import loading_nothing
from mmsmt.hosts.config import without_files
from mmsmt.hosts.meta_device import Weightless

# mmengine's error for a type that is not in a registry.
_UNKNOWN = r'(?P<name>[\w.]+) is not in the (?P<scope>\w+)::(?P<what>[\w ]+) registry'


def build_part(config: Any, key: str, scope: str) -> tuple[nn.Module | None, list[Finding]]:
    """Build `model`, `model.backbone` or `model.neck` on the meta device.

    Files and URLs that it would load are not read. Norms that need several processes are replaced
    by those of one process.

    Returns:
        The module, None if it cannot be built, and the findings.
    """
    model = without_files(config.model)
    if config.get('data_preprocessor'):  # as in mmengine's runner
        model.setdefault('data_preprocessor', without_files(config.data_preprocessor))
    part = _in_one_process(model if key == 'model' else model[key.partition('.')[2]])
    asked: list[str] = []
    try:
        with DefaultScope.overwrite_default_scope(scope), loading_nothing(asked):
            return _build(part), []
    except Exception as error:  # noqa: BLE001  constructors raise anything
        if asked:
            right = 'this file is not read: nothing inside the model was checked'
            return None, [Finding(key, f'is built from {asked[0]}', right, note=True)]
        return None, [_explain(error, [p for p in parts_of(config) if p.key.startswith(key)], key)]


def _build(part: Any) -> nn.Module:
    try:
        with Weightless():
            built = MODELS.build(deepcopy(part))  # constructors remove entries
    except NotImplementedError as error:
        if 'meta tensor' not in str(error):
            raise
        built = MODELS.build(part)  # it computes with its weights, such as LoRA
    return built.eval().to('meta')


def _in_one_process(part: Any) -> Any:
    """Replace norms that need several processes, such as mmcv's SyncBN."""
    if isinstance(part, dict):
        changed = {name: _in_one_process(inner) for name, inner in part.items()}
        if changed.get('type') in ('MMSyncBN', 'mmcv.MMSyncBN'):
            changed['type'] = 'SyncBN'
        return type(part)(changed)
    if isinstance(part, list | tuple):
        return type(part)(map(_in_one_process, part))
    return part


def _explain(error: Exception, parts: list[Part], key: str) -> Finding:
    """Convert an exception to a finding, at the argument that its message mentions."""
    text, kind = f'{type(error).__name__}: {error}', 'the model'
    if isinstance(error, AssertionError) and not str(error):  # show the failed assertion
        text = f'refused by `{traceback.extract_tb(error.__traceback__)[-1].line}`'
    elif isinstance(error, ValueError | TypeError | AssertionError):
        text = str(error)
    if part := _find_part(error, parts) or next(iter(parts), None):
        given = part.config.get('type')
        key, kind = part.key, getattr(given, '__name__', str(given).rpartition('.')[2])
        inside = sorted((name for name, _ in entries(part.config, key)), key=len, reverse=True)
        keys = {name.rpartition('.')[2]: name for name in inside}  # the shortest key of each name
        words = (word for word in re.findall(r'\w+', text) if word != 'type')
        key = next((keys[word] for word in words if word in keys), key)
    if _asks_for_package(error):
        right = 'nothing inside this part was checked'
        return Finding(f'{key}.type', f'{kind}: {error}', right, needs_package=True)
    if isinstance(error, KeyError) and (unknown := re.search(_UNKNOWN, str(error))):
        right = name_one_of(unknown['scope'])
        what = 'module' if unknown['what'] == 'model' else unknown['what']
        return Finding(f'{key}.type', f'unknown {what} {unknown["name"]!r}', right)
    wrong, _, right = text.partition('; ')
    return Finding(key, wrong, right or f'{kind} cannot be built with this value')


def _asks_for_package(error: Exception) -> bool:
    """Return whether an error is due to a missing package, in the hosts' words."""
    return isinstance(error, ImportError) or bool(re.search(r'\b(pip|mim) install\b', str(error)))


def _find_part(error: Exception, parts: list[Part]) -> Part | None:
    """Return the innermost part of the config that was being built, from mmengine's frames."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        if frame.f_code.co_name == 'build_from_cfg' and 'obj_cls' in frame.f_locals:
            given = frame.f_locals['cfg']
            same = [p for p in parts if p.config.get('type') == given.get('type')]
            if same:
                return max(same, key=lambda p: sum(given.get(k) == v for k, v in p.config.items()))
    return None
