"""Non-maximum suppression: hard, soft, and with groups of matched boxes."""

from collections.abc import Callable
from math import isnan

import torch
from torch import Tensor
from torchvision.ops import nms as torchvision_nms

from mmsmt.ops.bbox import areas, intersections
from mmsmt.ops.bilinear import full_precision

NAIVE, LINEAR, GAUSSIAN = 0, 1, 2
BLOCK = 256  # boxes compared with all others at a time


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices of boxes that remain after non-maximum suppression.

    Args:
        boxes: (N, 4) in (x1, y1, x2, y2); further columns are ignored.
        scores: (N,).
        iou_threshold: Boxes that overlap a better one by more than this are removed.
        offset: Added to width and height; 1 for integer pixel coordinates.

    Returns:
        (K,) int64 indices, best score first. Boxes with equal scores are in the order of
            `Tensor.sort`, which is not stable, as in the compiled operator.

    Raises:
        RuntimeError: If shapes do not fit.
    """
    if not boxes.numel():
        return boxes.new_empty(0, dtype=torch.long)
    if boxes.dim() != 2 or scores.shape != boxes.shape[:1]:
        raise RuntimeError(f'boxes {tuple(boxes.shape)} and scores {tuple(scores.shape)} of nms')
    order = scores.sort(0, descending=True)[1]
    ordered = full_precision(boxes[:, :4])[order]
    if not ordered.is_floating_point():
        ordered = ordered.double()
    if offset:
        ordered = torch.cat((ordered[:, :2], ordered[:, 2:] + offset), 1)
    # torchvision sorts too: ranks keep the order above for equal scores.
    ranks = torch.arange(len(order), 0, -1, dtype=ordered.dtype, device=ordered.device)
    return order[torchvision_nms(ordered, ranks, float(iou_threshold))]


def _fill_gaps(kept: Tensor, first: int) -> Tensor:
    """Return the order of entries from `first` on, after each removed one is replaced by the last.

    Args:
        kept: (n,) bool, which entries remain.
        first: Added to every index.

    Returns:
        (k,) indices of the remaining entries.
    """
    places = kept.nonzero().squeeze(1)
    order = torch.arange(len(places), device=kept.device)
    gaps = (~kept[: len(places)]).nonzero().squeeze(1)
    order[gaps] = places[len(places) - len(gaps) :].flip(0)
    return order + first


def _first_best(scores: Tensor) -> int:
    """Return the index of the first highest score, where comparisons with NaN are false."""
    value, best = scores.max(0)
    if not isnan(value):
        return int(best)
    return 0 if bool(scores[0].isnan()) else int(scores.nan_to_num(nan=-torch.inf).argmax())


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lower the scores of boxes that overlap better ones; remove those that fall below a limit.

    Each box depends on all before it, so this is a loop over the remaining boxes.

    Args:
        boxes: (N, 4) in (x1, y1, x2, y2).
        scores: (N,).
        dets: The result, (N, 5): box and new score of the i-th remaining box in row i.
        iou_threshold: Minimum overlap for methods 0 and 1.
        sigma: Width of the Gaussian of method 2.
        min_score: A box whose score is lowered below this is removed.
        method: 0 sets the score to 0, 1 scales it by 1 - IoU, 2 by exp(-IoU^2 / sigma).
        offset: Added to width and height; 1 for integer pixel coordinates.

    Returns:
        (K,) int64 indices of the remaining boxes, best new score first.

    Raises:
        RuntimeError: If shapes do not fit.
    """
    if not boxes.numel():
        return boxes.new_empty(0, dtype=torch.long)
    if boxes.dim() != 2 or scores.shape != boxes.shape[:1] or len(dets) < len(boxes):
        raise RuntimeError(f'boxes {tuple(boxes.shape)}, scores {tuple(scores.shape)} of softnms')
    corners = full_precision(boxes[:, :4])
    # One contiguous row per quantity: x1, y1, x2, y2, area, score, index.
    index = torch.arange(len(boxes), device=boxes.device)
    rows = (corners.T, areas(corners, offset)[None], full_precision(scores)[None], index[None])
    table = torch.cat([row.to(torch.promote_types(corners.dtype, torch.float32)) for row in rows])
    i = 0
    while i < table.shape[1]:
        best = i + _first_best(table[5, i:])
        if best != i:
            swapped = table[:, i].clone()
            table[:, i] = table[:, best]
            table[:, best] = swapped
        rest = table[:, i + 1 :]
        score = rest[5]
        sides = torch.minimum(rest[2:4], table[2:4, i, None])
        sides -= torch.maximum(rest[0:2], table[0:2, i, None])
        if offset:
            sides += offset
        sides.clamp_(min=0)
        common = sides[0] * sides[1]
        iou = common / (rest[4] + table[4, i]).sub_(common)
        if method == NAIVE:
            score.masked_fill_(iou >= iou_threshold, 0)
        elif method == LINEAR:
            score.mul_(torch.where(iou >= iou_threshold, 1 - iou, 1))
        elif method == GAUSSIAN:
            score.mul_(iou.square_().div_(-sigma).exp_())
        i += 1
        if score.numel() and not float(score.min()) >= min_score:
            # A score is NaN if a pair has no area, and is kept.
            order = _fill_gaps(~(score < min_score), i)
            table = torch.cat((table[:, :i], table[:, order]), 1)
    count = table.shape[1]
    dets[:count, :4] = table[:4].T.to(dets.dtype)
    dets[:count, 4] = table[5].to(dets.dtype)
    return table[6].long()


