"""Detectors whose boxes come about in other ways are refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmdet.models import roi_heads
from mmdet.models.dense_heads import GARPNHead
from mmdet.models.roi_heads.roi_extractors import GenericRoIExtractor
from mmdet.models.task_modules.coders import TBLRBBoxCoder

from mmsmt.deploy.detections.families import compute_of
from mmsmt.deploy.export import exporter
from mmsmt.deploy.export.tasks import task_of
from mmsmt.errors import UsageError
from mmsmt.hosts.model import load_model
from mmsmt.hosts.request import Request

Detector = Callable[[str], tuple[str, str]]


def soft_nms(model: Any) -> None:
    model.bbox_head.test_cfg.nms = dict(type='soft_nms', iou_threshold=0.5)


def all_anchors(model: Any) -> None:
    model.bbox_head.test_cfg.nms_pre = -1


def other_coder(model: Any) -> None:
    model.bbox_head.bbox_coder = TBLRBBoxCoder()


def softmax(model: Any) -> None:
    model.bbox_head.use_sigmoid_cls = False


def of_class(path: str, kind: type) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.get_submodule(path).__class__ = kind

    return change


def highest_pixels(model: Any) -> None:
    model.roi_head.mask_roi_extractor.roi_layers[1].pool_mode = 'max'


@pytest.mark.parametrize(
    ('family', 'change', 'says'),
    [
        ('retinanet', soft_nms, "test_cfg.nms is {'type': 'soft_nms'"),
        ('retinanet', all_anchors, 'test_cfg.nms_pre must be positive'),
        ('retinanet', other_coder, 'its box coder is TBLRBBoxCoder'),
        ('atss', softmax, 'scores of ATSSHead are not sigmoids'),
        (
            'mask_rcnn',
            of_class('rpn_head', GARPNHead),
            'GARPNHead.predict_by_feat is not that of RPNHead',
        ),
        (
            'mask_rcnn',
            of_class('roi_head', roi_heads.DoubleHeadRoIHead),
            'DoubleHeadRoIHead._bbox_forward is not that of StandardRoIHead',
        ),
        (
            'mask_rcnn',
            of_class('roi_head.bbox_roi_extractor', GenericRoIExtractor),
            'GenericRoIExtractor.forward is not that of SingleRoIExtractor',
        ),
        ('mask_rcnn', highest_pixels, 'its regions are pooled by RoIAlign'),
        (
            'cascade_mask_rcnn',
            of_class('roi_head', roi_heads.HybridTaskCascadeRoIHead),
            'HybridTaskCascadeRoIHead.predict',
        ),
    ],
)
def test_is_refused(
    detector: Detector, family: str, change: Callable[[Any], None], says: str
) -> None:
    model = load_model(Request(family, *detector(family))).model
    compute_of(model)
    change(model)
    with pytest.raises(UsageError) as error:
        compute_of(model)
    text = str(error.value)
    assert text.startswith('boxes of this detector cannot be exported: ')
    assert says in text
    assert text.endswith('--maps exports the maps of its head or neck')


@pytest.mark.parametrize(
    ('family', 'options', 'says'),
    [
        ('retinanet', dict(masks='images'), '--masks images needs a .* with masks, .*: detector$'),
        ('mask_rcnn', dict(masks='images', maps=True), '--masks images needs a .*: detector, maps'),
        ('mask_rcnn', dict(labels=True), '--labels needs a segmenter, this exports: detector$'),
    ],
)
def test_masks_and_labels_of_others(
    detector: Detector, family: str, options: dict, says: str
) -> None:
    model = load_model(Request(family, *detector(family))).model
    with pytest.raises(UsageError, match=says):
        task_of(model, **options)


def test_masks_without_threshold(detector: Detector) -> None:
    model: Any = load_model(Request('mask_rcnn', *detector('mask_rcnn'))).model
    model.roi_head.test_cfg.mask_thr_binary = -1
    task_of(model)
    with pytest.raises(UsageError, match='mask_thr_binary is -1, it must be at least 0'):
        task_of(model, masks='images')


def test_opset_of_boxes(
    detector: Detector, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, '_require_packages', lambda kind: None)
    with pytest.raises(UsageError, match='--opset 22: boxes need at most 21'):
        exporter.export(*detector('retinanet'), tmp_path / 'x.onnx', images=images, opset=22)
