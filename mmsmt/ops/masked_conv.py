"""Parts of a convolution that is computed only at selected pixels."""

import torch
from torch import Tensor


@torch.no_grad()
def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Fill `col` with the neighbourhoods of the selected pixels; zeros outside the image.

    Args:
        im: (1, C, H, W).
        mask_h_idx: Rows of the selected output pixels (K,), int64.
        mask_w_idx: Columns (K,), int64.
        col: (C * kernel_h * kernel_w, K), filled in place.
        kernel_h: Height of the kernel in pixels.
        kernel_w: Width of the kernel.
        pad_h: Padding of the height.
        pad_w: Padding of the width.
    """
    _, channels, height, width = im.shape
    taps_h = torch.arange(kernel_h, device=im.device)[:, None, None]
    taps_w = torch.arange(kernel_w, device=im.device)[None, :, None]
    y, x = mask_h_idx + taps_h - pad_h, mask_w_idx + taps_w - pad_w  # (kH, 1, K), (1, kW, K)
    outside = (y < 0) | (y >= height) | (x < 0) | (x >= width)
    seen = im[0][:, y.clamp(0, height - 1), x.clamp(0, width - 1)]  # (C, kH, kW, K)
    col.copy_(seen.masked_fill_(outside, 0).view(channels * kernel_h * kernel_w, -1))


@torch.no_grad()
def masked_col2im_forward(
    col: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    im: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Write results to the selected pixels of `im`; the others are unchanged.

    Args:
        col: (channels, K).
        mask_h_idx: Rows (K,), int64.
        mask_w_idx: Columns (K,), int64.
        im: (1, channels, height, width), modified in place.
        height: Height of `im`.
        width: Width of `im`.
        channels: Channels of `im`.

    Raises:
        RuntimeError: If a pixel is past the end of the image (on a CPU; a GPU reports it later).
    """
    place = (mask_h_idx * width + mask_w_idx).expand(channels, -1)
    im.view(channels, height * width).scatter_(1, place, col)
