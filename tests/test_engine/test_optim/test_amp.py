"""Mixed precision with and without a GPU."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmsmt.backbones import SMT
from mmsmt.engine.patches import replace_types


def test_cpu_amp_computes_in_bfloat16_and_keeps_float32_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = Config(
        dict(
            optim_wrapper=dict(
                type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='SGD', lr=0.1)
            )
        )
    )
    replace_types(cfg)
    torch.manual_seed(0)
    model = SMT(arch='pico', out_indices=(3,))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    images = torch.rand(2, 3, 64, 64)
    exact = model(images)[0]
    with wrapper.optim_context(model):
        mixed = model(images)[0]
    assert not torch.equal(mixed.float(), exact)
    error = (mixed - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert error < 0.021, error  # twice of what is measured
    before = model.stages[0][0].ffn.fc1.weight.clone()
    wrapper.update_params(mixed.float().square().mean())
    after = model.stages[0][0].ffn.fc1.weight
    assert after.dtype == torch.float32 and not torch.equal(after, before)


@pytest.mark.cuda
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_with_a_gpu_mmengines_wrapper_trains(dtype: str) -> None:
    """It stays what the config says; the loss scale skips no step."""
    optimizer = dict(type='SGD', lr=0.1)
    wrapper_cfg = dict(type='AmpOptimWrapper', dtype=dtype, loss_scale=512.0, optimizer=optimizer)
    cfg = Config(dict(optim_wrapper=wrapper_cfg))
    replace_types(cfg)
    assert cfg.optim_wrapper == wrapper_cfg
    torch.manual_seed(0)
    model = SMT(arch='pico', out_indices=(3,)).cuda()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    images = torch.rand(2, 3, 64, 64).cuda()
    before = model.stages[0][0].ffn.fc1.weight.clone()
    with wrapper.optim_context(model):
        mixed = model(images)[0]
        loss = (mixed * mixed.roll(1, 1)).float().mean()
    wrapper.update_params(loss)
    after = model.stages[0][0].ffn.fc1.weight
    assert after.isfinite().all() and not torch.equal(after, before)
