"""`--save-best` and `--early-stop`: which metric, and what the config then holds."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmsmt.engine.best_model import keep_best
from mmsmt.errors import UsageError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.mark.parametrize(
    ('config', 'metric'),
    [
        ('digits/cls_smt_pico.py', 'accuracy/top1'),
        ('digits/mask_rcnn_smt_pico.py', 'coco/bbox_mAP'),
        ('digits/upernet_smt_pico.py', 'mIoU'),
        ('cls/smt_t_in1k.py', 'accuracy/top1'),
        ('det/retinanet_smt_t_1x.py', 'coco/bbox_mAP'),
        ('seg/upernet_smt_t_160k_ade20k.py', 'mIoU'),
    ],
)
def test_metric_of_a_task(config: str, metric: str) -> None:
    cfg = Config.fromfile(CONFIGS / config)
    keep_best(cfg, '', 3, save=True)
    assert cfg.default_hooks.checkpoint.save_best == metric
    assert cfg.custom_hooks[-1] == dict(
        type='mmsmt.ResumableEarlyStoppingHook', monitor=metric, rule='greater', patience=3
    )


def test_each_alone() -> None:
    cfg = Config.fromfile(CONFIGS / 'digits/cls_smt_pico.py')
    hooks = len(cfg.custom_hooks)
    keep_best(cfg, '', None, save=True)
    assert len(cfg.custom_hooks) == hooks
    other = Config.fromfile(CONFIGS / 'digits/cls_smt_pico.py')
    keep_best(other, 'val/loss', 1, save=False)
    assert 'save_best' not in other.default_hooks.checkpoint
    assert other.custom_hooks[-1].rule == 'less'


def test_the_config_may_name_it() -> None:
    cfg = Config.fromfile(CONFIGS / 'digits/mask_rcnn_smt_pico.py')
    cfg.default_hooks.checkpoint.save_best = 'coco/segm_mAP'
    keep_best(cfg, '', 2, save=False)
    assert cfg.custom_hooks[-1].monitor == 'coco/segm_mAP'


def test_refuses() -> None:
    cfg = Config.fromfile(CONFIGS / 'digits/cls_smt_pico.py')
    with pytest.raises(UsageError, match='--early-stop must be at least 1, got 0'):
        keep_best(cfg, '', 0, save=False)
    cfg.val_evaluator = [dict(type='mine.OddMetric')]
    with pytest.raises(UsageError, match='OddMetric is unknown: name it with --save-best'):
        keep_best(cfg, '', 2, save=False)
    cfg.val_evaluator = None
    with pytest.raises(UsageError, match='--save-best needs a validation'):
        keep_best(cfg, '', 2, save=True)
