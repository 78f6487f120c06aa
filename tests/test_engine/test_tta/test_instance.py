"""Boxes and masks merged over views, against mmdet's own prediction and sums by hand."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmcv.transforms import TestTimeAug as Views  # pytest collects classes named Test*
from mmdet.models.test_time_augs import DetTTAModel
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmsmt.engine.tta.instance import InstanceTTAModel

DIGITS = Path(__file__).resolve().parents[3] / 'configs' / 'digits'
TTA_CFG = ConfigDict(dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=30))
ORIGINAL = [(192, 128)]  # long and short side of the test images
MIRRORS = {'horizontal': (2,), 'vertical': (1,), 'diagonal': (1, 2)}


def cascade(model: Any) -> Any:
    """Mask R-CNN's config with three stages, whose mask heads are averaged."""
    head = model.roi_head
    return ConfigDict(
        dict(
            model,
            type='CascadeRCNN',
            roi_head=dict(
                head,
                type='CascadeRoIHead',
                num_stages=3,
                stage_loss_weights=[1, 0.5, 0.25],
                bbox_head=[deepcopy(head.bbox_head) for _ in range(3)],
                mask_head=[deepcopy(head.mask_head) for _ in range(3)],
            ),
            train_cfg=None,
        )
    )


def scoring(model: Any) -> Any:
    """Mask Scoring R-CNN, which rates its masks."""
    rating = dict(
        type='MaskIoUHead',
        num_convs=1,
        num_fcs=1,
        roi_feat_size=14,
        in_channels=64,
        conv_out_channels=8,
        fc_out_channels=8,
        num_classes=10,
    )
    roi_head = dict(model.roi_head, type='MaskScoringRoIHead', mask_iou_head=rating)
    return ConfigDict(dict(model, type='MaskScoringRCNN', roi_head=roi_head))


def without_rpn(model: Any) -> Any:
    """A detector whose proposals come with the data."""
    kept = {key: value for key, value in model.items() if key != 'rpn_head'}
    return ConfigDict(dict(kept, type='FastRCNN'))


KINDS: dict[str, Callable] = {'mask_rcnn': lambda model: model, 'cascade': cascade}


@pytest.fixture(scope='module')
def build() -> Callable[..., nn.Module]:
    """Detectors with random weights, whose many boxes are as good as any."""
    torch.set_num_threads(1)

    def make(change: Callable, name: str = 'mask_rcnn_smt_pico') -> nn.Module:
        init_default_scope('mmdet')
        model = Config.fromfile(DIGITS / f'{name}.py').model
        model.backbone.pop('init_cfg')
        torch.manual_seed(0)
        detector = MODELS.build(change(model)).eval()
        for layer in detector.modules():  # masks that are not one half everywhere
            if isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=0.3)
        return detector

    return make


@pytest.fixture(scope='module')
def detectors(build: Callable) -> dict[str, nn.Module]:
    return {kind: build(change) for kind, change in KINDS.items()}


@pytest.fixture(scope='module')
def images() -> list[np.ndarray]:
    """A wide one and a high one: in a batch both are padded."""
    random = np.random.RandomState(0)
    return [random.randint(0, 256, (*size, 3), dtype=np.uint8) for size in ((128, 192), (192, 128))]


def look(
    images: list[np.ndarray], sizes: list[tuple[int, int]], flips: list[str | None]
) -> dict[str, list]:
    """The batch that mmdet's loader makes of all sizes and flips of the images."""
    init_default_scope('mmdet')
    views = Views(
        [
            [dict(type='Resize', scale=size, keep_ratio=True) for size in sizes],
            [
                dict(type='RandomFlip', prob=float(flip is not None), direction=flip or 'diagonal')
                for flip in flips
            ],
            [dict(type='PackDetInputs')],
        ]
    )
    samples = [
        dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2], img_id=i, img_path='')
        for i, image in enumerate(images)
    ]
    return pseudo_collate([views(sample) for sample in samples])


