"""Generate references for deformable convolutions and PSA masks with mmcv's compiled operators.

`python dev/operator_references/convolutions.py` writes tests/golden/ops; it needs a compiled mmcv.
The tests run the same cases on `mmsmt.ops`.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).resolve().parents[2] / 'tests' / 'golden' / 'ops'


class Convolution(NamedTuple):
    """A test case of a deformable convolution."""

    batch: int = 1
    channels: int = 4
    outputs: int = 4
    size: tuple[int, int] = (4, 5)
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    deform_groups: int = 1
    reach: float = 1.0  # standard deviation of the offsets, pixels
    im2col_step: int = 32
    bias: bool = True  # version 2 only
    dtype: str = 'float32'


CONVOLUTIONS = {
    'plain': Convolution(batch=2),
    'zero_offsets': Convolution(reach=0.0),
    'far_outside': Convolution(reach=8.0),
    'stride_and_padding': Convolution(size=(6, 7), stride=(2, 1), padding=(0, 2)),
    'dilation': Convolution(size=(5, 6), dilation=(1, 2), padding=(1, 2)),
    'rectangular_kernel': Convolution(kernel=(1, 3), padding=(0, 1)),
    'groups': Convolution(channels=6, outputs=4, groups=2),
    'deform_groups': Convolution(deform_groups=2),
    'both_groups': Convolution(channels=8, groups=4, deform_groups=2),
    'images_in_two_steps': Convolution(batch=4, im2col_step=2, size=(3, 4)),
    'without_bias': Convolution(bias=False),
    'float64': Convolution(dtype='float64', size=(3, 3)),
}


class Mask(NamedTuple):
    """A test case of a PSA mask."""

    size: tuple[int, int]
    window: tuple[int, int]
    batch: int = 2


MASKS = {
    'window_inside': Mask((4, 5), (3, 3)),
    'window_larger_than_map': Mask((3, 4), (7, 9)),
    'rectangular': Mask((5, 3), (1, 5)),
    'even_window': Mask((4, 4), (4, 2)),
    'one_pixel': Mask((1, 1), (3, 3)),
    'no_images': Mask((3, 3), (3, 3), batch=0),
}


def _random(state: np.random.RandomState, *shape: int, dtype: str = 'float32') -> Tensor:
    return torch.from_numpy(state.standard_normal(shape)).to(getattr(torch, dtype))


def convolution_inputs(case: Convolution, modulated: bool) -> dict[str, Tensor]:
    """Return the inputs of a case, and `grad` for the output; they depend only on the case."""
    state = np.random.RandomState(0)  # identical in all releases of numpy
    taps = case.kernel[0] * case.kernel[1]
    out = [
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for size, pad, dilation, kernel, stride in zip(
            case.size, case.padding, case.dilation, case.kernel, case.stride
        )
    ]
    shapes: dict[str, tuple[int, ...]] = {
        'input': (case.batch, case.channels, *case.size),
        'offset': (case.batch, 2 * case.deform_groups * taps, *out),
        'weight': (case.outputs, case.channels // case.groups, *case.kernel),
        'grad': (case.batch, case.outputs, *out),
    }
    if modulated:
        shapes['mask'] = (case.batch, case.deform_groups * taps, *out)
        if case.bias:
            shapes['bias'] = (case.outputs,)
    inputs = {name: _random(state, *shape, dtype=case.dtype) for name, shape in shapes.items()}
    inputs['offset'] *= case.reach
    return inputs


def run_convolution(case: Convolution, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return output and gradients of mmcv's function with its current operators."""
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items() if k != 'grad'}
    places = (case.stride, case.padding, case.dilation, case.groups, case.deform_groups)
    first = (leaves['input'], leaves['offset'])
    if 'mask' in leaves:
        args = (leaves['mask'], leaves['weight'], leaves.get('bias'))
        output = modulated_deform_conv2d(*first, *args, *places)
    else:
        step = case.im2col_step
        output = deform_conv2d(*first, leaves['weight'], *places, False, step)
    output.backward(inputs['grad'])
    return {'output': output.detach()} | {f'by_{k}': v.grad for k, v in leaves.items()}


def run_mask(case: Mask, kind: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return output and gradient of mmcv's function; kind 0 collects, 1 distributes."""
    from mmcv.ops.psa_mask import psa_mask

    state = np.random.RandomState(1)
    channels, pixels = case.window[0] * case.window[1], case.size[0] * case.size[1]
    leaf = _random(state, case.batch, channels, *case.size).to(dtype).requires_grad_()
    output = psa_mask(leaf, kind, case.window)
    output.backward(_random(state, case.batch, pixels, *case.size).to(dtype))
    return {'output': output.detach(), 'by_input': leaf.grad}


def load(name: str) -> dict[str, dict[str, Tensor]]:
    """Load the stored results of each case."""
    found: dict[str, dict[str, Tensor]] = {}
    with np.load(FOLDER / f'{name}.npz') as file:
        for key in file.files:
            case, quantity = key.split('/')
            found.setdefault(case, {})[quantity] = torch.from_numpy(file[key])
    return found


def _store(name: str, results: dict[str, dict[str, Tensor]]) -> None:
    arrays: dict[str, Any] = {
        f'{case}/{quantity}': tensor.numpy()
        for case, quantities in results.items()
        for quantity, tensor in quantities.items()
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(FOLDER / f'{name}.npz', **arrays)
    print(f'{name}: {len(results)} cases, {(FOLDER / f"{name}.npz").stat().st_size} bytes')


def main() -> None:
    """Write the files."""
    for name, modulated in (('deform_conv', False), ('modulated_deform_conv', True)):
        chosen = {k: c for k, c in CONVOLUTIONS.items() if modulated or k != 'without_bias'}
        results = {
            k: run_convolution(c, convolution_inputs(c, modulated)) for k, c in chosen.items()
        }
        _store(name, results)
    kinds = ('collect', 'distribute')
    masks = {f'{n}_{k}': run_mask(c, i) for n, c in MASKS.items() for i, k in enumerate(kinds)}
    _store('psa_mask', masks)


if __name__ == '__main__':
    main()
