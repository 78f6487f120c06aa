"""The plain SMT computes what ours computes, on the same state dict."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SMT
from mmsmt.benchmark.plain_smt import PlainSMT

VARIANTS = {
    'tiny': dict(arch='tiny'),
    'pico': dict(arch='pico'),
    # Of large: layer scale, the stem's kernel, the ratios of the feed-forward.
    'like large': dict(
        arch='pico', layer_scale_init_value=0.5, stem_kernel=7, mlp_ratios=(8, 6, 4, 2)
    ),
    'halves': dict(arch='pico', depths=(1, 1, 4, 1), stacking='halves', sam_expansion=3),
}


def pair(options: dict[str, Any], dtype: torch.dtype = torch.float32) -> tuple[SMT, PlainSMT]:
    """Both forms with the same weights; biases, norms and statistics are not zeros and ones."""
    torch.manual_seed(0)
    ours, plain = SMT(**options), PlainSMT(**options)
    state = {
        name: entry + 0.3 * torch.rand_like(entry) if entry.ndim == 1 else entry
        for name, entry in ours.state_dict().items()
    }
    ours.load_state_dict(state)
    plain.load_state_dict(ours.state_dict())
    return ours.to(dtype), plain.to(dtype)


def difference(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize('size', [(64, 64), (61, 97)], ids=str)
@pytest.mark.parametrize('variant', VARIANTS)
def test_outputs_are_equal(variant: str, size: tuple[int, int]) -> None:
    ours, plain = pair(VARIANTS[variant])
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected, found = ours.eval()(images), plain.eval()(images)
    assert len(found) == 4
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and a.is_contiguous()
        assert difference(a, b) < 1e-5


@pytest.mark.parametrize('variant', ['pico', 'like large'])
def test_gradients_are_equal(variant: str) -> None:
    """In training mode, with the statistics of the batch; drop path is 0 in pico."""

    def gradients(model: nn.Module) -> dict[str, Tensor]:
        images = torch.randn(3, 3, 45, 64, generator=torch.Generator().manual_seed(1)).double()
        sum(x.square().mean() for x in model.train()(images)).backward()
        return {name: parameter.grad for name, parameter in model.named_parameters()}

    expected, found = map(gradients, pair(VARIANTS[variant], torch.float64))
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=lambda m, n=name: f'{n}: {m}')


def test_drop_path_is_that_of_the_variant() -> None:
    ours, plain = SMT('small'), PlainSMT('small')
    rates = [
        [block.drop_path.drop_prob for blocks in model.stages for block in blocks]
        for model in (ours, plain)
    ]
    assert rates[0] == rates[1] and rates[1][-1] == 0.2


def test_other_mixers_are_refused() -> None:
    with pytest.raises(ValueError, match='the plain form has the mixers sam and msa'):
        PlainSMT('pico', mixers=('sam', 'sam', 'sam', 'dwconv'))
