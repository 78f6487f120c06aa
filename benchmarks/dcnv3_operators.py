"""Which operator samples fastest for `mmsmt.mixers.DeformableConvV3`; equal results asserted.

Usage: python benchmarks/dcnv3_operators.py [--rounds 5]

Milliseconds forward / forward and backward, one thread of a busy two-core machine, medians of 3:

| operator | 8x56x56x64 | 8x14x14x256 | 1x200x304x64 |
|---|---|---|---|
| embedding bag | 86 / 1088 | 19 / 305 | 207 / 3577 |
| grid_sample, at once | 410 / 922 | 39 / 156 | 901 / 3623 |
| grid_sample, point by point | 342 / 799 | 85 / 318 | 771 / 3138 |
| deform_conv2d | 999 / 5747 | 152 / 1637 | 1549 / 13277 |
| MSDeformAttn | 594 / 1669 | 44 / 159 | 1255 / 3914 |
"""

import argparse
import json

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from mmsmt.analysis.timing import time_in_turn
from mmsmt.mixers.dcnv3 import moved_points, sample_by_bags, sample_by_grid

# Batch, height, width, channels; heads have 16. Stages 1 and 3 at 224, stage 1 of a detector.
SHAPES = ((8, 56, 56, 64), (8, 14, 14, 256), (1, 200, 304, 64))


def by_grid_samples(v: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Point after point."""
    heads = weights.shape[3]
    values = v.unflatten(-1, (heads, -1)).permute(0, 3, 4, 1, 2).flatten(0, 1)
    share = weights.permute(0, 3, 1, 2, 4).flatten(0, 1)[:, None]
    size = torch.tensor([v.shape[2], v.shape[1]])
    grids = ((2 * torch.stack(moved_points(offsets), -1) + 1) / size - 1).permute(4, 0, 3, 1, 2, 5)
    out = 0
    for point, grid in enumerate(grids):
        sampled = F.grid_sample(values, grid.flatten(0, 1), align_corners=False)
        out = out + sampled * share[..., point]
    return out.unflatten(0, (-1, heads)).permute(0, 3, 4, 1, 2).flatten(3)


def by_deform_conv(v: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """torchvision's modulated convolution, its kernel ones: (y, x), row-major points."""
    rows_first = offsets.unflatten(4, (3, 3)).transpose(4, 5).flatten(4, 5).flip(-1)
    share = weights.unflatten(4, (3, 3)).transpose(4, 5).flatten(4, 5)
    kernel = v.new_ones(v.shape[-1], 1, 3, 3)
    channels = [t.permute(0, 3, 1, 2) for t in (v, rows_first.flatten(3), share.flatten(3))]
    out = deform_conv2d(channels[0], channels[1], kernel, padding=1, mask=channels[2])
    return out.permute(0, 2, 3, 1)


def by_mmcv(v: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """mmcv's multi-scale deformable attention with one scale, its form for the CPU."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    batch, height, width, heads = weights.shape[:4]
    share = weights.view(batch, -1, heads, 1, 9)
    size = torch.tensor([width, height])
    where = ((torch.stack(moved_points(offsets), -1) + 0.5) / size).view(batch, -1, heads, 1, 9, 2)
    values = v.view(batch, height * width, heads, -1)
    out = multi_scale_deformable_attn_pytorch(values, size.flip(0)[None], where, share)
    return out.view(v.shape)


FORMS = {
    'F.embedding_bag (used without gradients)': sample_by_bags,
    'F.grid_sample, nine points at once (used with)': sample_by_grid,
    'F.grid_sample, point by point': by_grid_samples,
    'torchvision deform_conv2d': by_deform_conv,
    'mmcv MSDeformAttn': by_mmcv,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--rounds', type=int, default=5)
    rounds = parser.parse_args().rounds
    for shape in SHAPES:
        torch.manual_seed(0)
        heads = shape[-1] // 16
        where = (*shape[:3], heads, 9, 2)
        inputs = [
            torch.randn(shape, requires_grad=True),
            # Away from whole pixels, where rounding decides on which side the slope is.
            (torch.randint(-2, 2, where) + torch.empty(where).uniform_(0.1, 0.9)).requires_grad_(),
            torch.randn(*shape[:3], heads, 9).softmax(-1).requires_grad_(),
        ]
        slope = torch.randn(shape)

        def both(form, inputs=inputs, slope=slope):
            return torch.autograd.grad(form(*inputs), inputs, slope)

        def forward(form, inputs=inputs):
            with torch.no_grad():
                return form(*inputs)

        want = (forward(sample_by_grid), *both(sample_by_grid))
        for form in FORMS.values():
            for got, right in zip((forward(form), *both(form)), want):
                torch.testing.assert_close(got, right, rtol=1e-3, atol=1e-3)
        for what, run in (('forward', forward), ('forward and backward', both)):
            calls = {name: lambda f=form, r=run: r(f) for name, form in FORMS.items()}
            seconds = time_in_turn(calls, rounds, warmup=1)
            medians = {name: round(1e3 * t.median, 1) for name, t in seconds.items()}
            print(json.dumps({'shape': shape, 'what': what, 'ms': medians}), flush=True)


if __name__ == '__main__':
    main()
