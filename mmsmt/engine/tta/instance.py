"""Test-time augmentation of detectors with masks; needs mmdet."""

from typing import Any, NamedTuple

import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.test_time_augs import DetTTAModel
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi, bbox_flip, scale_boxes
from mmengine.config import ConfigDict
from torch import Tensor

from mmsmt.errors import ConfigError

# Dimensions of (n, classes, height, width) that a flip reverses.
FLIPPED = {'horizontal': (3,), 'vertical': (2,), 'diagonal': (2, 3)}
# Subclasses that compute masks differently (HTC, PointRend, Mask Scoring) override it.
PREDICTS_MASKS = (StandardRoIHead.predict_mask, CascadeRoIHead.predict_mask)


class View(NamedTuple):
    """One augmentation of a batch.

    Args:
        features: Maps of the neck, each (images, channels, height, width).
        samples: One per image, with its augmentation, and boxes at the original size.
    """

    features: tuple[Tensor, ...]
    samples: list[DetDataSample]


class InstanceTTAModel(DetTTAModel):
    """Merge the predictions for several views of an image, including masks.

    Boxes are merged as in mmdet: mapped back, concatenated, filtered by NMS. Then the mask head
    runs on every merged box in every view, and the mean of its probabilities is pasted into the
    image. mmdet 3.3.0 itself does not support masks. Detectors without masks are left to it.

    Args:
        module: The detector, as a config or built. Masks need an RPN and the RoI head of
            Mask R-CNN or Cascade Mask R-CNN.
        tta_cfg: `nms`, a config of `mmcv.ops.batched_nms`, and `max_per_img`.
        **kwargs: See mmengine's `BaseTTAModel`.

    Raises:
        ConfigError: If the detector computes masks in another way.
    """

    def __init__(self, module: Any, tta_cfg: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(module=module, tta_cfg=ConfigDict(tta_cfg), **kwargs)
        if not self.module.with_mask:
            return
        roi_head = getattr(self.module, 'roi_head', None)
        known = getattr(type(roi_head), 'predict_mask', None) in PREDICTS_MASKS
        if not known or not self.module.with_rpn:
            raise ConfigError(
                'test-time augmentation of masks needs an RPN and a StandardRoIHead or '
                f'CascadeRoIHead, got a {type(self.module).__name__} with {type(roi_head).__name__}'
            )

    def test_step(self, data: dict[str, list]) -> list[DetDataSample]:
        """Predict on all views of a batch.

        Args:
            data: `inputs` and `data_samples`, each a list over views of lists over images.

        Returns:
            One sample an image; `pred_instances` at the original size, `masks` in it
            (n, height, width), bool.
        """
        if not self.module.with_mask:
            return super().test_step(data)
        batches = (
            {key: value[i] for key, value in data.items()} for i in range(len(data['inputs']))
        )
        views = [self._find_boxes(batch) for batch in batches]
        samples = self.merge_preds(list(zip(*(view.samples for view in views))))
        boxes = [sample.pred_instances.bboxes for sample in samples]
        total = sum((self._find_masks(view, boxes) for view in views), torch.zeros(()))
        return self._paste(samples, total / len(views))

    def _find_boxes(self, batch: dict[str, Any]) -> View:
        """Run the detector up to its boxes, and keep the features for the masks."""
        detector = self.module
        batch = detector.data_preprocessor(batch, False)
        samples = batch['data_samples']
        features = detector.extract_feat(batch['inputs'])
        found = detector.roi_head.predict_bbox(
            features,
            [sample.metainfo for sample in samples],
            detector.rpn_head.predict(features, samples, rescale=False),
            detector.roi_head.test_cfg,
            rescale=True,
        )
        return View(features, detector.add_pred_to_datasample(samples, found))

    def _find_masks(self, view: View, boxes: list[Tensor]) -> Tensor:
        """Return mask probabilities (n, classes or 1, h, w) of all boxes, with flips undone."""
        metas = [sample.metainfo for sample in view.samples]
        rois = bbox2roi([_to_view(found, meta) for found, meta in zip(boxes, metas)])
        head = self.module.roi_head
        if isinstance(head, CascadeRoIHead):
            looks = [head._mask_forward(i, view.features, rois) for i in range(head.num_stages)]
        else:
            looks = [head._mask_forward(view.features, rois)]
        masks = torch.stack([look['mask_preds'].sigmoid() for look in looks]).mean(0)
        parts = masks.split([len(found) for found in boxes])
        return torch.cat([_turn_back(part, meta) for part, meta in zip(parts, metas)])

    def _paste(self, samples: list[DetDataSample], probabilities: Tensor) -> list[DetDataSample]:
        """Threshold and paste masks at the original size, like the detector itself."""
        results = [sample.pred_instances for sample in samples]
        roi_head = self.module.roi_head
        mask_head = roi_head.mask_head
        if isinstance(roi_head, CascadeRoIHead):
            mask_head = mask_head[-1]
        pasted = mask_head.predict_by_feat(
            probabilities.split([len(result) for result in results]),
            results,
            [dict(ori_shape=sample.ori_shape, scale_factor=(1.0, 1.0)) for sample in samples],
            roi_head.test_cfg,
            rescale=True,
            activate_map=True,
        )
        return self.module.add_pred_to_datasample(samples, pasted)


def _to_view(boxes: Tensor, meta: dict[str, Any]) -> Tensor:
    """Map boxes (n, 4) from pixels of the original image to pixels of the view."""
    if meta['flip']:
        boxes = bbox_flip(boxes, meta['ori_shape'], meta['flip_direction'])
    return scale_boxes(boxes, meta['scale_factor'])


def _turn_back(masks: Tensor, meta: dict[str, Any]) -> Tensor:
    return masks.flip(FLIPPED[meta['flip_direction']]) if meta['flip'] else masks
