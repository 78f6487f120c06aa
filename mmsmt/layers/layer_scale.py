"""Layer scale (https://arxiv.org/abs/2103.17239)."""

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """Multiply the last axis by a learnable vector.

    Args:
        dim: Number of channels C.
        init_value: Initial value of every entry.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import LayerScale
        >>> LayerScale(3, init_value=0.5)(torch.ones(3)).tolist()
        [0.5, 0.5, 0.5]
    """

    def __init__(self, dim: int, init_value: float = 1e-4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((dim,), float(init_value)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight
