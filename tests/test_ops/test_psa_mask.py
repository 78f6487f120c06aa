import mmcv.ops.psa_mask
import pytest
import torch
from operator_references.convolutions import MASKS, load, run_mask
from torch.testing import assert_close

from mmsmt.ops import psa_mask

GOLDEN = load('psa_mask')
KINDS = ('collect', 'distribute')


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmcv.ops.psa_mask, 'ext_module', psa_mask)


@pytest.mark.parametrize('kind', range(2))
@pytest.mark.parametrize('name', MASKS)
def test_equals_the_compiled_operator(name: str, kind: int) -> None:
    found = run_mask(MASKS[name], kind)
    for quantity, wanted in GOLDEN[f'{name}_{KINDS[kind]}'].items():
        assert_close(found[quantity], wanted, rtol=0, atol=0)  # values move, none changes


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize('kind', range(2))
def test_other_types_move_the_same_values(kind: int, dtype: torch.dtype) -> None:
    found = run_mask(MASKS['window_larger_than_map'], kind, dtype)
    wanted = run_mask(MASKS['window_larger_than_map'], kind)
    for quantity, tensor in found.items():
        assert tensor.dtype == dtype
        assert_close(tensor, wanted[quantity].to(dtype), rtol=0, atol=2e-6)


@pytest.mark.parametrize('kind', range(2))
def test_what_is_outside_the_windows_stays(kind: int) -> None:
    output = torch.full((1, 12, 3, 4), 7.0)
    places = (kind, 1, 3, 4, 1, 3, 0, 1)
    psa_mask.psamask_forward(torch.ones(1, 3, 3, 4), output, *places)
    assert set(output.unique().tolist()) == {1.0, 7.0}
    grad = torch.full((1, 3, 3, 4), 7.0)
    psa_mask.psamask_backward(output, grad, *places)
    assert grad[0, 1].eq(1).all() and grad[0, 0, :, 0].eq(7).all() and grad[0, 2, :, 3].eq(7).all()


def test_gradient_that_is_not_contiguous() -> None:
    x = torch.randn(1, 9, 3, 4, requires_grad=True)
    other = torch.randn(1, 12, 4, 3).transpose(2, 3)
    (first,) = torch.autograd.grad((mmcv.ops.psa_mask.psa_mask(x, 0, 3) * other).sum(), x)
    (second,) = torch.autograd.grad(mmcv.ops.psa_mask.psa_mask(x, 0, 3), x, other)
    assert_close(first, second, rtol=0, atol=0)
