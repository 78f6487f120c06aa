"""Generate references for the tests of box and RoI operators with compiled mmcv on a CPU.

    python dev/operator_references/boxes_and_rois.py tests/golden/ops

writes one archive per operator module. `cases` is a JSON list: the name of a public function of
`mmcv.ops`, its arguments (a string starting with @ is a tensor in the archive), the number of
results, and the arguments whose gradient is stored. Gradients are those of
`(result * weights).sum()`, with `weights` in the archive.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmcv.ops
import numpy as np
import torch
from torch import Tensor

IMAGE = (11.0, 9.0)  # width and height of the feature maps


class Archive:
    """Cases of one module, with their shared tensors."""

    def __init__(self) -> None:
        self.cases: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.tensors: dict[str, Tensor] = {}

    def tensor(self, name: str, value: Tensor) -> str:
        self.tensors[name] = value
        self.arrays[name] = value.numpy()
        return f'@{name}'

    def add(self, name: str, op: str, *args: Any, grad_of: tuple[int, ...] = ()) -> None:
        values = [self.tensors[a[1:]] if str(a).startswith('@') else a for a in args]
        for i in grad_of:
            values[i] = values[i].clone().requires_grad_()
        results = getattr(mmcv.ops, op)(*values)
        results = results if isinstance(results, tuple | list) else [results]
        case = dict(name=name, op=op, args=list(args), results=len(results), grad_of=list(grad_of))
        for k, result in enumerate(results):
            self.arrays[f'{name}/result{k}'] = result.detach().numpy()
        if grad_of:
            weights = torch.randn(results[0].shape, dtype=results[0].dtype)
            self.arrays[f'{name}/weights'] = weights.numpy()
            (results[0] * weights).sum().backward()
            for i in grad_of:
                self.arrays[f'{name}/grad{i}'] = values[i].grad.numpy()
        self.cases.append(case)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, cases=np.array(json.dumps(self.cases)), **self.arrays)


def boxes(count: int, spread: float = 60, size: float = 40) -> Tensor:
    corner = torch.rand(count, 2) * spread
    return torch.cat((corner, corner + torch.rand(count, 2) * size + 1), 1)


def rotated(count: int, spread: float = 50) -> Tensor:
    centre, size = torch.rand(count, 2) * spread, torch.rand(count, 2) * 40 + 1
    return torch.cat((centre, size, torch.randn(count, 1) * 3), 1)


def nms(a: Archive) -> None:
    many = a.tensor('boxes', boxes(30))
    scores = a.tensor('scores', torch.rand(30))
    ties = a.tensor('ties', (torch.rand(30) * 8).floor() / 8)
    half = a.tensor('halves', torch.tensor([[0, 0, 2, 1.0], [0, 0, 1, 1], [0, 0, 2, 1]]))
    flat = a.tensor(
        'flat', torch.tensor([[5, 5, 5, 5.0], [5, 5, 5, 5], [4, 4, 9, 9], [9, 9, 3, 3]])
    )
    none = a.tensor('none', torch.zeros(0, 4))
    no_scores = a.tensor('no_scores', torch.zeros(0))
    three = a.tensor('three', torch.tensor([0.9, 0.8, 0.7]))
    four = a.tensor('four', torch.tensor([0.9, 0.8, 0.7, 0.6]))
    for offset in (0, 1):
        for threshold in (0.1, 0.5, 0.9):
            a.add(f'nms-{threshold}-{offset}', 'nms', many, scores, threshold, offset)
        a.add(f'nms-ties-{offset}', 'nms', many, ties, 0.4, offset)
        a.add(f'nms-flat-{offset}', 'nms', flat, four, 0.5, offset)
    a.add('nms-at-threshold', 'nms', half, three, 0.5)
    a.add('nms-score-and-count', 'nms', many, scores, 0.5, 0, 0.3, 20)
    a.add('nms-empty', 'nms', none, no_scores, 0.5)
    for method in ('naive', 'linear', 'gaussian'):
        for offset in (0, 1):
            name = f'{method}-{offset}'
            a.add(name, 'soft_nms', many, scores, 0.3, 0.5, 0.2, method, offset)
        a.add(f'{method}-ties', 'soft_nms', many, ties, 0.3, 0.5, 0.2, method)
        a.add(f'{method}-keeps-all', 'soft_nms', many, scores, 0.5, 0.3, 0.0, method)
        a.add(f'{method}-drops-most', 'soft_nms', many, scores, 0.1, 0.1, 0.7, method)
        a.add(f'{method}-at-threshold', 'soft_nms', half, three, 0.5, 0.5, 0.0, method)
        a.add(f'{method}-flat', 'soft_nms', flat, four, 0.3, 0.5, 0.0, method)
        a.add(f'{method}-empty', 'soft_nms', none, no_scores, 0.3, 0.5, 0.0, method)
    dets = a.tensor('dets', torch.cat((boxes(60), torch.rand(60, 1)), 1))
    exact = a.tensor('exact', torch.cat((a.tensors['halves'], a.tensors['three'][:, None]), 1))
    for threshold in (0.1, 0.5, 0.8):
        a.add(f'match-{threshold}', 'nms_match', dets, threshold)
    a.add('match-at-threshold', 'nms_match', exact, 0.5)
    a.add('match-empty', 'nms_match', a.tensor('no_dets', torch.zeros(0, 5)), 0.5)


def bbox(a: Archive) -> None:
    first, second = a.tensor('first', boxes(20)), a.tensor('second', boxes(20))
    flat = a.tensor('flat', torch.tensor([[1, 1, 1, 1.0], [0, 0, 2, 2], [3, 3, 1, 1]]))
    double = a.tensor('double', boxes(5).double())
    none = a.tensor('none', torch.zeros(0, 4))
    for mode in ('iou', 'iof'):
        for aligned in (False, True):
            for offset in (0, 1):
                name = f'{mode}-{aligned}-{offset}'
                a.add(name, 'bbox_overlaps', first, second, mode, aligned, offset)
                a.add(f'{name}-flat', 'bbox_overlaps', flat, flat, mode, aligned, offset)
                a.add(f'{name}-double', 'bbox_overlaps', double, double, mode, aligned, offset)
        a.add(f'{mode}-empty', 'bbox_overlaps', none, first, mode)
        a.add(f'{mode}-no-second', 'bbox_overlaps', first, none, mode)


def rotated_boxes(a: Archive) -> None:
    first, second = a.tensor('first', rotated(40)), a.tensor('second', rotated(40))
    square = torch.tensor([20.0, 20, 10, 10, 0])
    special = square.repeat(9, 1)
    special[1, 4], special[2, 4], special[3, 4] = torch.pi / 4, torch.pi / 2, torch.pi
    special[4, 0], special[5, 0], special[6, 2:4] = 30, 25, 4  # touching, half, inside
    special[7, 2], special[8, 2] = 0, 1e-16  # no area
    same = a.tensor('special', special)
    none = a.tensor('none', torch.zeros(0, 5))
    for mode in ('iou', 'iof'):
        for clockwise in (True, False):
            for aligned in (False, True):
                name = f'{mode}-{aligned}-{clockwise}'
                a.add(name, 'box_iou_rotated', first, second, mode, aligned, clockwise)
        a.add(f'{mode}-special', 'box_iou_rotated', same, same, mode)
        a.add(f'{mode}-empty', 'box_iou_rotated', none, first, mode)
    many, scores = a.tensor('many', rotated(150)), a.tensor('scores', torch.rand(150))
    for threshold in (0.1, 0.3, 0.7):
        a.add(f'nms-{threshold}', 'nms_rotated', many, scores, threshold)
    a.add('nms-counterclockwise', 'nms_rotated', many, scores, 0.3, None, False)
    a.add('nms-double', 'nms_rotated', a.tensor('many64', a.tensors['many'].double()),
          a.tensor('scores64', a.tensors['scores'].double()), 0.3)  # fmt: skip


def rois() -> Tensor:
    """Return RoIs of two images: inside, small, partly and fully outside, whole image, empty."""
    width, height = IMAGE
    return torch.tensor(
        [
            [0, 1.2, 2.3, 8.9, 7.7],
            [1, 3.5, 3.1, 4.1, 3.9],
            [1, -6.0, -4.5, 5.3, 4.2],
            [0, 7.0, 6.5, width + 6, height + 5],
            [0, 40.0, 40, 48, 45],
            [1, 0.0, 0, width, height],
            [1, 5.0, 5, 5, 5],
        ]
    )


def roi_align(a: Archive) -> None:
    x, boxes_ = a.tensor('x', torch.randn(2, 2, 9, 11)), a.tensor('rois', rois())
    far = a.tensor('large_x', torch.randn(2, 2, 9, 11) * 3e4)
    none, double = a.tensor('none', torch.zeros(0, 5)), torch.float64
    for mode in ('avg', 'max'):
        for aligned in (True, False):
            for ratio in (0, 2):
                name = f'{mode}-{aligned}-{ratio}'
                args = (boxes_, (3, 2), 0.8, ratio, mode, aligned)
                a.add(name, 'roi_align', x, *args, grad_of=(0,))
        a.add(f'{mode}-level', 'roi_align', x, boxes_, 2, 0.25, 0, mode, True, grad_of=(0,))
        a.add(f'{mode}-large', 'roi_align', far, boxes_, 2, 1.0, 1, mode, True, grad_of=(0,))
        a.add(f'{mode}-empty', 'roi_align', x, none, 2, 1.0, 0, mode, True, grad_of=(0,))
    x64, rois64 = a.tensor('x64', a.tensors['x'].to(double)), a.tensor('rois64', rois().to(double))
    a.add('avg-double', 'roi_align', x64, rois64, 2, 1.0, 2, 'avg', True, grad_of=(0,))
    a.add('max-double', 'roi_align', x64, rois64, 2, 1.0, 2, 'max', True, grad_of=(0,))
    inverted = a.tensor('inverted', torch.tensor([[0, 6.0, 6, 2, 3]]))
    a.add('avg-inverted', 'roi_align', x, inverted, 2, 1.0, 2, 'avg', False, grad_of=(0,))


def roi_align_rotated(a: Archive) -> None:
    width, height = IMAGE
    boxes_ = torch.tensor(
        [
            [0, 5.2, 4.3, 6.1, 4.2, 0.0],
            [1, 5.2, 4.3, 6.1, 4.2, 0.6],
            [1, 3.5, 3.1, 0.6, 0.8, -2.0],
            [0, 0.0, 1, 9, 7, 2.5],
            [
                1,
                width,
                height,
                6.3,
                8.1,
                torch.pi / 2,
            ],  # no sample at the border, where values jump
            [0, 40, 40, 5, 5, 1],
            [1, 5, 5, 0, 0, 1],
        ]
    )
    x, rotated_rois = a.tensor('x', torch.randn(2, 2, 9, 11)), a.tensor('rois', boxes_)
    for clockwise in (True, False):
        for aligned in (True, False):
            for ratio in (0, 2):
                a.add(f'{aligned}-{clockwise}-{ratio}', 'roi_align_rotated', x, rotated_rois,
                      (3, 2), 0.8, ratio, aligned, clockwise, grad_of=(0,))  # fmt: skip
    a.add('level', 'roi_align_rotated', x, rotated_rois, 2, 0.25, 0, grad_of=(0,))
    none = a.tensor('none', torch.zeros(0, 6))
    a.add('empty', 'roi_align_rotated', x, none, 2, 1.0, 0, grad_of=(0,))
    x64, rois64 = a.tensor('x64', a.tensors['x'].double()), a.tensor('rois64', boxes_.double())
    a.add('double', 'roi_align_rotated', x64, rois64, 2, 1.0, 2, grad_of=(0,))


MODULES: tuple[Callable[[Archive], None], ...] = (
    nms,
    bbox,
    rotated_boxes,
    roi_align,
    roi_align_rotated,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='output folder')
    folder = parser.parse_args().folder
    if not hasattr(__import__('mmcv._ext')._ext, '__file__'):
        raise SystemExit('The references must come from a compiled mmcv.')
    for make in MODULES:
        torch.manual_seed(0)
        archive = Archive()
        make(archive)
        archive.save(folder / f'{make.__name__}.npz')
        print(f'{make.__name__}.npz: {len(archive.cases)} cases')


if __name__ == '__main__':
    main()
