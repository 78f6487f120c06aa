"""Names of a model's classes, from the checkpoint or the data set."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsmt.apis.classes import find_classes


@pytest.mark.parametrize(
    ('host', 'dataset', 'number', 'last'),
    [
        ('mmdet', 'CocoDataset', 80, 'toothbrush'),
        ('mmseg', 'CityscapesDataset', 19, 'bicycle'),
        ('mmseg', 'CityscapesDataset', 5, '4'),  # another number of classes: not those names
        ('mmpretrain', 'CIFAR10', 10, 'truck'),
    ],
)
def test_names_of_the_data_set(host: str, dataset: str, number: int, last: str) -> None:
    init_default_scope(host)
    inner = dict(type=dataset, pipeline=[])
    cfg = Config(dict(test_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=inner))))
    head = SimpleNamespace(num_classes=number)
    field = dict(mmdet='bbox_head', mmseg='decode_head', mmpretrain='head')[host]
    model = SimpleNamespace(**{field: head})
    found = find_classes(model, {}, cfg)
    assert (len(found.names), found.names[-1], len(found.colors)) == (number, last, number)
    named = dict(meta=dict(CLASSES=[f'my {i}' for i in range(number)]))
    assert find_classes(model, named, cfg).names[-1] == f'my {number - 1}'
