"""Model cards: a README with the front matter of the Hugging Face Hub."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from mmengine.config import Config
from torch import nn

from mmsmt.apis.names import read_index, read_metafiles
from mmsmt.datasets.wrappers import test_dataset
from mmsmt.hosts.model import kind_of

# The hub's name of each task.
PIPELINES = {
    'classifier': 'image-classification',
    'detector': 'object-detection',
    'instance segmenter': 'object-detection',  # the hub allows only one task
    'segmenter': 'image-segmentation',
}
_DATASETS = {'ImageNet-1K': 'imagenet-1k', 'COCO': 'coco', 'ADE20K': 'scene_parse_150'}
_METRICS = (('accuracy', 'accuracy'), ('mIoU', 'mean_iou'), ('mAP', 'mAP'))  # part of a name: type
_SHOWN_CLASSES = 100


class Facts(NamedTuple):
    """The contents of a model card.

    Args:
        name: Name of the model.
        model: A host's model; its weights are not used.
        cfg: Config of the model.
        classes: Names of the classes.
        metrics: Results by name, may be empty.
        license: Licence of the weights, empty if unknown.
    """

    name: str
    model: nn.Module
    cfg: Config
    classes: Sequence[str]
    metrics: Mapping[str, float]
    license: str


def task_of(model: nn.Module) -> str:
    """Return the task of a model: one of `PIPELINES`."""
    kind = kind_of(model)
    heads = (model, getattr(model, 'roi_head', None))
    if kind == 'detector' and any(getattr(head, 'mask_head', None) is not None for head in heads):
        return 'instance segmenter'
    return kind


def write_card(facts: Facts) -> str:
    """Return the text of the card."""
    entry, collection = _find_metafile(facts.cfg)
    front = yaml.safe_dump(_front_matter(facts, entry), sort_keys=False, allow_unicode=True)
    parts = [f'---\n{front}---\n', f'# {facts.name}\n', _about(facts, collection), _USAGE]
    if facts.metrics:
        rows = [f'| {name} | {value:.4g} |' for name, value in facts.metrics.items()]
        parts.append('\n'.join(['## Results\n', '| metric | value |', '|---|---|', *rows, '']))
    if entry:
        parts.append(_recipe(entry))
    names = ', '.join(map(_escape, facts.classes[:_SHOWN_CLASSES]))
    more = ', ...' if len(facts.classes) > _SHOWN_CLASSES else ''
    parts.append(f'## Classes\n\n{len(facts.classes)}: {names}{more}\n')
    return '\n'.join(parts)


_USAGE = """## Use

```
pip install 'mmsmt[hub]'
mmsmt hub pull OWNER/NAME --out model
```

```python
import mmsmt

model = mmsmt.from_pretrained('model')
```

`config.py` is read as data and `model.safetensors` holds only tensors: nothing here is executed.
"""


def _front_matter(facts: Facts, entry: Mapping[str, Any]) -> dict[str, Any]:
    task = task_of(facts.model)
    dataset = entry.get('Metadata', {}).get('Training Data', '')
    tags = ['mmsmt', str(facts.cfg.get('default_scope', '')), _network(facts.model).lower(), task]
    front: dict[str, Any] = {'license': facts.license} if facts.license else {}
    front |= {
        'library_name': 'mmsmt',
        'pipeline_tag': PIPELINES[task],
        'tags': [tag.replace(' ', '-') for tag in dict.fromkeys(tags) if tag],
    }
    if dataset in _DATASETS:
        front['datasets'] = [_DATASETS[dataset]]
    if facts.metrics:
        name = dataset or _dataset(facts.cfg)
        metrics = [
            {'type': _metric(metric), 'value': value, 'name': metric}
            for metric, value in facts.metrics.items()
        ]
        result = {
            'task': {'type': PIPELINES[task]},
            'dataset': {'type': _DATASETS.get(name, _slug(name)), 'name': name},
            'metrics': metrics,
        }
        front['model-index'] = [{'name': facts.name, 'results': [result]}]
    return front


def _about(facts: Facts, collection: Mapping[str, Any]) -> str:
    paper = collection.get('Paper')
    network = _network(facts.model)
    cited = f' ([{paper["Title"]}]({paper["URL"]}))' if paper else ''
    lines = [f'{task_of(facts.model).capitalize()} with the backbone {network}{cited}.']
    init = facts.cfg.model.get('backbone', {}).get('init_cfg') or {}
    published = {entry.weights: entry for entry in read_index().values() if entry.weights}
    if start := published.get(init.get('checkpoint', '') if isinstance(init, Mapping) else ''):
        lines.append(
            f'The config starts training from {start.origin} (licence: {start.licence or "none"}).'
        )
    lines.append(f'Licence of the weights: {facts.license or "not stated"}.\n')
    return '\n'.join(lines)


def _recipe(entry: Mapping[str, Any]) -> str:
    wanted = ('Training Data', 'Epochs', 'Iterations', 'Image Size', 'Parameters', 'FLOPs')
    metadata = entry['Metadata']
    rows = [f'| config | {entry["Config"]} |']
    for key in wanted:
        if key in metadata:
            value = metadata[key]
            text = f'{value:,}' if isinstance(value, int) else str(value)
            if isinstance(value, list):
                text = ' x '.join(map(str, value))
            rows.append(f'| {key} | {text} |')
    return '\n'.join(['## Recipe\n', '| | |', '|---|---|', *rows, ''])


def _find_metafile(cfg: Config) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the index entry of a config, and its collection; empty for other configs."""
    stem = re.split(r'[/\\]', cfg.filename or '')[-1].removesuffix('.py')
    files = read_metafiles()
    collections = {c['Name']: c for file in files for c in file.get('Collections', [])}
    for file in files:
        for entry in file['Models']:
            if entry['Config'].rpartition('/')[2] == f'{stem}.py':
                return entry, collections[entry['In Collection']]
    return {}, {}


def _network(model: Any) -> str:
    return type(getattr(model, 'backbone', model)).__name__


def _dataset(cfg: Config) -> str:
    dataset = test_dataset(cfg)
    return str(dataset['type']).rpartition('.')[2] if dataset else 'unknown'


def _metric(name: str) -> str:
    return next((kind for part, kind in _METRICS if part in name), _slug(name))


def _slug(name: str) -> str:
    return re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')


def _escape(name: str) -> str:
    """Escape a name for Markdown."""
    return re.sub(r'([\\`*_{}\[\]<>#|])', r'\\\1', ' '.join(name.split()))
