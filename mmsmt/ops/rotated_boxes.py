"""Overlap and suppression of rotated boxes.

A box is (x centre, y centre, width, height, angle in radians).
"""

import torch
from torch import Tensor

from mmsmt.ops.bilinear import full_precision
from mmsmt.ops.nms import suppressors

PAIRS = 1 << 20  # pairs of boxes processed together
SMALLEST_AREA = 1e-14  # minimum area of boxes that can overlap, as in the compiled operator


def _under_edge(
    start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor], half_w: Tensor, half_h: Tensor
) -> Tensor:
    """Integrate an edge's y over x, with x and y clamped to a box around the origin.

    The edge is linear, so the clamped y is linear in three parts: below, inside and above the box.
    """
    (x0, y0), (x1, y1) = start, end
    left, right = x0.clamp(-half_w, half_w), x1.clamp(-half_w, half_w)
    dx, dy = x1 - x0, y1 - y0
    dx = torch.where(dx == 0, 1, dx)  # the integral of such an edge is 0
    y_left = y0 + ((left - x0) / dx).clamp(0, 1) * dy
    y_right = y0 + ((right - x0) / dx).clamp(0, 1) * dy
    rise = y_right - y_left
    slope = torch.where(rise == 0, 1, rise)
    bottom = ((-half_h - y_left) / slope).clamp(0, 1)
    top = ((half_h - y_left) / slope).clamp(0, 1)
    enter, leave = torch.minimum(bottom, top), torch.maximum(bottom, top)
    a, d = y_left.clamp(-half_h, half_h), y_right.clamp(-half_h, half_h)
    b = (y_left + enter * rise).clamp(-half_h, half_h)
    c = (y_left + leave * rise).clamp(-half_h, half_h)
    return (right - left) * (enter * a + (leave - enter) * (b + c) / 2 + (1 - leave) * d)


def intersections(first: Tensor, second: Tensor) -> Tensor:
    """Return the common area of rotated boxes in pairs.

    In the frame of the second box, Green's theorem gives the area of the first box's part inside as
    a sum over its edges. It needs no order of corners and is continuous in the boxes, so equal
    boxes and common edges need no special cases.

    Args:
        first: (K, 5).
        second: (K, 5).

    Returns:
        (K,).
    """
    x, y, w, h, angle = first.unbind(1)
    x2, y2, w2, h2, angle2 = second.unbind(1)
    cos2, sin2 = angle2.cos(), angle2.sin()
    cos, sin = (angle - angle2).cos(), (angle - angle2).sin()
    x, y = (x - x2) * cos2 + (y - y2) * sin2, (y - y2) * cos2 - (x - x2) * sin2
    ux, uy = cos * w / 2, sin * w / 2
    vx, vy = -sin * h / 2, cos * h / 2
    corners = [
        (x + ux + vx, y + uy + vy),
        (x - ux + vx, y - uy + vy),
        (x - ux - vx, y - uy - vy),
        (x + ux - vx, y + uy - vy),
    ]
    area = torch.zeros_like(x)
    for start, end in zip(corners, corners[1:] + corners[:1]):
        area -= _under_edge(start, end, w2 / 2, h2 / 2)
    return area.clamp(min=0)


def _ious(first: Tensor, second: Tensor, over_union: bool) -> Tensor:
    """Return the overlap (K,) of rotated boxes (K, 5) in pairs."""
    area1, area2 = first[:, 2] * first[:, 3], second[:, 2] * second[:, 3]
    common = intersections(first, second)
    iou = common / (area1 + area2 - common if over_union else area1)
    return iou.masked_fill((area1 < SMALLEST_AREA) | (area2 < SMALLEST_AREA), 0)