def predict(
    model: nn.Module,
    images: list[np.ndarray],
    sizes: list[tuple[int, int]] = ORIGINAL,
    flips: list[str | None] | None = None,
) -> list[InstanceData]:
    """What a detector (on the first view) or a merged model finds."""
    batch = look(images, sizes, flips or [None])
    if not isinstance(model, DetTTAModel):
        batch = {key: views[0] for key, views in batch.items()}
    with torch.no_grad():
        return [sample.pred_instances for sample in model.test_step(batch)]


def assert_same(ours: InstanceData, theirs: InstanceData, mirror: str | None = None) -> None:
    """Equal up to the rounding of coordinates, `theirs` mirrored at first."""
    boxes, masks = theirs.bboxes.clone(), theirs.masks
    if mirror:
        masks = masks.flip(MIRRORS[mirror])
        height, width = masks.shape[1:]
        if mirror != 'vertical':
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        if mirror != 'horizontal':
            boxes[:, [1, 3]] = height - boxes[:, [3, 1]]
    assert len(ours) == len(theirs) > 5
    torch.testing.assert_close(ours.bboxes, boxes, rtol=0, atol=1e-3)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=0, atol=1e-5)
    assert torch.equal(ours.labels, theirs.labels)
    assert ours.masks.dtype == torch.bool and ours.masks.shape == masks.shape
    box_areas = (boxes[:, 2:] - boxes[:, :2]).prod(1).sum()
    assert 0.1 < masks.sum() / box_areas < 0.9  # neither empty masks nor rectangles
    # A pixel may lie on the threshold to the last bit.
    assert (ours.masks != masks).sum() < 1e-3 * masks.sum()


@pytest.mark.parametrize('sizes', [ORIGINAL, [(264, 176)]], ids=['original', 'larger'])
@pytest.mark.parametrize('kind', KINDS)
def test_one_view_is_the_detectors_own_prediction(
    kind: str, sizes: list, detectors: dict, images: list
) -> None:
    ours = predict(InstanceTTAModel(detectors[kind], TTA_CFG), images, sizes)
    for found, expected in zip(ours, predict(detectors[kind], images, sizes)):
        assert_same(found, expected)


@pytest.mark.parametrize('flip', MIRRORS)
@pytest.mark.parametrize('kind', KINDS)
def test_a_flipped_view_of_the_mirrored_image_mirrors(
    kind: str, flip: str, detectors: dict, images: list
) -> None:
    mirrored = [np.flip(image, [axis - 1 for axis in MIRRORS[flip]]).copy() for image in images]
    sizes = [(264, 176)]
    ours = predict(InstanceTTAModel(detectors[kind], TTA_CFG), mirrored, sizes, [flip])
    for found, expected in zip(ours, predict(detectors[kind], images, sizes)):
        assert_same(found, expected, mirror=flip)


def place(boxes: Tensor, meta: dict, flip: str | None) -> Tensor:
    """Boxes of the original image in the pixels of a view."""
    height, width = meta['ori_shape']
    x0, y0, x1, y1 = boxes.unbind(1)
    if flip in ('horizontal', 'diagonal'):
        x0, x1 = width - x1, width - x0
    if flip in ('vertical', 'diagonal'):
        y0, y1 = height - y1, height - y0
    wide, high = meta['scale_factor']
    return torch.stack([x0 * wide, y0 * high, x1 * wide, y1 * high], 1)


def paste_in_view(
    detector: nn.Module, images: list, size: tuple, flip: str | None, merged: list[InstanceData]
) -> list[Tensor]:
    """Mask probabilities of given boxes in one view, by mmdet alone; 0 to 255."""
    batch = {key: views[0] for key, views in look(images, [size], [flip]).items()}
    batch = detector.data_preprocessor(batch, False)
    # mmdet 3.3.0's cascade fails on samples that say they are flipped.
    metas = [dict(sample.metainfo, flip=False) for sample in batch['data_samples']]
    given = [
        InstanceData(bboxes=place(found.bboxes, meta, flip), labels=found.labels)
        for found, meta in zip(merged, metas)
    ]
    with torch.no_grad():
        features = detector.extract_feat(batch['inputs'])
        pasted = detector.roi_head.predict_mask(features, metas, given, rescale=True)
    return [(f.masks.flip(MIRRORS[flip]) if flip else f.masks).float() for f in pasted]


