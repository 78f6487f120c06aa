"""Options of the command line: `--show-dir` and `--auto-scale-lr`."""

import logging
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, init_default_scope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch import nn

from mmsmt.engine.arguments import apply_test_options, apply_train_options
from mmsmt.errors import UsageError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def asked(**options: Any) -> Namespace:
    """Arguments of a test."""
    usual = dict(checkpoint='some.pth', tta=False, deploy=False, out=None, show_dir=None)
    return Namespace(**usual | dict(precision='float32') | options)


def with_show_dir(cfg: Config, folder: str) -> Any:
    """The hook that a test with this folder has."""
    apply_test_options(cfg, asked(show_dir=folder))
    init_default_scope(cfg.default_scope)
    Visualizer.get_instance('show_dir')  # the hooks ask for the latest one
    return HOOKS.build(cfg.default_hooks.visualization)


@pytest.mark.parametrize(
    ('config', 'on', 'folder'),
    [
        ('digits/cls_smt_pico.py', 'enable', 'out_dir'),
        ('digits/mask_rcnn_smt_pico.py', 'draw', 'test_out_dir'),
        ('digits/upernet_smt_pico.py', 'draw', None),
        ('cls/smt_t_in1k.py', 'enable', 'out_dir'),
        ('det/retinanet_smt_t_1x.py', 'draw', 'test_out_dir'),
        ('seg/upernet_smt_t_160k_ade20k.py', 'draw', None),
    ],
)
def test_switches_the_hook_on(config: str, on: str, folder: str | None, tmp_path: Path) -> None:
    cfg = Config.fromfile(CONFIGS / config)
    hook = with_show_dir(cfg, str(tmp_path))
    assert getattr(hook, on)
    written = getattr(hook, folder) if folder else cfg.visualizer.save_dir
    assert Path(written) == tmp_path


def test_a_hook_that_cannot_draw_is_named() -> None:
    cfg = Config.fromfile(CONFIGS / 'digits/cls_smt_pico.py')
    cfg.default_hooks.visualization = ConfigDict(type='IterTimerHook')
    with pytest.raises(UsageError, match='IterTimerHook'):
        with_show_dir(cfg, 'pictures')


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
