"""What holds for a training step of any network, and for the copies that are made of one."""

import copy
import io
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# Batch norm cannot train where a channel has one value in the whole batch; it says so.
ONE_VALUE = 'Expected more than 1 value per channel when training'


def step(model: nn.Module, images: Tensor) -> dict[str, Tensor] | None:
    """Gradients of a loss that every output pixel has part in; None where batch norm refuses."""
    images = images.clone().requires_grad_()
    torch.manual_seed(0)  # of drop path
    try:
        outputs = model(images)
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        return None
    loss = sum((f.float() * f.detach().float().cos()).mean() for f in outputs)
    if not loss.requires_grad:
        return {}
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return found | {'images': images.grad}


def stage_of(name: str) -> int:
    """Number of the stage, from 1, that an entry of the state dict belongs to."""
    return int(name.split('.')[1]) + 1


@given(data=st.data())
def test_recomputation_and_freezing(cases: st.SearchStrategy, data: st.DataObject) -> None:
    """Gradients are finite, the same with recomputation, and none of what is frozen."""
    case = data.draw(cases)
    rate = data.draw(st.sampled_from([0.0, 0.3]), label='drop path')
    model = case.build(with_cp=True, drop_path_rate=rate)
    plain = case.build(with_cp=False, drop_path_rate=rate)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found, wanted = step(model, case.laid_out()), step(plain, case.images())
    assert (found is None) == (wanted is None)
    for name, want in (wanted or {}).items():
        assert found[name].isfinite().all(), name
        assert torch.equal(found[name], want), name
    for name, value in model.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name
        if stage_of(name) <= case.options['frozen_stages'] or case.options['norm_eval']:
            assert torch.equal(value, before[name]), name
    frozen = [n for n in found or () if n != 'images']
    assert all(stage_of(name) > case.options['frozen_stages'] for name in frozen)
    if wanted:
        reached = max(case.options['out_indices']) + 1
        missing = {
            name
            for name, p in model.named_parameters()
            if p.requires_grad and name not in found and stage_of(name) <= reached
        }
        # Where a stage's norm is for its output alone, frozen ones aside, nothing else lacks one.
        assert missing == set()
    norms = [m for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
    assert not case.options['norm_eval'] or not any(norm.training for norm in norms)


@given(data=st.data())
def test_copies(cases: st.SearchStrategy, data: st.DataObject) -> None:
    """A copy, a pickle and a state dict give the network, before and after a training step."""
    case = data.draw(cases)
    model = case.build()
    if data.draw(st.booleans(), label='trained') and len(model.out_indices):
        step(model, case.laid_out())
    model.eval()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    torch.manual_seed(case.seed + 1)
    fresh = type(model)(**case.options).to(case.dtype).eval()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        wanted = model(case.images())
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fresh):
            assert other.state_dict().keys() == model.state_dict().keys()
            for got, want in zip(other(case.laid_out()), wanted, strict=True):
                assert torch.equal(got, want)


@pytest.mark.parametrize('network', ['SMT', 'SGFormer', 'UnifiedBackbone'])
def test_batch_norm_refuses_one_value(network: str) -> None:
    """Control of what `step` lets pass: only networks with scale-aware modulation or SMT's stem."""
    import mmsmt.backbones

    model = getattr(mmsmt.backbones, network)(arch='pico')
    assert (step(model, torch.zeros(1, 3, 4, 4)) is None) == (network == 'SMT')
