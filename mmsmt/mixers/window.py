"""Shifted window attention, the mixer of Swin, with and without the released quirks.

Paper: https://arxiv.org/abs/2103.14030, sections 3.2 and 3.3, as used by the unified models
(https://arxiv.org/abs/2211.05781).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.errors import ConfigError
from mmsmt.layers import cached_constant, init_truncated, pad_to_multiple, to_windows

MOST_HEADS = 2**16 - 1  # rows of a CUDA grid; PyTorch's kernels use one per head
APART = -100.0  # the released mask between regions; exp(-100) vanishes next to 1 in float32


def relative_index(window: int) -> Tensor:
    """Return the bias table rows for all pairs of pixels of a window.

    Args:
        window: Side of the window.

    Returns:
        (window, window, window, window), rows and columns of queries, then of keys: the offset in
            rows, then in columns, counted from -(window - 1). A smaller window uses an inner part,
            as an offset keeps its row.
    """
    place = torch.arange(window)
    offset = place[:, None] - place + window - 1
    return offset[:, None, :, None] * (2 * window - 1) + offset[None, :, None, :]


@cached_constant
def window_regions(
    height: int, width: int, window: int, shift: int, device: torch.device
) -> Tensor:
    """Number the regions of a padded, then rolled map that were adjacent before.

    Args:
        height: Rows of the map before padding.
        width: Columns of the map before padding.
        window: Side of a window.
        shift: Rows and columns by which the map is rolled up and left.
        device: Device of the result.

    Returns:
        (windows, window^2) in int8: a number from 0 for each region, -1 - number in the padding.
    """
    rows, real_rows = _regions_along(height, window, shift, device)
    columns, real_columns = _regions_along(width, window, shift, device)
    region = 3 * rows[:, None] + columns
    region = torch.where(real_rows[:, None] & real_columns, region, -1 - region)
    return to_windows(region[None, ..., None], window)[..., 0]


def _regions_along(
    length: int, window: int, shift: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the region of each position along one side, and whether it is not padding."""
    padded = length + -length % window
    place = torch.arange(padded, device=device)
    region = (place >= padded - window).char() + (place >= padded - shift).char()
    return region * bool(shift), (place + shift) % padded < length


def window_mask(regions: Tensor, mask_padding: bool) -> Tensor:
    """Return the mask to add to the logits of windows.

    Args:
        regions: Regions of the pixels (windows, window^2), as numbered by `window_regions`.
        mask_padding: Whether padding is masked.

    Returns:
        (windows, window^2, window^2) in float16, which represents its three values exactly: `APART`
            between pixels that only rolling brought together, -inf where a key is padding, else 0.
    """
    keys, region = regions[:, None], regions.maximum(-1 - regions)
    mask = torch.where(region[:, :, None] != region[:, None], APART, 0.0).half()
    # Every window holds a pixel of the map, so no row is -inf throughout.
    return mask.masked_fill_(keys < 0, -torch.inf) if mask_padding else mask