@pytest.mark.parametrize('kind', KINDS)
def test_masks_are_the_mean_over_views(kind: str, detectors: dict, images: list) -> None:
    detector, sizes, flips = deepcopy(detectors[kind]), [(192, 128), (264, 176)], [None, 'diagonal']
    detector.roi_head.test_cfg.mask_thr_binary = -1  # mmdet's way to show probabilities
    merged = predict(InstanceTTAModel(detector, TTA_CFG), images, sizes, flips)
    views = [paste_in_view(detector, images, s, f, merged) for s in sizes for f in flips]
    for i, found in enumerate(merged):
        seen = torch.stack([view[i] for view in views])
        assert len(found) > 5
        # Ours and each of the four cut off fractions; beyond that they are equal.
        assert (found.masks.float() - seen.mean(0)).abs().max() < 1.01
        assert (seen[0] - seen[-1]).abs().max() > 20  # the views do differ


@pytest.mark.parametrize('kind', KINDS)
def test_boxes_are_those_of_mmdets_own_class(
    kind: str, build: Callable, detectors: dict, images: list
) -> None:
    without_masks = deepcopy(detectors[kind])
    without_masks.roi_head.mask_head = None
    sizes, flips = [(192, 128), (264, 176)], [None, 'horizontal']
    ours = predict(InstanceTTAModel(detectors[kind], TTA_CFG), images, sizes, flips)
    theirs = predict(DetTTAModel(TTA_CFG, module=without_masks), images, sizes, flips)
    for found, expected in zip(ours, theirs):
        torch.testing.assert_close(found.bboxes, expected.bboxes, rtol=0, atol=1e-3)
        torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-6)
        assert torch.equal(found.labels, expected.labels)


@pytest.mark.parametrize('kind', KINDS)
def test_images_without_detections(kind: str, detectors: dict, images: list) -> None:
    """None at all, and none in one image of the batch."""
    model = InstanceTTAModel(deepcopy(detectors[kind]), TTA_CFG)
    config, flips = model.module.roi_head.test_cfg, [None, 'horizontal']
    best = [found.scores.max().item() for found in predict(model, images, flips=flips)]
    config.score_thr = 1.0
    for found, image in zip(predict(model, images, flips=flips), images):
        assert found.masks.shape == (0, *image.shape[:2]) and found.masks.dtype == torch.bool
        assert found.bboxes.shape == (0, 4)
    config.score_thr = sum(best) / 2
    counts = [len(found) for found in predict(model, images, flips=flips)]
    assert [count > 0 for count in counts] == [score > config.score_thr for score in best]
    assert sorted(count > 0 for count in counts) == [False, True]


def test_detectors_without_masks_are_left_to_mmdet(build: Callable, images: list) -> None:
    detector = build(lambda model: model, 'retinanet_smt_pico')
    detector.test_cfg.score_thr = 0.0
    ours, theirs = (
        predict(tta(module=detector, tta_cfg=TTA_CFG), images, flips=[None, 'horizontal'])
        for tta in (InstanceTTAModel, DetTTAModel)
    )
    for found, expected in zip(ours, theirs):
        assert len(found) > 5 and 'masks' not in found
        assert torch.equal(found.bboxes, expected.bboxes)


@pytest.mark.parametrize(
    ('change', 'says'),
    [(scoring, 'MaskScoringRCNN with MaskScoringRoIHead'), (without_rpn, 'FastRCNN with Standard')],
)
def test_other_ways_to_masks_are_refused(change: Callable, says: str, build: Callable) -> None:
    with pytest.raises(ValueError, match=f'StandardRoIHead or CascadeRoIHead, got a {says}'):
        InstanceTTAModel(build(change), TTA_CFG)


def test_is_built_by_name_from_mmdets_scope(detectors: dict) -> None:
    init_default_scope('mmdet')
    config = dict(type='mmsmt.InstanceTTAModel', tta_cfg=TTA_CFG, module=detectors['mask_rcnn'])
    assert type(MODELS.build(config)) is InstanceTTAModel
