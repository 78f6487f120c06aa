"""Hybrid-scale attention, the mixer of SG-Former's even blocks.

Half of the heads attend to the whole map, reduced by a strided convolution, the others to windows.
As a by-product they give the significance of every pixel, for the self-guided block that follows.

Paper: https://arxiv.org/abs/2308.12216, section 3.2; support for other sizes than 224 x 224 is
ours.
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
    """Return which pixels of the windows of a map (B, H, W, C) are not padding; None if all are.

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
    """Global heads on a reduced map and local heads in windows; also returns significance.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, even; the first half are global.
        reduction: Kernel and stride of the convolution that reduces keys and values.
        window: Side of a window; padding in the last windows is masked.

    Raises:
        ValueError: If `num_heads` is odd or does not divide `dim`, or a size is below 1.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import HybridScaleAttention
        >>> mixed, significance = HybridScaleAttention(32)(torch.rand(1, 14, 14, 32))
        >>> mixed.shape, significance.shape
        (torch.Size([1, 14, 14, 32]), torch.Size([1, 14, 14]))
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
        """Return the global heads' result (B, H, W, C / 2) and significance (B, H, W)."""
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
        """Return the local heads' result (B, H, W, C / 2) and significance (B, H, W)."""
        _, height, width, _ = x.shape
        q = to_windows(self.q2(x), self.window)
        k, v = to_windows(self.kv2(x), self.window).chunk(2, dim=-1)
        heads = self.num_heads // 2
        valid, mask = mask_windows(x, self.window)
        # Not the mean over the window's own queries: in a small window all would be significant.
        significance = key_significance(q, k, heads, valid) / self.window**2
        significance = from_windows(significance[..., None], self.window, height, width)
        mixed = attend(q, k, v, heads, mask)
        return from_windows(mixed, self.window, height, width), significance[..., 0]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mix a map, and return the significance of its pixels.

        Significance is the attention that a pixel receives in its window plus the attention that
        its reduced pixel receives in the whole map, averaged over heads and queries. Each term has
        a mean of about 1 / 49 at every size of the map, so that neither dominates.

        Args:
            x: Normalised map (B, H, W, C).

        Returns:
            The mixed map (B, H, W, C); the significance (B, H, W), without gradient, at least
                float32.
        """
        seen_globally, global_part = self._look_globally(x)
        seen_locally, local_part = self._look_locally(x)
        attended = torch.cat([seen_globally, seen_locally], dim=-1)
        return self.proj(attended + self.lepe(x)), global_part + local_part
