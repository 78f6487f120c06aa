"""Deformable convolution with softmax modulation (DCNv3), the mixer of InternImage.

Paper: https://arxiv.org/abs/2211.05778, section 3.1; layouts as in the released code of the
unified models (https://arxiv.org/abs/2211.05781).

No compiled operator is needed. Without gradients on a CPU an embedding bag samples, in a quarter
to half of the time of `F.grid_sample`; otherwise `F.grid_sample`, because the backward pass of the
bag takes up to twice as long (benchmarks/dcnv3_operators.py of commit 696d7b6).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.errors import ConfigError
from mmsmt.layers import conv_channels_last, init_truncated

POINTS = 9


def moved_points(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Convert offsets (B, H, W, heads, 9, 2) to columns and rows (B, H, W, heads, 9), in pixels.

    The nine points of a 3x3 neighbourhood are in the released order, column by column.
    """
    _, height, width = offsets.shape[:3]
    steps = torch.arange(-1, 2, device=offsets.device)
    column = torch.arange(width, device=offsets.device)[:, None, None] + steps.repeat_interleave(3)
    row = torch.arange(height, device=offsets.device)[:, None, None, None] + steps.repeat(3)
    return offsets[..., 0] + column, offsets[..., 1] + row


def sample_by_bags(v: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of a map at moved points: bilinear, zero outside the map.

    Every head of a pixel is a row of an embedding table, and its result a bag of 36 rows, 4 corners
    of 9 points. This reads channels-last memory in place, but its backward pass is slow.

    Args:
        v: Map (B, H, W, C).
        offsets: Displacements of the points, (B, H, W, heads, 9, 2), in pixels, x before y.
        weights: Weights of the points, (B, H, W, heads, 9).

    Returns:
        Map (B, H, W, C).
    """
    batch, height, width, heads = weights.shape[:4]
    table = F.pad(v, (0, 0, 1, 1, 1, 1))  # points farther out are clamped to this border
    x, y = moved_points(offsets)
    x, y = x.clamp(-1, width), y.clamp(-1, height)
    # Clamp the integers too: a NaN must reach the result, not the index.
    left = x.floor().int().clamp(-1, width - 1)
    top = y.floor().int().clamp(-1, height - 1)
    lower = weights * (y - top)
    upper = weights - lower
    rights = x - left
    lower_right, upper_right = lower * rights, upper * rights
    corners = [upper - upper_right, upper_right, lower - lower_right, lower_right]
    shares = torch.stack(corners, -1).flatten(-2)
    image, head = (torch.arange(n, device=v.device, dtype=torch.int32) for n in (batch, heads))
    right, below = heads, (width + 2) * heads  # table rows to the next pixel
    first = image[:, None, None, None, None] * ((height + 2) * below) + head[:, None]
    first = first + (top + 1) * below + (left + 1) * right
    rows = torch.stack([first, first + right, first + below, first + below + right], -1)
    mixed = F.embedding_bag(
        rows.flatten(0, 3).flatten(1),
        table.reshape(-1, v.shape[-1] // heads),
        mode='sum',
        per_sample_weights=shares.flatten(0, 3),
    )
    return mixed.reshape(v.shape)


def sample_by_grid(v: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Same as `sample_by_bags`, but faster with gradients; keeps all nine points in memory."""
    _, height, width, heads = weights.shape[:4]
    x, y = moved_points(offsets)
    # -1 and 1 are the edges of the map, half a pixel from the outermost centres.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    grid = grid.permute(0, 3, 1, 2, 4, 5).flatten(0, 1).flatten(2, 3)
    values = v.unflatten(-1, (heads, -1)).permute(0, 3, 4, 1, 2).flatten(0, 1)
    sampled = F.grid_sample(values, grid, align_corners=False).unflatten(-1, (width, POINTS))
    shares = weights.permute(0, 3, 1, 2, 4).flatten(0, 1)[:, None]
    mixed = (sampled * shares).sum(-1).unflatten(0, (-1, heads))
    return mixed.permute(0, 3, 4, 1, 2).flatten(3)


@torch.fx.wrap
def sample(v: Tensor, offsets: Tensor, logits: Tensor) -> Tensor:
    """Sample a map around moved points with softmax weights, in at least float32.

    Args:
        v: Map (B, H, W, C).
        offsets: Displacements of the points, (B, H, W, heads, 9, 2), in pixels, x before y.
        logits: Logits of the points' weights, (B, H, W, heads, 9).

    Returns:
        Map (B, H, W, C) with the dtype of `v`.
    """
    exact = torch.promote_types(v.dtype, torch.float32)
    wide = v.to(exact), offsets.to(exact), logits.to(exact).softmax(-1)
    trains = torch.is_grad_enabled() and any(t.requires_grad for t in wide)
    # Runtimes do not support ONNX's export of embedding bags.
    exported = torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()
    # On a GPU the indices of the bag would take a gigabyte at 8 x 800 x 1216.
    by_bags = v.device.type == 'cpu' and not trains and not exported
    mixed = sample_by_bags(*wide) if by_bags else sample_by_grid(*wide)
    return mixed.to(v.dtype)


class DeformableConvV3(nn.Module):
    """Deformable convolution: each head sums nine moved points with softmax weights.

    Offsets (unbounded) and weights come from a depth-wise convolution of the input. Initial offsets
    are small but not zero, as in the released models. Reference points are those of the unpadded
    map, so maps of any size work.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, consecutive slices of the channels; 16 channels each in all
            published models.

    Raises:
        ValueError: If `dim` is not a multiple of `num_heads`.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import DeformableConvV3
        >>> DeformableConvV3(32, num_heads=2)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(self, dim: int, num_heads: int = 4) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ConfigError(f'DCNv3: dim {dim} is not a multiple of num_heads {num_heads}')
        self.num_heads = num_heads
        self.value_proj = nn.Linear(dim, dim)
        self.dw_conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-5)
        self.sampling_offsets = nn.Linear(dim, num_heads * POINTS * 2)
        self.attention_weights = nn.Linear(dim, num_heads * POINTS)
        self.output_proj = nn.Linear(dim, dim)
        self.apply(init_truncated)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        v = self.value_proj(x)
        hidden = F.gelu(self.norm(conv_channels_last(self.dw_conv, x)))
        offsets = self.sampling_offsets(hidden).unflatten(-1, (self.num_heads, POINTS, 2))
        weights = self.attention_weights(hidden).unflatten(-1, (self.num_heads, POINTS))
        return self.output_proj(sample(v, offsets, weights))
