"""The host's own detections, in the form of an exported file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence


def predict(model: Any, images: Sequence[Tensor], pasted: bool = False) -> dict[str, Tensor]:
    """Return the detections of images, in tensors as long as the longest list.

    Args:
        model: A host's detector.
        images: Images (3, H, W) of one size, uint8 as read by the host.
        pasted: Return masks (B, N, H, W), bool, of whole images instead of those of regions.
    """
    from mmdet.structures import DetDataSample

    samples = []
    for image in images:
        size = tuple(image.shape[-2:])
        meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
        samples.append(DetDataSample(metainfo=meta))
    data = model.data_preprocessor({'inputs': list(images), 'data_samples': samples})
    with _masks_of_images() if pasted else _masks_of_regions(model) as masks:
        results = model.predict(data['inputs'], data['data_samples'], rescale=False)
    found = [result.pred_instances for result in results]
    named = {
        'boxes': _stack([each.bboxes for each in found]),
        'scores': _stack([each.scores for each in found]),
        'labels': _stack([each.labels for each in found]),
        'count': torch.tensor([len(each) for each in found]),
    }
    if pasted:
        named['masks'] = _stack([each.masks for each in found])
    elif getattr(model, 'with_mask', False):
        empty = named['boxes'].new_zeros(0, 1, 1)  # the host runs no head without detections
        named['masks'] = _stack(masks or [empty] * len(found))
    return named


def _stack(rows: Sequence[Tensor]) -> Tensor:
    return pad_sequence(list(rows), batch_first=True)


@contextmanager
def _masks_of_regions(model: Any) -> Iterator[list[Tensor]]:
    """Collect a mask head's results, each for its box's class, before they are pasted."""
    if not getattr(model, 'with_mask', False):
        yield []
        return
    head: Any = model.roi_head.mask_head
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    taken: list[Tensor] = []

    def take(mask_preds: Any, results_list: Any, *_: Any, **options: Any) -> Any:
        for masks, result in zip(mask_preds, results_list):
            masks = masks if options.get('activate_map') else masks.sigmoid()
            own = torch.zeros_like(result.labels) if head.class_agnostic else result.labels
            taken.append(masks[torch.arange(len(own)), own])
        return results_list

    with mock.patch.object(head, 'predict_by_feat', take):
        yield taken


@contextmanager
def _masks_of_images() -> Iterator[list[Tensor]]:
    """Make mmdet paste masks on a CPU in the same way as on a GPU.

    On a CPU it crops what it pastes to one pixel around the box. That matters only if a probability
    below 0.5 counts as inside.
    """
    from mmdet.models.roi_heads.mask_heads import fcn_mask_head

    paste = fcn_mask_head._do_paste_mask

    def whole(masks: Tensor, boxes: Tensor, height: int, width: int, **_: bool) -> Any:
        return paste(masks, boxes, height, width, skip_empty=False)

    with mock.patch.object(fcn_mask_head, '_do_paste_mask', whole):
        yield []
