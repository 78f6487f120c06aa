"""Convolutions on channels-last maps without copying them."""

from collections.abc import Callable

from torch import Tensor


def conv_channels_last(conv: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function that expects (B, C, H, W) to a channels-last map.

    A contiguous (B, H, W, C) tensor permuted to (B, C, H, W) *is* PyTorch's
    `channels_last` memory format, so neither direction moves data. Put a batch norm into one
    function with the layer after it: between two permutes the compiler may choose another memory
    order for its map, which is ten times slower.

    Args:
        conv: A convolution, a normalisation, or a function of several layers.
        x: Map of shape (B, H, W, C).

    Returns:
        Map of shape (B, H', W', C').
    """
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
