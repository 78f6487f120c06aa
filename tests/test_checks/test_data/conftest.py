"""Findings by level, and a detector's small data set that tests damage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from PIL import Image

from mmsmt.checks.data import Opener, check_data
from mmsmt.datasets.digits import Parameters, prepare_digits

WIDTH, HEIGHT = 20, 10
Found = Callable[..., dict[str, list[str]]]


@pytest.fixture(scope='session')
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of prepared digits; tests must not change it."""
    out = tmp_path_factory.mktemp('prepared') / 'digits'
    prepare_digits(out, Parameters(scenes_train=12, scenes_val=6, renderings=1))
    return out


@pytest.fixture(scope='session')
def found() -> Found:
    """Lines of a config's check by level."""

    def check(cfg: Config, full: bool = False) -> dict[str, list[str]]:
        lines: dict[str, list[str]] = {'error': [], 'warning': [], 'note': []}
        for finding in check_data(cfg, Opener(full)):
            lines[finding.level].append(str(finding))
            assert '\n' not in str(finding)
        return lines

    return check


@pytest.fixture(scope='session')
def assert_named(found: Found) -> Callable[..., None]:
    """Assert that one line of a level has all the texts, and that nothing else is wrong."""

    def check(cfg: Config, level: str, *says: str) -> None:
        lines = found(cfg)
        wrong = lines['error'] + lines['warning']
        assert len(wrong) == 1, wrong
        assert wrong[0].startswith(f'{level}: '), wrong
        for text in says:
            assert text in wrong[0]

    return check


@pytest.fixture(scope='session')
def coco() -> Callable[..., Config]:
    """Write a detector's data and make its config."""
    return write_coco


def write_coco(root: Path, **dataset: Any) -> Config:
    """A detector of cats and dogs, its two splits written to `root`."""
    loaders: dict[str, Any] = {}
    for split in ('train', 'val'):
        annotations = []
        for number in range(4):
            (root / split).mkdir(exist_ok=True)
            Image.new('RGB', (WIDTH, HEIGHT)).save(root / split / f'{number}.png')
            annotations.append(
                dict(
                    id=number,
                    image_id=number,
                    category_id=number % 2 + 5,
                    bbox=[2, 2, 10, 5],
                    area=50,
                    segmentation=[[2, 2, 12, 2, 12, 7]],
                )
            )
        images = [dict(id=i, file_name=f'{i}.png', width=WIDTH, height=HEIGHT) for i in range(4)]
        categories = [dict(id=5, name='cat'), dict(id=6, name='dog')]
        content = dict(images=images, annotations=annotations, categories=categories)
        (root / f'{split}.json').write_text(json.dumps(content))
        loaders[f'{split}_dataloader'] = dict(
            dataset=dict(
                type='CocoDataset',
                data_root=str(root),
                ann_file=f'{split}.json',
                data_prefix=dict(img=split),
                metainfo=dict(classes=('cat', 'dog')),
                pipeline=[dict(type='LoadAnnotations', with_mask=True)],
            )
            | dataset
        )
    evaluator = dict(type='CocoMetric', ann_file=f'{root}/val.json')
    model = dict(rpn_head=dict(num_classes=1), bbox_head=[dict(num_classes=2)])
    return Config(dict(default_scope='mmdet', model=model, val_evaluator=evaluator, **loaders))
