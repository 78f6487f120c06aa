"""Runs of a host's network up to the raw outputs of its heads, independent of values.

The hosts are recognised by the parts of their models; none is imported.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

# Published FLOPs of two-stage detectors count 1,000 boxes, the dummy forward of mmdet 2.x; masks
# count the first 100 of them, in mmdet 2.x and 3.x.
BOXES = 1000
MASKS = 100


def run_network(model: nn.Module, images: Tensor) -> None:
    """Run a host's model, or any module, on images (B, C, H, W) of arbitrary values.

    A DDQ is changed: pass a copy.
    """
    if not isinstance(model, BaseModel):
        model(images)
    elif hasattr(model, 'roi_head'):
        _run_two_stage(model, images)
    else:
        size = tuple(images.shape[-2:])
        info = dict(img_shape=size, batch_input_shape=size, pad_shape=size, ori_shape=size)
        samples = [BaseDataElement(metainfo=info)] * len(images)
        if hasattr(getattr(model, 'decoder', None), 'select_distinct_queries'):
            _keep_all_queries(model)
        if _wants_samples(getattr(model, 'decode_head', None)):
            model.decode_head(model.extract_feat(images), samples)
        else:
            model(images, samples, mode='tensor')


def _wants_samples(head: Any) -> bool:
    """Whether a head is one of MaskFormer's, which mmseg itself calls without samples."""
    return head is not None and 'batch_data_samples' in inspect.signature(head.forward).parameters


def _keep_all_queries(model: Any) -> None:
    """Switch off the NMS by which DDQ chooses queries; there are as many without it, in place."""
    shared = model.cache_dict  # of the detector, its decoder and its head
    shared['dqs_cfg'] = None

    def select(points: Tensor, query: Tensor, mask: Tensor, layer: int) -> Tensor:
        shared['cls_branches'][layer](query)  # whose scores NMS would sort by
        return mask

    model.decoder.select_distinct_queries = select


def _run_two_stage(model: Any, images: Tensor) -> None:
    """Run features, the region proposal network, and the heads on blank regions."""
    features, roi_head = model.extract_feat(images), model.roi_head
    learnt = getattr(model.rpn_head, 'init_proposal_features', None)
    boxes, queries = BOXES, list[Tensor]()
    if learnt is None:
        model.rpn_head(features)
    else:  # Sparse R-CNN: boxes are parameters, each with a feature
        boxes, queries = learnt.num_embeddings, [learnt.weight.expand(len(images), -1, -1)]
    for extractor, head in _stages(roi_head.bbox_roi_extractor, roi_head.bbox_head):
        head(_regions(roi_head, extractor, images, boxes), *queries)
    if roi_head.with_mask:
        shared = getattr(roi_head, 'mask_roi_extractor', None) or roi_head.bbox_roi_extractor
        for extractor, head in _stages(shared, roi_head.mask_head):
            head(_regions(roi_head, extractor, images, MASKS))


def _stages(extractors: Any, heads: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the pairs of a cascade's lists, or the only pair."""
    if isinstance(heads, nn.ModuleList):
        return zip(extractors, heads, strict=True)
    return iter([(extractors, heads)])


def _regions(roi_head: Any, extractor: Any, images: Tensor, number: int) -> Tensor:
    """Return blank region features in the extractor's shape; mmcv's operators need real memory."""
    size = extractor.roi_layers[0].output_size
    blank = images.new_zeros(len(images) * number, extractor.out_channels, *size)
    return roi_head.shared_head(blank) if roi_head.with_shared_head else blank
