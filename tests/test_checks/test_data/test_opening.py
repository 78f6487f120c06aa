"""Data sets are found in wrappers, their places in folders nearby."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from mmsmt.checks.data import check_data

Coco = Callable[..., Config]
Named = Callable[..., None]
Found = Callable[..., dict[str, list[str]]]


@pytest.mark.parametrize('depth', [1, 2])
def test_wrapped_data_sets(tmp_path: Path, depth: int, assert_named: Named, coco: Coco) -> None:
    cfg = coco(tmp_path)
    leaf = cfg.train_dataloader.dataset
    wrapped: dict[str, Any] = dict(type='RepeatDataset', times=2, dataset=leaf)
    if depth == 2:
        other = dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=leaf)
        wrapped = dict(type='ConcatDataset', datasets=[other, {**leaf, 'ann_file': 'lost.json'}])
    else:
        (tmp_path / 'train.json').unlink()
    cfg.train_dataloader = dict(dataset=wrapped)
    name = 'lost.json' if depth == 2 else 'train.json'
    assert_named(cfg, 'error', f'{tmp_path}/{name}: no such file')


def test_misplaced_folders_are_found(tmp_path: Path, found: Found, coco: Coco) -> None:
    cfg = coco(tmp_path)
    (tmp_path / 'images').mkdir()
    (tmp_path / 'train').rename(tmp_path / 'images' / 'train')
    lines = found(cfg)
    says = f'no such folder; found {tmp_path}/images/train: move or link it there'
    assert lines['error'] == [f'error: {tmp_path}/train: {says}']
    assert any('expected here: images' in line for line in lines['note'])


def test_a_dangling_link_is_named(tmp_path: Path, assert_named: Named, coco: Coco) -> None:
    cfg = coco(tmp_path)
    shutil.rmtree(tmp_path / 'train')
    os.symlink(tmp_path / 'gone', tmp_path / 'train')
    assert_named(cfg, 'error', f'is a link to {tmp_path}/gone, which is missing')


def test_data_sets_that_cannot_be_built(tmp_path: Path, assert_named: Named, coco: Coco) -> None:
    cfg = coco(tmp_path)
    cfg.train_dataloader.dataset.type = 'CocoDatast'
    says = "unknown data set 'CocoDatast'; did you mean 'CocoDataset'"
    assert_named(cfg, 'error', 'train_dataloader.dataset.type: ', says)
    cfg = coco(tmp_path, data_prefix='train')
    found = [str(finding) for finding in check_data(cfg) if finding.level == 'error']
    assert found and all('_dataloader.dataset: cannot be built' in line for line in found)
