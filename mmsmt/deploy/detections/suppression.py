"""Non-maximum suppression of groups of boxes, as one operator that exporters translate.

The number of remaining boxes depends on values. Inside the operator it is a shape, outside a mask,
so that all shapes in a graph are fixed.
"""

import torch
from torch import Tensor
from torchvision.ops import nms


@torch.library.custom_op('mmsmt::suppress', mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Return which boxes remain after non-maximum suppression.

    Args:
        boxes: (G, N, 4) in G independent groups.
        scores: (G, N); only positive ones count.
        iou: Boxes that overlap a better one by more than this are removed.

    Returns:
        (G, N) bool.
    """
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for mask, each, score in zip(kept, boxes, scores):
        (index,) = (score > 0).nonzero(as_tuple=True)
        mask[index[nms(each[index], score[index], iou)]] = True
    return kept


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)
