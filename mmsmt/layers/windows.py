"""Window partition of maps of any size."""

from torch import Tensor
from torch.nn import functional as F


def pad_to_multiple(x: Tensor, size: int) -> Tensor:
    """Append zero rows and columns to a map (B, H, W, C) until `size` divides both sides."""
    return F.pad(x, (0, 0, 0, -x.shape[2] % size, 0, -x.shape[1] % size))


def to_windows(x: Tensor, size: int) -> Tensor:
    """Cut a map into non-overlapping windows.

    Args:
        x: Map (B, H, W, C); zeros fill up the last windows.
        size: Side of a window.

    Returns:
        (B * windows, size * size, C), windows and their pixels row by row.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import to_windows
        >>> to_windows(torch.rand(1, 10, 14, 32), 7).shape
        torch.Size([4, 49, 32])
    """
    x = pad_to_multiple(x, size).unflatten(1, (-1, size)).unflatten(3, (-1, size))
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def from_windows(windows: Tensor, size: int, height: int, width: int) -> Tensor:
    """Undo `to_windows`.

    Args:
        windows: (B * windows, size * size, C).
        size: Side of a window.
        height: Height of the map.
        width: Width of the map.

    Returns:
        Map (B, height, width, C), without the padding.
    """
    rows, columns = -(-height // size), -(-width // size)
    x = windows.unflatten(1, (size, size)).unflatten(0, (-1, rows, columns)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)[:, :height, :width]
