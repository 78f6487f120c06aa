"""Check of the number of classes in data sets, without building them, and in heads."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from mmsmt.checks.config.findings import Finding, entries
from mmsmt.checks.config.registries import find_types

_HEADS = r'model(\.roi_head)*\.(bbox_|mask_|decode_|auxiliary_)?head(\[\d+\])?'
# Panoptic data sets also have stuff classes, which are not classes of the detection heads.
_OBJECTS = r'model(\.roi_head)*\.(bbox_|mask_)head.*'
# Parts of a model that use class names.
_TEXTS = ('language_model', 'text_encoder', 'text_backbone')
# Heads whose classes are not those of the data: STDC's separates boundaries from the rest.
_OTHER = ('STDCHead',)


def check_classes(config: Any, scope: str) -> Iterator[Finding]:
    """Compare the heads with the data, and a classifier's preprocessor with its head.

    Data sets that find their classes in files are skipped, and so are open-vocabulary models, whose
    heads compare texts.
    """
    if any(config.model.get(name) for name in _TEXTS):
        return
    parts = {k: part for k, part in entries(config.model, 'model') if re.fullmatch(_HEADS, k)}
    heads = {
        f'{key}.num_classes': head['num_classes']
        for key, head in parts.items()
        if isinstance(head, dict)
        and isinstance(head.get('num_classes'), int)
        and not str(head.get('type')).endswith(_OTHER)
    }
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = config.get(name)
        if not isinstance(loader, dict) or not isinstance(loader.get('dataset'), dict):
            continue
        key, dataset = _innermost(f'{name}.dataset', loader['dataset'])
        number, things, source = _count(dataset, scope)
        if isinstance(number, str):
            right = f'must be a list of names, or a file of them; for one class write ({number!r},)'
            yield Finding(f'{key}.{source}', f'is the string {number!r}', right)
        elif number is not None:
            for head, given in heads.items():
                want = things if things and re.fullmatch(_OBJECTS, head) else number
                if given != want:
                    right = f'must be {want}: {key} has {want} classes ({source})'
                    yield Finding(head, f'is {given}', right)
    inside = config.model.get('data_preprocessor')
    key = 'model.data_preprocessor' if inside else 'data_preprocessor'
    given = (inside or config.get('data_preprocessor') or {}).get('num_classes')
    number = heads.get('model.head.num_classes', given)
    if isinstance(given, int) and given != number:
        yield Finding(f'{key}.num_classes', f'is {given}', f'must be {number}, as in model.head')


def _innermost(key: str, dataset: Any) -> tuple[str, Any]:
    """Return the innermost data set: what is repeated, or the first of several."""
    inner, several = dataset.get('dataset'), dataset.get('datasets')
    if isinstance(inner, dict):
        return _innermost(f'{key}.dataset', inner)
    if several and isinstance(several[0], dict):
        return _innermost(f'{key}.datasets[0]', several[0])
    return key, dataset


def _count(dataset: Any, scope: str) -> tuple[int | str | None, int, str]:
    """Return the number of classes, that of things for panoptic data, and the source.

    The first is a string if a single string is given for the names.
    """
    metainfo = dataset.get('metainfo') or {}
    for name, part in (('metainfo.classes', metainfo), ('classes', dataset)):
        stated = part.get('classes')
        if isinstance(stated, str):
            file = Path(stated)
            number = len(file.read_text().splitlines()) if file.is_file() else stated
            return number, 0, name
        if stated is not None:
            return len(stated), len(metainfo.get('thing_classes') or ()), name
    kind = dataset.get('type')
    targets = find_types(kind, scope, (DATASETS,)) if isinstance(kind, str) else [kind]
    known = next((getattr(t, 'METAINFO', {}) for t in targets if t), {})
    classes, things = known.get('classes'), known.get('thing_classes') or ()
    return (len(classes), len(things), f'METAINFO of {kind}') if classes else (None, 0, '')
