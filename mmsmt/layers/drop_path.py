"""Stochastic depth per sample (https://arxiv.org/abs/1603.09382)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def linear_drop_path_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Spread a drop-path rate linearly over all blocks of a network.

    Args:
        rate: Rate of the last block; the first block has rate 0.
        depths: Number of blocks of each stage.

    Returns:
        For each stage, the rates of its blocks.

    Examples:
        >>> from mmsmt.layers import linear_drop_path_rates
        >>> linear_drop_path_rates(0.5, (2, 1))
        [[0.0, 0.25], [0.5]]
    """
    total = sum(depths)
    rates = (rate * block / max(total - 1, 1) for block in range(total))
    return [[next(rates) for _ in range(depth)] for depth in depths]


@torch.fx.wrap
def drop_path(x: Tensor, drop_prob: float) -> Tensor:
    """Zero each sample of (B, ...) with probability `drop_prob`, and rescale the others."""
    keep = 1.0 - drop_prob
    mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
    return x * (mask / keep)


class DropPath(nn.Module):
    """Drop a residual branch for whole samples and rescale the others.

    Args:
        drop_prob: Probability that a sample loses the branch, in [0, 1).

    Raises:
        ValueError: If `drop_prob` is outside [0, 1).

    Examples:
        >>> import torch
        >>> from mmsmt.layers import DropPath
        >>> drop = DropPath(0.2).train()
        >>> drop(torch.ones(4, 8, 8, 32)).shape
        torch.Size([4, 8, 8, 32])
    """

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= drop_prob < 1.0:
            raise ValueError(f'drop_prob must be in [0, 1), got {drop_prob}')
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        return drop_path(x, self.drop_prob) if self.training and self.drop_prob else x

    def extra_repr(self) -> str:
        return f'drop_prob={self.drop_prob:.3f}'
