"""Where there is a GPU, configs and linear layers stay as they are."""

import copy

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmsmt.engine import runner
from mmsmt.engine.distributed import prepare_cpu_processes
from mmsmt.engine.hooks.start_summary import _describe_device
from mmsmt.engine.patches import replace_amp_without_gpu
from mmsmt.layers import use_onednn_linear

pytestmark = pytest.mark.cuda


def test_a_distributed_config_stays_as_it_is() -> None:
    cfg = Config(
        dict(
            launcher='pytorch',
            model=dict(backbone=dict(norm_cfg=dict(type='SyncBN'))),
            strategy=dict(type='FSDPStrategy'),
            optim_wrapper=dict(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic'),
        )
    )
    before = copy.deepcopy(cfg.to_dict())
    prepare_cpu_processes(cfg)
    replace_amp_without_gpu(cfg)
    assert cfg.to_dict() == before
    assert not torch.distributed.is_initialized()


def test_a_runner_switches_onednn_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(cfg: Config) -> None:
        raise InterruptedError

    monkeypatch.setattr(runner, 'prepare_cpu_processes', stop)
    plain = nn.Linear.forward
    use_onednn_linear()
    assert nn.Linear.forward is not plain
    with pytest.raises(InterruptedError):
        runner.build_runner(Config())
    assert nn.Linear.forward is plain


def test_the_summary_names_the_gpu() -> None:
    model = nn.Linear(1, 1)
    assert _describe_device(model) == 'cpu'
    assert _describe_device(model.cuda()) == torch.cuda.get_device_name()
