"""`mmsmt new`: a config that checks, trains and is tested, for every format."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from own_data import (
    CLASSES,
    write_coco,
    write_folders,
    write_labels,
    write_text,
    write_voc,
    write_yolo,
)

from mmsmt.engine.runner import build_runner
from mmsmt.errors import TargetError, UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.meta_device import build_model
from mmsmt.projects import new_project

TASKS = [
    ('det', write_voc, 'retinanet'),
    ('det', write_coco, 'mask_rcnn'),
    ('det', write_yolo, 'mmdet::tood/tood_r50_fpn_1x_coco.py'),
    ('det', write_voc, 'ddq'),
    ('det', write_coco, 'rtmdet_ins'),
    ('det', write_coco, 'mask2former'),
    ('seg', write_labels, 'upernet'),
    ('seg', write_labels, 'mask2former'),
    ('seg', write_labels, 'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'),
    ('cls', write_folders, 'classifier'),
]


def new(task: str, data: Path, method: str, out: Path, **options: object) -> list[str]:
    return new_project(task, data, method, 'smt_pico', out, **options)


def set_everywhere(node: object, key: str, value: object) -> None:
    if isinstance(node, list):
        for child in node:
            set_everywhere(child, key, value)
    elif isinstance(node, dict):
        if key in node:
            node[key] = value
        for child in node.values():
            set_everywhere(child, key, value)


@pytest.mark.slow
@pytest.mark.parametrize('task, write, method', TASKS)
def test_the_config_trains_and_is_tested(
    task: str, write: Callable[[Path], Path], method: str, tmp_path: Path
) -> None:
    out = tmp_path / 'mine.py'
    lines = new(task, write(tmp_path / 'data'), method, out)
    assert lines[-1] == f'wrote {out}; next: mmsmt train {out}'
    # As a person would edit it: one number.
    text, changed = re.subn(r'^epochs = \d+$', 'epochs = 2', out.read_text(), flags=re.M)
    assert changed == 1
    out.write_text(text)
    cfg = Config.fromfile(out)
    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
    set_everywhere(cfg.model, 'score_thr', 0)  # of random weights nothing may be sure enough
    runner = build_runner(cfg)
    runner.train()
    assert runner.epoch == runner.max_epochs == 2
    warm_up, cosine = runner.param_schedulers
    assert (warm_up.end, cosine.end) == (runner.iter // 2, runner.iter)
    metrics = runner.test()
    name = {'det': 'coco/bbox_mAP', 'seg': 'mIoU', 'cls': 'accuracy/top1'}[task]
    assert 0 <= metrics[name] <= 100
    assert tuple(runner.test_loop.dataloader.dataset.metainfo['classes'])[-2:] == CLASSES


def test_the_config_is_short_and_says_each_thing_once(tmp_path: Path) -> None:
    out = tmp_path / 'mine.py'
    new('det', write_voc(tmp_path / 'cells'), 'retinanet', out)
    text = out.read_text()
    statements = re.findall(r'^(\w+) = ', text, re.M)
    assert statements[:7] == [
        '_base_', 'epochs', 'batch_size', 'learning_rate', 'image_size', 'classes', 'data_root',
    ]  # fmt: skip
    assert len(statements) == len(set(statements)) <= 25 and max(map(len, text.split('\n'))) <= 100
    assert text.count('max_epochs') == 1 and 'num_classes=len(classes)' in text


def test_masks_of_the_data_are_left_out_by_a_method_of_boxes(tmp_path: Path) -> None:
    out = tmp_path / 'mine.py'
    new('det', write_coco(tmp_path / 'data'), 'retinanet', out)
    assert 'load_masks' not in out.read_text() and "'segm'" not in out.read_text()


def test_a_method_of_masks_wants_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='use a method for boxes, such as retinanet'):
        new('det', write_voc(tmp_path / 'data'), 'mask_rcnn', tmp_path / 'mine.py')


def test_a_cascade_is_one_expression(tmp_path: Path) -> None:
    out = tmp_path / 'mine.py'
    new('det', write_coco(tmp_path / 'data'), 'cascade_mask_rcnn', out)
    heads = 'dict(head, num_classes=len(classes)) for head in _base_.model.roi_head.bbox_head'
    assert heads in ' '.join(out.read_text().split()).replace('( ', '(').replace('[ ', '[')


def test_an_optimizer_for_other_backbones_is_replaced(tmp_path: Path) -> None:
    """BEiT's layer decay raises NotImplementedError for other networks; ours need no neck."""
    out = tmp_path / 'mine.py'
    method = 'mmseg::beit/beit-base_upernet_8xb2-160k_ade20k-640x640.py'
    new('seg', write_labels(tmp_path / 'data'), method, out)
    cfg = Config.fromfile(out)
    assert 'constructor' not in cfg.optim_wrapper and cfg.model.neck is None


