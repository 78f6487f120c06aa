"""Scale-aware modulation (SAM), the convolutional token mixer of SMT.

Every head filters its slice of the channels with its own kernel size (3, 5, 7, 9). An
aggregation mixes channel g of all heads, and the result multiplies the value branch. There is
no softmax, so the cost grows linearly with the number of pixels.

The aggregation is group-major: its input channel n*g + h holds channel g of head h.
Head-major order would have the same shapes and load the same weights, but compute another
function; the golden test tells them apart.

Paper: https://arxiv.org/abs/2307.08579, section 3.1; layout as in the released code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.errors import ConfigError
from mmsmt.layers import checkpointed, conv_channels_last, init_layer


class ScaleAwareModulation(nn.Module):
    """Scale-aware modulation: multi-head mixed convolution, aggregation, modulation.

    Args:
        dim: Number of channels C.
        num_heads: Number n of heads; head h has kernel 3 + 2h.
        expansion: Width of the aggregation as a multiple of C.
        recompute: Recompute the wide maps in the backward pass to save memory.

    Raises:
        ValueError: If `dim` is not a multiple of `num_heads`.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import ScaleAwareModulation
        >>> ScaleAwareModulation(32)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(
        self, dim: int, num_heads: int = 4, expansion: int = 2, recompute: bool = False
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ConfigError(f'SAM: dim {dim} is not a multiple of num_heads {num_heads}')
        self.num_heads = num_heads
        self.recompute = recompute
        width = dim // num_heads
        self.value = nn.Linear(dim, dim)
        self.context = nn.Linear(dim, dim)
        self.head_convs = nn.ModuleList(
            nn.Conv2d(width, width, 3 + 2 * head, padding=1 + head, groups=width)
            for head in range(num_heads)
        )
        self.expand = nn.Conv2d(dim, expansion * dim, 1, groups=width)
        self.bn = nn.BatchNorm2d(expansion * dim)
        self.reduce = nn.Conv2d(expansion * dim, dim, 1)
        self.proj = nn.Linear(dim, dim)
        self.apply(init_layer)

    def modulator(self, x: Tensor) -> Tensor:
        """Return the modulation map M of a normalised map, both (B, H, W, C)."""
        heads = self.context(x).chunk(self.num_heads, dim=-1)
        filtered = [conv_channels_last(conv, heads[i]) for i, conv in enumerate(self.head_convs)]
        return conv_channels_last(self._aggregate, torch.stack(filtered, dim=-1).flatten(-2))

    def _aggregate(self, groups: Tensor) -> Tensor:
        hidden = self.bn(self.expand(groups))
        return checkpointed(self._activate_and_reduce, hidden, when=self.recompute)

    def _activate_and_reduce(self, hidden: Tensor) -> Tensor:
        return self.reduce(F.gelu(hidden))

    def _modulate(self, modulator: Tensor, value: Tensor) -> Tensor:
        return self.proj(modulator * value)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        return checkpointed(self._modulate, self.modulator(x), self.value(x), when=self.recompute)