def _all_ious(first: Tensor, second: Tensor, over_union: bool) -> Tensor:
    """Return the overlap (M, N) of (M, 5) with (N, 5); only nearby pairs are computed."""
    ious = first.new_zeros((len(first), len(second)))
    radius1, radius2 = first[:, 2:4].norm(dim=1) / 2, second[:, 2:4].norm(dim=1) / 2
    step = max(1, PAIRS // max(1, len(second)))
    for start in range(0, len(first), step):
        part = first[start : start + step]
        distance = (part[:, None, :2] - second[:, :2]).square().sum(2)
        reach = (radius1[start : start + step, None] + radius2).square()
        rows, columns = (distance <= reach).nonzero(as_tuple=True)
        ious[start + rows, columns] = _ious(part[rows], second[columns], over_union)
    return ious


def box_iou_rotated(
    boxes1: Tensor, boxes2: Tensor, ious: Tensor, mode_flag: int, aligned: bool
) -> None:
    """Fill `ious` with intersection over union, or over the first box's area.

    Args:
        boxes1: (M, 5) boxes.
        boxes2: (N, 5) boxes, with M <= N if `aligned`.
        ious: The result, M * N numbers, or M if `aligned`.
        mode_flag: 0 for the union, 1 for the area of the first box.
        aligned: Compare boxes in pairs instead of all with all.

    Raises:
        RuntimeError: If types or shapes do not fit.
    """
    if not boxes1.numel() or not boxes2.numel():
        return
    if boxes1.dtype != boxes2.dtype:
        raise RuntimeError(f'expected boxes of {boxes1.dtype} but found {boxes2.dtype}')
    if boxes1.dim() != 2 or boxes2.dim() != 2 or boxes1.shape[1] < 5 or boxes2.shape[1] < 5:
        shapes = f'{tuple(boxes1.shape)} and {tuple(boxes2.shape)}'
        raise RuntimeError(f'rotated boxes must be (N, 5), not {shapes}')
    first, second = full_precision(boxes1[:, :5]), full_precision(boxes2[:, :5])
    if aligned:
        result = _ious(first, second[: len(first)], mode_flag == 0)
    else:
        result = _all_ious(first, second, mode_flag == 0)
    ious.copy_(result.view_as(ious))


def nms_rotated(
    dets: Tensor,
    scores: Tensor,
    order: Tensor,
    dets_sorted: Tensor,
    labels: Tensor,
    iou_threshold: float,
    multi_label: int,
) -> Tensor:
    """Return the indices of rotated boxes that remain after suppression within each label.

    As in the compiled operators, a pair whose overlap equals the threshold keeps both boxes, except
    on a CPU. The compiled operator for CPUs ignores labels, contrary to its documentation; this one
    does not.

    Args:
        dets: (N, 5) boxes, or (N, 6) with the label last; not used.
        scores: (N,); not used.
        order: (N,) int64, indices of boxes by decreasing score.
        dets_sorted: `dets` in that order.
        labels: Not used; labels are in `dets_sorted`.
        iou_threshold: Maximum overlap, see above.
        multi_label: Whether there is a sixth column.

    Returns:
        (K,) int64 indices, best score first.

    Raises:
        RuntimeError: If shapes do not fit.
    """
    if not dets_sorted.numel():
        return order.new_empty(0)
    columns = 6 if multi_label else 5
    if dets_sorted.dim() != 2 or dets_sorted.shape[1] < columns or len(order) != len(dets_sorted):
        raise RuntimeError(f'sorted boxes of nms_rotated: {tuple(dets_sorted.shape)}')
    boxes = full_precision(dets_sorted)
    on_cpu = boxes.device.type == 'cpu'

    def overlap(first: Tensor, second: Tensor) -> Tensor:
        ious = _all_ious(boxes[first, :5], boxes[second, :5], over_union=True)
        hit = ious >= iou_threshold if on_cpu else ious > iou_threshold
        return hit & (boxes[first, None, 5] == boxes[second, 5]) if multi_label else hit

    owner = suppressors(len(boxes), overlap, boxes.device)
    return order[owner == torch.arange(len(owner), device=owner.device)]