def attend_in_parts(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Run fused attention on (B, heads, N, d), at most `MOST_HEADS` heads at a time."""
    parts = zip(*(t.split(MOST_HEADS, dim=1) for t in (q, k, v, bias)), strict=True)
    mixed = [F.scaled_dot_product_attention(*part) for part in parts]
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=1)


@torch.fx.wrap
def fit_window(size: tuple[int, int], window: int, shift: int, small: bool) -> tuple[int, int]:
    """Return window and shift for a map; with `small` a window never exceeds the map.

    Args:
        size: Height and width of the map.
        window: Side of a window.
        shift: Rows and columns by which the map is rolled.
        small: Whether to apply the `small_map_rule` of `ShiftedWindowAttention`.

    Returns:
        The window and shift to use.
    """
    return (min(size), 0) if small and min(size) <= window else (window, shift)


@torch.fx.wrap
def roll_map(x: Tensor, shift: int) -> Tensor:
    """Roll a map (B, H, W, C) down and to the right; a shift of 0 returns it without a copy."""
    return x.roll((shift, shift), (1, 2)) if shift else x


@torch.fx.wrap
def add_mask(
    bias: Tensor, size: tuple[int, int], window: int, shift: int, mask_padding: bool
) -> Tensor:
    """Add masks of windows to a bias (heads, window^2, window^2), if the map needs any.

    Returns:
        (heads, window^2, window^2), or (windows, heads, window^2, window^2).
    """
    if shift or (mask_padding and (size[0] % window or size[1] % window)):
        regions = window_regions(*size, window, shift, bias.device)
        return bias + window_mask(regions, mask_padding)[:, None]
    return bias


@torch.fx.wrap
def attend_windows(qkv: Tensor, bias: Tensor, window: int, num_heads: int) -> Tensor:
    """Attend inside windows.

    Args:
        qkv: Map (B, H, W, 3 C) that windows fill exactly.
        bias: Bias of the logits, as returned by `add_mask`.
        window: Side of a window.
        num_heads: Number of heads.

    Returns:
        Map (B, H, W, C).
    """
    cells = qkv.unflatten(2, (-1, window)).unflatten(1, (-1, window))
    # (3, B, rows, columns, heads, w, w, C / heads)
    qkv = cells.unflatten(-1, (3, num_heads, -1)).permute(5, 0, 1, 3, 6, 2, 4, 7)
    # One mask serves the whole batch: windows are merged with the heads, which attention
    # broadcasts, so the bias of masked windows has windows * heads heads.
    bias = bias.to(qkv.dtype).flatten(0, -3)[None]
    q, k, v = qkv.reshape(3, -1, bias.shape[1], window**2, qkv.shape[-1])
    mixed = attend_in_parts(q, k, v, bias).reshape(qkv.shape[1:])
    return mixed.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4).flatten(1, 2)


class ShiftedWindowAttention(nn.Module):
    """Attention inside windows with relative positions, optionally of a shifted map.

    The map is padded with zeros at the right and at the bottom until windows fill it.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, consecutive slices of the channels.
        window: Side of a window.
        shift: Rows and columns by which the map is rolled; 0 for no shift.
        mask_padding: Whether padding is masked, which is right for every map size. False is the
            released detection code, where padded pixels count, with the biases as keys and values.
        small_map_rule: Whether a map no larger than a window in one direction is not shifted and
            has windows of that size, as in the released classification code (which builds a smaller
            bias table; here it is the inner part of the only one). False: window and shift are
            always as given, as in the released detection code.

    Raises:
        ValueError: If `dim` is not a multiple of `num_heads`, `window` is below 1, or `shift` is
            not from 0 to `window` - 1.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import ShiftedWindowAttention
        >>> ShiftedWindowAttention(32, shift=3)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    relative_index: Tensor

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        window: int = 7,
        shift: int = 0,
        mask_padding: bool = True,
        small_map_rule: bool = True,
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ConfigError(
                f'window attention: dim {dim} is not a multiple of num_heads {num_heads}'
            )
        if not 0 <= shift < window:
            raise ConfigError(
                f'window attention: shift must be from 0 to window - 1, got {shift} and {window}'
            )
        self.num_heads = num_heads
        self.window = window
        self.shift = shift
        self.mask_padding = mask_padding
        self.small_map_rule = small_map_rule
        self.qkv = nn.Linear(dim, 3 * dim)
        self.relative_position_bias_table = nn.Parameter(
            torch.empty((2 * window - 1) ** 2, num_heads)
        )
        self.proj = nn.Linear(dim, dim)
        self.register_buffer('relative_index', relative_index(window), persistent=False)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.apply(init_truncated)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        _, height, width, _ = x.shape
        size = height, width
        window, shift = fit_window(size, self.window, self.shift, self.small_map_rule)
        x = roll_map(pad_to_multiple(x, window), -shift)
        index = self.relative_index
        bias = self.relative_position_bias_table[index.flatten()].unflatten(0, index.shape)
        bias = bias[:window, :window, :window, :window].flatten(2, 3).flatten(0, 1)
        bias = add_mask(bias.permute(2, 0, 1), size, window, shift, self.mask_padding)
        x = attend_windows(self.qkv(x), bias, window, self.num_heads)
        return self.proj(roll_map(x, shift)[:, :height, :width])
