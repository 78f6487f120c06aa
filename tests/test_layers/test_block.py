"""The residual block: its equation, layer scale, and one stochastic depth per branch."""

import pytest
import torch
from torch import Tensor, nn

from mmsmt.layers import LayerScale, ResidualBlock


class Scale(nn.Module):
    """Stands in for a mixer or a feed-forward; remembers nothing."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def layer_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    spread = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return centred / spread * norm.weight + norm.bias


@pytest.mark.parametrize('gamma', [0.0, 0.25])
def test_block_is_two_pre_norm_branches(gamma: float) -> None:
    block = ResidualBlock(6, Scale(2.0), Scale(-3.0), layer_scale_init_value=gamma)
    for norm in (block.norm1, block.norm2):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x = torch.randn(2, 3, 4, 6)
    scale = gamma or 1.0
    want = x + scale * 2.0 * layer_norm(x, block.norm1)
    want = want + scale * -3.0 * layer_norm(want, block.norm2)
    torch.testing.assert_close(block(x), want)


def test_layer_scale_is_learnable_and_per_channel() -> None:
    scale = LayerScale(3, 1e-4)
    assert scale.weight.requires_grad
    torch.testing.assert_close(scale.weight.detach(), torch.full((3,), 1e-4))
    scale.weight.data = torch.tensor([1.0, 2.0, 3.0])
    out = scale(torch.ones(2, 4, 4, 3))
    torch.testing.assert_close(out, torch.tensor([1.0, 2.0, 3.0]).expand(2, 4, 4, 3))


def test_no_layer_scale_has_no_parameters() -> None:
    names = dict(ResidualBlock(4, Scale(1), Scale(1)).named_parameters())
    assert set(names) == {'norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias'}


def test_branches_are_dropped_each_on_its_own() -> None:
    """Of many samples a quarter loses both branches, a half exactly one."""
    torch.manual_seed(0)
    block = ResidualBlock(4, nn.Identity(), nn.Identity(), drop_path=0.5).train()
    # Identity branches of a constant sign pattern: 1 + 2 k, k branches kept, in first place.
    x = torch.tensor([1.0, -1.0, 1.0, -1.0]).expand(4000, 1, 1, 4)
    kept = ((block(x)[:, 0, 0, 0] - 1) / 2).round()
    shares = torch.stack([(kept == k).float().mean() for k in range(3)])
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.5, 0.25]), atol=0.035, rtol=0)


@pytest.mark.parametrize('keep', [True, False])
def test_positions_stay_in_the_result_or_not(keep: bool) -> None:
    class Shift(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.arange(6.0)

    block = ResidualBlock(6, Scale(2.0), Scale(0.0), position=Shift(), keep_position=keep)
    x = torch.randn(2, 3, 4, 6)
    placed = x + torch.arange(6.0)
    want = (placed if keep else x) + 2.0 * layer_norm(placed, block.norm1)
    torch.testing.assert_close(block(x), want)


def test_declared_significance_goes_in_and_comes_out() -> None:
    class Guided(nn.Module):
        gives_significance = takes_significance = True

        def forward(self, x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
            return x * guide[..., None], 2 * guide

    block = ResidualBlock(6, Guided(), Scale(0.0))
    x, guide = torch.randn(2, 3, 4, 6), torch.rand(2, 3, 4)
    out, rest = block(x, guide)
    torch.testing.assert_close(out, x + guide[..., None] * layer_norm(x, block.norm1))
    assert torch.equal(rest, 2 * guide)
