"""Convolutions on channels-last maps without copying them."""

from torch import Tensor, nn


def conv_channels_last(conv: nn.Module, x: Tensor) -> Tensor:
    """Apply a module that expects (B, C, H, W) to a channels-last map.

    A contiguous (B, H, W, C) tensor permuted to (B, C, H, W) *is* PyTorch's
    `channels_last` memory format, so neither direction moves data.

    Args:
        conv: A convolution, a normalisation, or a sequence of them.
        x: Map of shape (B, H, W, C).

    Returns:
        Map of shape (B, H', W', C').
    """
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
