"""Results from the files of tests and trainings."""

import json
from pathlib import Path

import pytest

from mmsmt.apis.hub.metrics import read_metrics
from mmsmt.errors import UsageError


def test_results_of_a_test(tmp_path: Path) -> None:
    record = {'seconds': 17, 'accuracy/top1': 98.6, 'data_time': 1.1, 'time': 1.4, 'ok': True}
    record |= {'coco/bbox_mAP_l': -1.0, 'x': float('nan')}
    (tmp_path / 'x.json').write_text(json.dumps(record, indent=1))
    assert read_metrics(tmp_path / 'x.json') == {'accuracy/top1': 98.6}
    assert read_metrics({'mIoU': 61, 'step': 3}) == {'mIoU': 61.0}


def test_the_last_evaluation_of_a_training(tmp_path: Path) -> None:
    records = [
        {'lr': 0.1, 'loss': 2.0, 'step': 1},
        {'coco/bbox_mAP': 0.3, 'step': 1},
        {'coco/bbox_mAP': 0.4, 'time': 1.0, 'step': 2},
        {'lr': 0.1, 'loss': 2.0, 'step': 3},
    ]
    (tmp_path / 'scalars.json').write_text('\n'.join(map(json.dumps, records)))
    assert read_metrics(str(tmp_path / 'scalars.json')) == {'coco/bbox_mAP': 0.4}


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('{"time": 1}', 'no evaluation results'),
        ('[1]', 'no evaluation results'),
        ('{"loss": 1, "lr": 1}', 'no evaluation results'),
        ('x', 'not valid JSON'),
        (None, 'cannot be read'),
    ],
)
def test_a_file_without_results(tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / 'x.json').write_text(text)
    with pytest.raises(UsageError, match=f'x.json: .*{why}'):
        read_metrics(tmp_path / 'x.json')
