"""CARAFE upsampling (https://arxiv.org/abs/1905.02188): a separate kernel per output pixel.

Output pixel (Y, X) is a weighted sum of the kernel_size x kernel_size pixels around
(Y // scale, X // scale). It is computed tap by tap on images that are split into the scale * scale
positions within an input pixel, so that no neighbourhood of an output is copied.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def _working_type(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _split(image: Tensor, groups: int, scale: int) -> Tensor:
    """Reshape (N, groups * C, H * scale, W * scale) to (N, groups, C, scale, scale, H, W)."""
    n, channels, height, width = image.shape
    shape = (n, groups, channels // groups, height // scale, scale, width // scale, scale)
    image = image.to(_working_type(image)).reshape(shape)
    return image.permute(0, 1, 2, 4, 6, 3, 5).contiguous()


def _join(parts: Tensor) -> Tensor:
    """Undo `_split`."""
    n, groups, channels, scale, _, height, width = parts.shape
    joined = parts.permute(0, 1, 2, 5, 3, 6, 4)
    return joined.reshape(n, groups * channels, height * scale, width * scale)


def _padded(features: Tensor, groups: int, kernel: int) -> Tensor:
    """Pad (N, C, H, W) with zeros to (N, groups, C / groups, H + kernel - 1, W + kernel - 1)."""
    features = features.to(_working_type(features))
    return F.pad(features, [kernel // 2] * 4).unflatten(1, (groups, -1))


def _window(padded: Tensor, tap: int, kernel: int) -> Tensor:
    """Return the view (N, groups, C / groups, H, W) of tap number `tap`."""
    row, column = divmod(tap, kernel)
    height, width = padded.shape[-2] - kernel + 1, padded.shape[-1] - kernel + 1
    return padded[..., row : row + height, column : column + width]


def _reassemble(features: Tensor, masks: Tensor, kernel: int, groups: int, scale: int) -> Tensor:
    padded = _padded(features, groups, kernel)
    weights = _split(masks, groups, scale)
    n, _, _, _, _, height, width = weights.shape
    output = padded.new_zeros(n, groups, padded.shape[2], scale, scale, height, width)
    for tap in range(kernel * kernel):
        seen = _window(padded, tap, kernel)[:, :, :, None, None]
        output.addcmul_(seen, weights[:, :, tap : tap + 1])
    return _join(output)


def _gradients(
    grad_output: Tensor, features: Tensor, masks: Tensor, kernel: int, groups: int, scale: int
) -> tuple[Tensor, Tensor]:
    """Return the gradients of features and masks."""
    padded = _padded(features, groups, kernel)
    weights = _split(masks, groups, scale)
    grad = _split(grad_output, groups, scale)
    by_padded, by_weights = torch.zeros_like(padded), torch.empty_like(weights)
    for tap in range(kernel * kernel):
        seen = _window(padded, tap, kernel)[:, :, :, None, None]
        by_weights[:, :, tap] = (grad * seen).sum(2)
        by_seen = _window(by_padded, tap, kernel)
        for place in range(scale * scale):
            y, x = divmod(place, scale)
            by_seen.addcmul_(grad[:, :, :, y, x], weights[:, :, tap : tap + 1, y, x])
    edge, height, width = kernel // 2, features.shape[2], features.shape[3]
    by_features = by_padded[..., edge : edge + height, edge : edge + width].flatten(1, 2)
    return by_features, _join(by_weights)


@torch.no_grad()
def carafe_naive_forward(
    features: Tensor,
    masks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill `output` (N, C, H * scale, W * scale). Half types are computed in float32.

    Args:
        features: (N, C, H, W).
        masks: (N, group_size * kernel_size**2, H * scale, W * scale).
        output: Filled in place.
        kernel_size: Odd.
        group_size: Groups of channels with separate kernels.
        scale_factor: Output pixels per input pixel and side.
    """
    output.copy_(_reassemble(features, masks, kernel_size, group_size, scale_factor))


@torch.no_grad()
def carafe_naive_backward(
    top_grad: Tensor,
    features: Tensor,
    masks: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Add to `bottom_grad` and `mask_grad`, as the compiled operator does."""
    grads = _gradients(top_grad, features, masks, kernel_size, group_size, scale_factor)
    bottom_grad += grads[0]
    mask_grad += grads[1]


@torch.no_grad()
def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill `output`, and `rfeatures` for the backward pass.

    Args:
        features: See `carafe_naive_forward`.
        masks: See `carafe_naive_forward`.
        rfeatures: Filled with the features as (N, H, W, C).
        routput: Buffer of the compiled operator, not used.
        rmasks: Buffer of the compiled operator, not used.
        output: Filled in place.
        kernel_size: See `carafe_naive_forward`.
        group_size: See `carafe_naive_forward`.
        scale_factor: See `carafe_naive_forward`.
    """
    channels_last = features.permute(0, 2, 3, 1)
    rfeatures.resize_(channels_last.shape).copy_(channels_last)
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


@torch.no_grad()
def carafe_backward(
    top_grad: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rtop_grad: Tensor,
    rbottom_grad_hs: Tensor,
    rbottom_grad: Tensor,
    rmask_grad: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill `bottom_grad` (N, C, H, W) and `mask_grad`.

    `rfeatures` are those of the forward pass; the other arguments that begin with r are buffers of
    the compiled operator, and are not used.
    """
    features = rfeatures.permute(0, 3, 1, 2)
    grads = _gradients(top_grad, features, masks, kernel_size, group_size, scale_factor)
    bottom_grad.copy_(grads[0])
    mask_grad.copy_(grads[1])
