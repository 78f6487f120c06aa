"""Absolute position embeddings for maps of any size."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sine_cosine_table(dim: int, height: int, width: int) -> Tensor:
    """Return sines and cosines of grid positions (https://arxiv.org/abs/1706.03762, section 3.5).

    Args:
        dim: Number of channels C, a multiple of 4. The first half encodes the column, the second
            the row; in each half the sines of position / 10000^(k / (C / 4)) come first.
        height: Rows of the grid.
        width: Columns of the grid.

    Returns:
        Table (1, height * width, C), row by row.

    Raises:
        ValueError: If `dim` is not a multiple of 4.
    """
    if dim < 4 or dim % 4:
        raise ValueError(f'dim of a position table must be a multiple of 4, got {dim}')
    # float64 on the CPU, whatever the defaults: 1e-6 of an angle of 55 is below float32's
    # precision.
    steps = torch.arange(dim // 4, dtype=torch.float64, device='cpu')
    rates = 10000.0 ** -(steps / (dim // 4))

    def encode(length: int) -> Tensor:
        angles = torch.arange(length, dtype=torch.float64, device='cpu')[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    columns = encode(width).expand(height, -1, -1)
    rows = encode(height)[:, None].expand(-1, width, -1)
    return torch.cat([columns, rows], dim=2).flatten(0, 1)[None].to(torch.get_default_dtype())


@torch.fx.wrap
def resample_table(table: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Interpolate a position table bicubically to another grid; the same grid is exact.

    Args:
        table: (1, rows * columns of the source, C).
        source: Rows and columns of its grid.
        target: Rows and columns of the result.

    Returns:
        (1, rows, columns, C) of the target.
    """
    if source == target and not torch.compiler.is_compiling():
        return table.unflatten(1, source)
    grid = table.unflatten(1, source).permute(0, 3, 1, 2)
    return F.interpolate(grid, target, mode='bicubic', align_corners=False).permute(0, 2, 3, 1)


class PositionTable(nn.Module):
    """Add a learnable table of positions, interpolated to the size of the map.

    Args:
        dim: Number of channels C, a multiple of 4.
        grid: Side of the stored square table.

    Raises:
        ValueError: If `dim` is not a multiple of 4.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import PositionTable
        >>> PositionTable(32, grid=14)(torch.rand(1, 10, 12, 32)).shape
        torch.Size([1, 10, 12, 32])
    """

    def __init__(self, dim: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.table = nn.Parameter(torch.empty(1, grid * grid, dim))
        with torch.no_grad():
            self.table.copy_(sine_cosine_table(dim, grid, grid))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        table = resample_table(self.table, (self.grid, self.grid), (x.shape[1], x.shape[2]))
        return x + table.to(x.dtype)  # keeps the dtype under autocast


class PositionMap(nn.Module):
    """Add a learnable map of positions, interpolated to the size of the map, corners aligned.

    Args:
        dim: Number of channels C.
        size: Height and width of the stored map.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import PositionMap
        >>> PositionMap(32, size=(14, 14))(torch.rand(1, 10, 12, 32)).shape
        torch.Size([1, 10, 12, 32])
    """

    def __init__(self, dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(1, dim, *size))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        table = stretch_map(self.table, (x.shape[1], x.shape[2]))
        return x + table.permute(0, 2, 3, 1).to(x.dtype)  # keeps the dtype under autocast


@torch.fx.wrap
def stretch_map(table: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate (1, C, H, W) bilinearly to another size, corners aligned."""
    if table.shape[2:] == size and not torch.compiler.is_compiling():
        return table
    return F.interpolate(table, size, mode='bilinear', align_corners=True)
