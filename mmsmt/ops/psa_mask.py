"""Masks of point-wise spatial attention (PSANet): a window around each pixel, as a full map.

Channel (i, j) of pixel (h, w) belongs to pixel (h + i - half, w + j - half). "Collect" writes it
to the map of that other pixel, "distribute" to the map of (h, w).
"""

import torch
from torch import Tensor


def _pairs(full: Tensor, psa_type: int, n: int, height: int, width: int) -> Tensor:
    """Return `full` (N, H * W, H, W) as a view (N, other row, other column, row, column)."""
    pairs = full.view(n, height, width, height, width)
    return pairs if psa_type == 0 else pairs.permute(0, 3, 4, 1, 2)


@torch.no_grad()
def psamask_forward(
    input: Tensor,
    output: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Write the windows to `output`; values outside all windows are unchanged.

    Args:
        input: (N, h_mask * w_mask, H, W).
        output: (N, H * W, H, W), modified in place.
        psa_type: 0 to collect, anything else to distribute.
        num_: N.
        h_feature: H.
        w_feature: W.
        h_mask: Height of the window.
        w_mask: Width of the window.
        half_h_mask: Row of the window's centre.
        half_w_mask: Column of the window's centre.
    """
    pairs = _pairs(output, psa_type, num_, h_feature, w_feature)
    rows = torch.arange(h_feature, device=input.device)
    columns = torch.arange(w_feature, device=input.device)
    i = rows[:, None] - rows + half_h_mask  # (other row, row): channel
    j = columns[:, None] - columns + half_w_mask
    inside = ((i >= 0) & (i < h_mask))[:, None, :, None] & ((j >= 0) & (j < w_mask))[:, None]
    i, j = i.clamp(0, h_mask - 1)[:, None, :, None], j.clamp(0, w_mask - 1)[:, None]
    windows = input.reshape(num_, h_mask, w_mask, h_feature, w_feature)
    pairs.copy_(torch.where(inside, windows[:, i, j, rows[:, None], columns], pairs))


@torch.no_grad()
def psamask_backward(
    grad_output: Tensor,
    grad_input: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Write the gradient to `grad_input` (N, h_mask * w_mask, H, W).

    Channels without a pixel are unchanged. See `psamask_forward` for the other arguments.
    """
    grad = _pairs(grad_output, psa_type, num_, h_feature, w_feature)
    rows = torch.arange(h_feature, device=grad.device)
    columns = torch.arange(w_feature, device=grad.device)
    y = torch.arange(h_mask, device=grad.device)[:, None] + rows - half_h_mask  # (h_mask, H)
    x = torch.arange(w_mask, device=grad.device)[:, None] + columns - half_w_mask
    inside = ((y >= 0) & (y < h_feature))[:, None, :, None] & ((x >= 0) & (x < w_feature))[:, None]
    y, x = y.clamp(0, h_feature - 1)[:, None, :, None], x.clamp(0, w_feature - 1)[:, None]
    windows = grad_input.view(num_, h_mask, w_mask, h_feature, w_feature)
    windows.copy_(torch.where(inside, grad[:, y, x, rows[:, None], columns], windows))