def suppressors(
    count: int, overlap: Callable[[Tensor, Tensor], Tensor], device: torch.device
) -> Tensor:
    """Return, for each of `count` boxes in order of score, the first kept box that suppresses it.

    Blocks of boxes are processed in turn. Within a block, 'keep boxes that no kept one suppresses'
    is repeated until nothing changes; the first i are final after i rounds.

    Args:
        count: Number of boxes.
        overlap: From indices (A,) and (B,) to an (A, B) mask of 'a suppresses b if a is kept'.
        device: Device of the boxes.

    Returns:
        (count,) int64; kept boxes have their own index.
    """
    owner = torch.arange(count, device=device)
    waiting = owner.clone()
    while len(waiting):
        head, tail = waiting[:BLOCK], waiting[BLOCK:]
        hit = overlap(head, head).triu(1)
        kept = torch.ones_like(head, dtype=torch.bool)
        while True:
            settled = ~(hit & kept[:, None]).any(0)
            if torch.equal(settled, kept):
                break
            kept = settled
        winners = head[kept]
        owner[head[~kept]] = winners[hit[kept][:, ~kept].byte().argmax(0)]
        if len(tail):
            hit = overlap(winners, tail)
            lost = hit.any(0)
            owner[tail[lost]] = winners[hit[:, lost].byte().argmax(0)]
            tail = tail[~lost]
        waiting = tail
    return owner


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Return groups of boxes: each kept box followed by those that it suppresses.

    Args:
        dets: (N, 5) in (x1, y1, x2, y2, score).
        iou_threshold: Boxes that overlap by at least this are suppressed.

    Returns:
        Indices, groups and members in order of score.

    Raises:
        RuntimeError: If `dets` has another shape.
    """
    if not dets.numel():
        return []
    if dets.dim() != 2 or dets.shape[1] < 5:
        raise RuntimeError(f'dets of nms_match must be (N, 5), not {tuple(dets.shape)}')
    order = dets[:, 4].sort(0, descending=True)[1]
    boxes = full_precision(dets[:, :4])[order]
    area = areas(boxes)

    def overlap(first: Tensor, second: Tensor) -> Tensor:
        common = intersections(boxes[first, None], boxes[second])
        return common / (area[first, None] + area[second] - common) >= iou_threshold

    owner = suppressors(len(boxes), overlap, boxes.device)
    groups: dict[int, list[int]] = {}
    for first, box in zip(owner.tolist(), order.tolist()):
        groups.setdefault(first, []).append(box)
    return list(groups.values())
