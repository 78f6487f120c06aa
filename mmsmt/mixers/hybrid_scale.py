"""Hybrid-scale attention, the mixer of SG-Former's even blocks.

Half of the heads look at the whole map, reduced by a strided convolution, half at windows. As
a by-product it says how significant every pixel is, which the self-guided block after it uses.

Paper: https://arxiv.org/abs/2308.12216, section 3.2; sizes other than 224 x 224 are ours.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.errors import ConfigError
from mmsmt.layers import (
    LocalPosition,
    attend,
    conv_channels_last,
    from_windows,
    init_layer,
    key_significance,
    pad_to_multiple,
    to_windows,
)

torch.fx.wrap('key_significance')


@torch.fx.wrap
def mask_windows(x: Tensor, window: int) -> tuple[Tensor | None, Tensor | None]:
    """Which pixels of the windows of a map (B, H, W, C) are its own; None where all are.

    Returns:
        (B * windows, window^2), and the same as a mask of keys for `attend`.
    """
    batch, height, width, _ = x.shape
    if not (height % window or width % window):
        return None, None
    ones = torch.ones(1, height, width, 1, dtype=torch.bool, device=x.device)
    valid = to_windows(ones, window).squeeze(-1).repeat(batch, 1)
    return valid, valid[:, None, None]


class HybridScaleAttention(nn.Module):
    """Global heads on a reduced map, local heads in windows, and the significance of pixels.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, even; the first half are global.
        reduction: Kernel and stride of the convolution that reduces keys and values.
        window: Side of a window; in the last ones of a map only its own pixels take part.

    Raises:
        ValueError: If `num_heads` is odd or `dim` no multiple of it, or a size is below 1.
    """

    gives_significance = True

    def __init__(self, dim: int, num_heads: int = 2, reduction: int = 8, window: int = 7) -> None:
        super().__init__()
        if num_heads < 2 or num_heads % 2 or dim % num_heads:
            raise ConfigError(
                f'hybrid-scale attention: num_heads must be even and divide dim {dim}, '
                f'got {num_heads}'
            )
        if reduction < 1 or window < 1:
            raise ConfigError(
                f'hybrid-scale attention: reduction and window must be at least 1, '
                f'got {reduction} and {window}'
            )
        self.num_heads = num_heads
        self.reduction = reduction
        self.window = window
        self.reduce = nn.Conv2d(dim, dim, reduction, stride=reduction)
        self.norm = nn.LayerNorm(dim, eps=1e-5)
        self.q1 = nn.Linear(dim, dim // 2)
        self.kv1 = nn.Linear(dim, dim)
        self.q2 = nn.Linear(dim, dim // 2)
        self.kv2 = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)
        self.apply(init_layer)
        self.lepe = LocalPosition(dim)

    def _look_globally(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The global heads' result (B, H, W, C / 2) and significance (B, H, W)."""
        _, height, width, _ = x.shape
        reduced = conv_channels_last(self.reduce, pad_to_multiple(x, self.reduction))
        reduced = F.gelu(self.norm(reduced))
        q = self.q1(x)
        k, v = self.kv1(reduced).chunk(2, dim=-1)
        heads = self.num_heads // 2
        # Mean over the queries, times keys / 49: at 224 x 224 there are 49 keys.
        keys_per_query = reduced.shape[1] * reduced.shape[2] / (height * width)
        significance = key_significance(q, k, heads) * (keys_per_query / self.window**2)
        significance = significance.unflatten(1, reduced.shape[1:3])
        for axis in (1, 2):
            significance = significance.repeat_interleave(self.reduction, dim=axis)
        return attend(q, k, v, heads), significance[:, :height, :width]

    def _look_locally(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The local heads' result (B, H, W, C / 2) and significance (B, H, W)."""
        _, height, width, _ = x.shape
        q = to_windows(self.q2(x), self.window)
        k, v = to_windows(self.kv2(x), self.window).chunk(2, dim=-1)
        heads = self.num_heads // 2
        valid, mask = mask_windows(x, self.window)
        # Not the mean over a window's own queries: in a small window all would be significant.
        significance = key_significance(q, k, heads, valid) / self.window**2
        significance = from_windows(significance[..., None], self.window, height, width)
        mixed = attend(q, k, v, heads, mask)
        return from_windows(mixed, self.window, height, width), significance[..., 0]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mix a map, and tell the significance of its pixels.

        Significance is the attention that a pixel receives in its window, plus that which its
        reduced pixel receives in the whole map, mean over heads and queries. Each of the two
        has a mean of about 1 / 49 at every size of the map, so that neither outweighs the other.

        Args:
            x: Normalised map (B, H, W, C).

        Returns:
            The mixed map (B, H, W, C); the significance (B, H, W), without gradient, in
            float32 at least.
        """
        seen_globally, global_part = self._look_globally(x)
        seen_locally, local_part = self._look_locally(x)
        attended = torch.cat([seen_globally, seen_locally], dim=-1)
        return self.proj(attended + self.lepe(x)), global_part + local_part
