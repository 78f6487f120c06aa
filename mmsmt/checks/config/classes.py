"""Number of classes: of the data set, without building it, and of the heads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.types import find_types

_HEADS = ('head', 'bbox_head', 'mask_head', 'decode_head', 'auxiliary_head')


def check_classes(config: Any, scope: str) -> list[Finding]:
    """Compare the heads with the data, and a classifier's preprocessor with its head.

    Args:
        config: A config.
        scope: Its default scope.

    Returns:
        The findings. Data sets that find their classes in files are not judged.
    """
    findings: list[Finding] = []
    heads = list(_heads(config.model, 'model'))
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = config.get(name) or {}
        if not isinstance(loader, dict) or not isinstance(loader.get('dataset'), dict):
            continue
        key, dataset = _innermost(f'{name}.dataset', loader['dataset'])
        number, source = _count(key, dataset, scope, findings)
        if number is not None:
            findings += _compare(heads, number, f'{key} has {number} classes ({source})')
    findings += _check_preprocessor(config, heads)
    return findings


def _compare(heads: list[tuple[str, int]], number: int, source: str) -> Iterator[Finding]:
    for key, given in heads:
        if given != number:
            yield Finding(f'{key}.num_classes', f'is {given}', f'must be {number}: {source}')


def _heads(value: Any, key: str) -> Iterator[tuple[str, int]]:
    """Every head that states its classes, those of a region head included."""
    for name in _HEADS:
        inner = value.get(name)
        several = isinstance(inner, list | tuple)
        for i, head in enumerate(inner if several else [inner]):
            if isinstance(head, dict) and isinstance(head.get('num_classes'), int):
                yield f'{key}.{name}' + (f'[{i}]' if several else ''), head['num_classes']
    if isinstance(value.get('roi_head'), dict):
        yield from _heads(value['roi_head'], f'{key}.roi_head')


def _innermost(key: str, dataset: Any) -> tuple[str, Any]:
    """What a data set wraps: repeated, or the first of several."""
    while True:
        inner, several = dataset.get('dataset'), dataset.get('datasets')
        if isinstance(inner, dict):
            key, dataset = f'{key}.dataset', inner
        elif several and isinstance(several[0], dict):
            key, dataset = f'{key}.datasets[0]', several[0]
        else:
            return key, dataset


def _count(key: str, dataset: Any, scope: str, findings: list[Finding]) -> tuple[int | None, str]:
    """Number of classes and who says so."""
    stated = (dataset.get('metainfo') or {}).get('classes')
    name = 'metainfo.classes'
    if stated is None:
        stated, name = dataset.get('classes'), 'classes'
    if isinstance(stated, str):
        if Path(stated).is_file():
            return len(Path(stated).read_text().splitlines()), name
        right = f'must be a list of names, or a file of them; one class is ({stated!r},)'
        findings.append(Finding(f'{key}.{name}', f'is the text {stated!r}', right))
        return None, name
    if stated is not None:
        return len(stated), name
    kind = dataset.get('type')
    targets = find_types(kind, scope, (DATASETS,)) if isinstance(kind, str) else [kind]
    known = next((getattr(t, 'METAINFO', {}).get('classes') for t in targets if t), None)
    return (len(known), f'METAINFO of {kind}') if known else (None, '')


def _check_preprocessor(config: Any, heads: list[tuple[str, int]]) -> Iterator[Finding]:
    inside = config.model.get('data_preprocessor')
    key = 'model.data_preprocessor' if inside else 'data_preprocessor'
    given = (inside or config.get('data_preprocessor') or {}).get('num_classes')
    for head, number in heads:
        if head == 'model.head' and isinstance(given, int) and given != number:
            right = f'must be {number}, as in {head}'
            yield Finding(f'{key}.num_classes', f'is {given}', right)