@pytest.mark.parametrize(
    'damage, said',
    [
        (lambda root: (root / 'JPEGImages/val_7.jpg').unlink(), r'val_7\.jpg: no such image'),
        (
            lambda root: (root / 'JPEGImages/val_7.jpg').write_bytes(
                (root / 'JPEGImages/val_7.jpg').read_bytes()[:700]
            ),
            r'val_7\.jpg: is truncated; .*; nothing was written',
        ),
    ],
)
def test_of_damaged_data_nothing_is_left(damage, said: str, tmp_path: Path) -> None:
    root = write_voc(tmp_path / 'data')
    damage(root)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(UsageError, match=said):
        new('det', root, 'retinanet', tmp_path / 'mine.py')
    assert sorted(tmp_path.rglob('*')) == before


def test_a_config_is_not_replaced_unasked(tmp_path: Path) -> None:
    root, out = write_folders(tmp_path / 'data'), tmp_path / 'mine.py'
    write_text(out, 'mine = 1\n')
    with pytest.raises(TargetError, match=r'mine\.py already exists; .*--overwrite'):
        new('cls', root, 'classifier', out)
    assert out.read_text() == 'mine = 1\n'
    new('cls', root, 'classifier', out, overwrite=True)
    assert 'epochs' in out.read_text()


def test_writing_again_gives_the_same_files(tmp_path: Path) -> None:
    root, out = write_coco(tmp_path / 'data', splits=False), tmp_path / 'mine.py'
    new('det', root, 'retinanet', out)
    first = {path: path.read_bytes() for path in (root / 'mmsmt_coco').iterdir()}
    text = out.read_text()
    new('det', root, 'retinanet', out, overwrite=True)
    assert {path: path.read_bytes() for path in (root / 'mmsmt_coco').iterdir()} == first
    assert len(first) == 2 and out.read_text() == text


@pytest.mark.parametrize(
    'task, method, backbone, said',
    [
        ('det', 'retinanett', 'smt_t', r"unknown method 'retinanett', did you mean retinanet\?"),
        ('det', 'upernet', 'smt_t', r'upernet is a method of `mmsmt new seg`; for det: retinanet'),
        ('det', 'retinanet', 'smt_x', r"unknown backbone 'smt_x'; did you mean smt_"),
        ('det', 'mmdet::tood/tood.py', 'smt_t', r'mmdet::tood/tood\.py: no such config file'),
        (
            'det',
            'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
            'smt_t',
            r'is a config of mmseg; `mmsmt new det` needs one of mmdet',
        ),
        (
            'det',
            'mmdet::cornernet/cornernet_hourglass104_10xb5-crop511-210e-mstest_coco.py',
            'smt_t',
            r'does not support smt_t: HourglassNet returns maps of strides 4, 4',
        ),
        (
            'det',
            'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py',
            'smt_t',
            r'needs label images of stuff',
        ),
    ],
)
def test_wrong_names_say_what_is_right(
    task: str, method: str, backbone: str, said: str, tmp_path: Path
) -> None:
    root = write_voc(tmp_path / 'data')
    with pytest.raises(UsageError, match=said):
        new_project(task, root, method, backbone, tmp_path / 'mine.py')
    assert not (tmp_path / 'mine.py').exists()


@pytest.mark.slow
def test_the_pipelines_are_found_in_a_process_that_only_predicts(tmp_path: Path) -> None:
    """There no data set has imported the host's transforms."""
    out = tmp_path / 'mine.py'
    root = write_voc(tmp_path / 'data')
    new('det', root, 'small_retinanet', out)
    model = build_model(read_config(str(out)))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'weights.pth')
    image = root / 'JPEGImages/val_7.jpg'
    command = [sys.executable, '-m', 'mmsmt', 'predict', out, tmp_path / 'weights.pth', image]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0 and '1 image' in said.stdout, said.stderr
