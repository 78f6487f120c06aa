"""Speed of the box and RoI operators compared with compiled mmcv on a CPU, as a Markdown table.

python dev/operator_references/speed_boxes_and_rois.py

Both take turns on the same inputs, of the size of COCO training, in one thread.
"""

import importlib
import statistics
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import mmcv._ext
import mmcv.ops
import torch

from mmsmt.ops import bbox, deform_roi_pool, nms, roi_align, roi_align_rotated, rotated_boxes

OURS = (bbox, deform_roi_pool, nms, roi_align, roi_align_rotated, rotated_boxes)
MODULES = ('bbox', 'box_iou_rotated', 'nms', 'roi_align', 'roi_align_rotated')


def swap(ours: bool) -> None:
    everything = ModuleType('ours')
    for module in OURS:
        vars(everything).update({k: v for k, v in vars(module).items() if callable(v)})
    for name in MODULES:
        module = importlib.import_module(f'mmcv.ops.{name}')
        vars(module)['ext_module'] = everything if ours else mmcv._ext


def compare(name: str, run: Callable[[], Any], turns: int = 5) -> None:
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(turns + 1):
        for ours in (True, False):
            swap(ours)
            start = time.perf_counter()
            run()
            if turn:
                times[ours].append(1e3 * (time.perf_counter() - start))
    mine, compiled = (statistics.median(times[k]) for k in (True, False))
    print(f'| {name} | {mine:.1f} | {compiled:.1f} | {mine / compiled:.2f} |', flush=True)


def pooling(op: Callable[..., Any], x: torch.Tensor, *args: Any) -> Callable[[], None]:
    def run() -> None:
        x.grad = None
        op(x, *args).sum().backward()

    return run


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    corner = torch.rand(2000, 2) * torch.tensor([1216.0, 800])
    size = torch.rand(2000, 2) * 200 + 8
    boxes, scores = torch.cat((corner, corner + size), 1), torch.rand(2000)
    rotated = torch.cat((corner, size, torch.randn(2000, 1)), 1)
    print('| operator | ours, ms | compiled, ms | ratio |\n|---|---|---|---|')
    compare('nms 2000', lambda: mmcv.ops.nms(boxes, scores, 0.7))
    compare('soft_nms linear 2000', lambda: mmcv.ops.soft_nms(boxes, scores, 0.5, 0.5, 0.05))
    compare(
        'soft_nms gaussian 2000',
        lambda: mmcv.ops.soft_nms(boxes, scores, 0.5, 0.5, 0.05, 'gaussian'),
    )
    compare(
        'nms_match 2000', lambda: mmcv.ops.nms_match(torch.cat((boxes, scores[:, None]), 1), 0.7)
    )
    compare('bbox_overlaps 2000 x 100', lambda: mmcv.ops.bbox_overlaps(boxes, boxes[:100]))
    compare('box_iou_rotated 2000 x 100', lambda: mmcv.ops.box_iou_rotated(rotated, rotated[:100]))
    compare('nms_rotated 2000', lambda: mmcv.ops.nms_rotated(rotated, scores, 0.1))

    x = torch.rand(1, 256, 200, 304, requires_grad=True)
    corner, size = corner[:512] * 0.8, torch.rand(512, 2) * 112 + 16
    rois = torch.cat((torch.zeros(512, 1), corner, corner + size), 1)
    turned = torch.cat((torch.zeros(512, 1), corner, size, torch.randn(512, 1)), 1)
    for ratio in (0, 2):
        for mode in ('avg', 'max'):
            args = (rois, 7, 0.25, ratio, mode)
            compare(
                f'roi_align {mode} sampling {ratio}, 512 RoIs, forward',
                lambda: mmcv.ops.roi_align(x.detach(), *args),  # noqa: B023
            )
            compare('the same with backward', pooling(mmcv.ops.roi_align, x, *args))
        args = (turned, 7, 0.25, ratio)
        compare(
            f'roi_align_rotated sampling {ratio}, 512 RoIs, forward',
            lambda: mmcv.ops.roi_align_rotated(x.detach(), *args),  # noqa: B023
        )
        compare('the same with backward', pooling(mmcv.ops.roi_align_rotated, x, *args))


if __name__ == '__main__':
    main()
