"""Number of classes: of the data set, without building it, and of the heads."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from mmsmt.checks.config.findings import Finding, entries
from mmsmt.checks.config.registries import find_types

_HEADS = r'model(\.roi_head)*\.(bbox_|mask_|decode_|auxiliary_)?head(\[\d+\])?\.num_classes'


def check_classes(config: Any, scope: str) -> Iterator[Finding]:
    """Compare the heads with the data, and a classifier's preprocessor with its head.

    Data sets that find their classes in files are not judged.
    """
    found = {k: n for k, n in entries(config.model, 'model') if re.fullmatch(_HEADS, k)}
    heads = {key: number for key, number in found.items() if isinstance(number, int)}
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = config.get(name)
        if not isinstance(loader, dict) or not isinstance(loader.get('dataset'), dict):
            continue
        key, dataset = _innermost(f'{name}.dataset', loader['dataset'])
        number, source = _count(dataset, scope)
        if isinstance(number, str):
            right = f'must be a list of names, or a file of them; one class is ({number!r},)'
            yield Finding(f'{key}.{source}', f'is the text {number!r}', right)
        elif number is not None:
            right = f'must be {number}: {key} has {number} classes ({source})'
            wrong = {head: given for head, given in heads.items() if given != number}
            yield from (Finding(head, f'is {given}', right) for head, given in wrong.items())
    inside = config.model.get('data_preprocessor')
    key = 'model.data_preprocessor' if inside else 'data_preprocessor'
    given = (inside or config.get('data_preprocessor') or {}).get('num_classes')
    number = heads.get('model.head.num_classes', given)
    if isinstance(given, int) and given != number:
        yield Finding(f'{key}.num_classes', f'is {given}', f'must be {number}, as in model.head')


def _innermost(key: str, dataset: Any) -> tuple[str, Any]:
    """What a data set wraps: repeated, or the first of several."""
    inner, several = dataset.get('dataset'), dataset.get('datasets')
    if isinstance(inner, dict):
        return _innermost(f'{key}.dataset', inner)
    if several and isinstance(several[0], dict):
        return _innermost(f'{key}.datasets[0]', several[0])
    return key, dataset


def _count(dataset: Any, scope: str) -> tuple[int | str | None, str]:
    """Number of classes and who says so; a text where one stands for the names."""
    for name, part in (('metainfo.classes', dataset.get('metainfo') or {}), ('classes', dataset)):
        stated = part.get('classes')
        if isinstance(stated, str):
            file = Path(stated)
            return len(file.read_text().splitlines()) if file.is_file() else stated, name
        if stated is not None:
            return len(stated), name
    kind = dataset.get('type')
    targets = find_types(kind, scope, (DATASETS,)) if isinstance(kind, str) else [kind]
    known = next((getattr(t, 'METAINFO', {}).get('classes') for t in targets if t), None)
    return (len(known), f'METAINFO of {kind}') if known else (None, '')
