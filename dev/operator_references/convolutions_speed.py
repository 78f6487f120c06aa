"""Speed of `mmsmt.ops` at COCO training sizes, compared with mmcv's own operators on a CPU.

`python dev/operator_references/convolutions_speed.py [NAME ...]`, one thread. Both sides take
turns, so that a busy machine slows both. Needs a compiled mmcv.
"""

import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

Call = Callable[[], tuple[Tensor, list[Tensor]]]
ROUNDS = 5


def _leaves(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape).requires_grad_() for shape in shapes]


def _on(name: str, operators: ModuleType, call: Call) -> Call:
    host = import_module(f'mmcv.ops.{name}')

    def run() -> tuple[Tensor, list[Tensor]]:
        host.ext_module = operators  # type: ignore[attr-defined]
        return call()

    return run


def _pair(name: str, call: Call) -> tuple[Call, Call]:
    """Return the same call with our and with the compiled operators."""
    ours, compiled = import_module(f'mmsmt.ops.{name}'), import_module('mmcv._ext')
    return _on(name, ours, call), _on(name, compiled, call)


def deform_conv() -> tuple[Call, Call]:
    """3x3, 256 channels, 100x152."""
    from mmcv.ops import deform_conv2d

    x, offset, weight = _leaves((1, 256, 100, 152), (1, 18, 100, 152), (256, 256, 3, 3))
    leaves = [x, offset, weight]
    return _pair('deform_conv', lambda: (deform_conv2d(*leaves, 1, 1), leaves))


def modulated_deform_conv() -> tuple[Call, Call]:
    """3x3, 256 channels, 100x152."""
    from mmcv.ops import modulated_deform_conv2d

    maps = [(1, channels, 100, 152) for channels in (256, 18, 9)]
    leaves = _leaves(*maps, (256, 256, 3, 3), (256,))
    return _pair('modulated_deform_conv', lambda: (modulated_deform_conv2d(*leaves, 1, 1), leaves))


def multi_scale_deform_attn() -> tuple[Call, Call]:
    """Encoder of DINO at 800x1216; mmcv's side is its function for CPUs."""
    host = import_module('mmcv.ops.multi_scale_deform_attn')
    shapes = torch.tensor([(100, 152), (50, 76), (25, 38), (13, 19)])
    sizes = shapes.prod(1)
    keys = int(sizes.sum())
    value, locations, weights = leaves = [
        torch.rand(shape).requires_grad_()
        for shape in ((1, keys, 8, 32), (1, keys, 8, 4, 4, 2), (1, keys, 8, 4, 4))
    ]
    starts, attend = sizes.cumsum(0) - sizes, host.MultiScaleDeformableAttnFunction.apply

    def ours() -> tuple[Tensor, list[Tensor]]:
        return attend(value, shapes, starts, locations, weights, 64), leaves

    def theirs() -> tuple[Tensor, list[Tensor]]:
        function = host.multi_scale_deformable_attn_pytorch
        return function(value, shapes, locations, weights), leaves

    return _pair('multi_scale_deform_attn', ours)[0], theirs


def psa_mask() -> tuple[Call, Call]:
    """Map of 10x10, window of 19x19: the compiled operator goes value by value."""
    from mmcv.ops.psa_mask import psa_mask as function

    leaves = _leaves((1, 361, 10, 10))
    return _pair('psa_mask', lambda: (function(leaves[0], 0, 19), leaves))


def _seconds(call: Call) -> tuple[float, float]:
    """Return the seconds of forward and backward."""
    start = time.perf_counter()
    output, leaves = call()
    middle = time.perf_counter()
    torch.autograd.grad(output, leaves, torch.ones_like(output))
    return middle - start, time.perf_counter() - middle


CASES = {
    f.__name__: f for f in (deform_conv, modulated_deform_conv, multi_scale_deform_attn, psa_mask)
}


def main(names: list[str]) -> None:
    """Print medians in seconds, and ours divided by mmcv's."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in names or CASES:
        pair = CASES[name]()
        for call in pair:
            call()
        rounds = [[_seconds(call) for call in pair] for _ in range(ROUNDS)]
        for i, part in enumerate(('forward', 'backward')):
            ours, theirs = (statistics.median(r[side][i] for r in rounds) for side in range(2))
            print(f'{name} {part}: {ours:.4f} s, mmcv {theirs:.4f} s, ratio {ours / theirs:.2f}')


if __name__ == '__main__':
    main(sys.argv[1:])
