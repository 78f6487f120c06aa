"""Options of the command line: `--show-dir` and `--auto-scale-lr`."""

import logging
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import nn

from mmsmt.engine.arguments import apply_test_options, apply_train_options
from mmsmt.errors import UsageError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def asked(**options: Any) -> Namespace:
    """Arguments of a test."""
    usual = dict(checkpoint='some.pth', tta=False, deploy=False, out=None, show_dir=None)
    return Namespace(**usual | dict(precision='float32') | options)


def test_show_dir_needs_something_that_draws() -> None:
    cfg = Config.fromfile(CONFIGS / 'digits/cls_smt_pico.py')
    cfg.visualizer = None
    with pytest.raises(UsageError, match='visualizer'):
        apply_test_options(cfg, asked(show_dir='pictures'))


@pytest.mark.parametrize(('batch', 'counts', 'factor'), [(64, 1, 1.0), (32, 1, 0.5), (16, 2, 0.5)])
def test_scaled_rate_counts_accumulated_batches(batch: int, counts: int, factor: float) -> None:
    cfg = Config(
        dict(
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=counts),
            auto_scale_lr=dict(base_batch_size=64, enable=False),
        )
    )
    off = dict(resume=None, amp=False, no_validate=False, on_bad=None, seed=None)
    off |= dict(epochs=None, save_best=None, early_stop=None)
    options = Namespace(auto_scale_lr=True, **off)
    apply_train_options(cfg, options)
    wrapper = build_optim_wrapper(nn.Linear(1, 1), cfg.optim_wrapper)
    runner = SimpleNamespace(
        _train_dataloader=dict(batch_size=batch),
        world_size=1,
        logger=logging.getLogger(),
        param_schedulers=[],
    )
    Runner.scale_lr(runner, wrapper, cfg.auto_scale_lr)
    assert wrapper.optimizer.param_groups[0]['lr'] == pytest.approx(0.1 * factor)


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (dict(checkpoint='none.onnx'), 'none.onnx: no such file'),
        (dict(checkpoint='none.xml', tta=True), 'none.xml: exported files do not support --tta'),
        (
            dict(checkpoint='none.xml', deploy=True),
            'none.xml: exported files do not support --deploy',
        ),
        (dict(precision='bfloat16'), '--precision bfloat16 only applies to exported files'),
    ],
)
def test_of_exported_files(options: dict, says: str) -> None:
    cfg = Config.fromfile(CONFIGS / 'digits/cls_smt_pico.py')
    with pytest.raises(UsageError, match=says):
        apply_test_options(cfg, asked(**options))
