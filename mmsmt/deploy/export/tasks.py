"""What is exported of a network, and what its host computes to compare it with."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import functional as TF

from mmsmt.deploy.detections import compare, expected
from mmsmt.deploy.detections.families import compute_of
from mmsmt.deploy.detections.paste import paste_found, threshold_of
from mmsmt.deploy.export.difference import relative_difference
from mmsmt.errors import UsageError
from mmsmt.hosts.model import LoadedModel, kind_of, logits_of, maps_of

Named = dict[str, Tensor]
Size = tuple[int, int]
# Relative to the root mean square of a result; float32 leaves about 1e-5.
LIMIT = 1e-3
MASKS = ('regions', 'images')


def relative_differences(found: Named, expected: Named) -> dict[str, float]:
    """Largest difference of every result, relative to its root mean square."""
    return {name: relative_difference(value, expected[name]) for name, value in found.items()}


class Task(NamedTuple):
    """What a kind of network gives.

    Args:
        name: Of the kind.
        compute: From a network, normalised images (B, 3, H, W) and their height and width before
            they were padded, to the results by name, of operations that can be exported.
        expect: From the untouched network and as many images of one size to the same results,
            in the host's own way, preprocessing included.
        pads: Whether images are filled up at the right and below as the host does.
        differences: From found and expected results to how much they differ, by name.
        limits: The largest difference allowed, by name; 1e-3 where a name has none.
        unit: Of differences, in words.
    """

    name: str
    compute: Callable[[Any, Tensor, Size], Named]
    expect: Callable[[LoadedModel, Sequence[Image.Image]], Named]
    pads: bool = True
    differences: Callable[[Named, Named], dict[str, float]] = relative_differences
    limits: Mapping[str, float] = MappingProxyType({})
    unit: str = 'of the rms'

    def limit(self, name: str) -> float:
        """The largest difference of a result that is allowed."""
        return self.limits.get(name, LIMIT)


def task_of(
    model: Any,
    backbone_only: bool = False,
    maps: bool = False,
    labels: bool = False,
    masks: str = 'regions',
) -> Task:
    """What to export of a model, by the parts that it has.

    Args:
        model: Of a host.
        backbone_only: The maps of its backbone.
        maps: Of a detector what its head or neck gives, without boxes.
        labels: Of a segmenter the label of every pixel, not logits.
        masks: Of a detector with masks, those of `regions` or of whole `images`.

    Raises:
        UsageError: If it is a detector whose boxes cannot be exported, or if it has no such labels
            or masks.
    """
    if masks not in MASKS:
        raise UsageError(f'--masks takes {" or ".join(MASKS)}, got {masks}')
    task = _without_boxes(model, backbone_only, maps)
    name = task.name if task else 'detector'
    if labels and task is not SEGMENTER:
        raise UsageError(f'--labels is for segmenters, this exports: {name}')
    if masks == 'images' and (task or not getattr(model, 'with_mask', False)):
        raise UsageError(f'--masks images is for detectors with masks, this exports: {name}')
    if task is None:
        return _detector(model, masks == 'images')
    return SEGMENTER_LABELS if labels else task


def _without_boxes(model: Any, backbone_only: bool, maps: bool) -> Task | None:
    """What to export of a model, by the parts that it has; None stands for boxes."""
    if backbone_only or not hasattr(model, 'data_preprocessor'):
        return BACKBONE
    kind = kind_of(model)
    if kind == 'detector':
        return DETECTOR_MAPS if maps else None
    return SEGMENTER if kind == 'segmenter' else CLASSIFIER


def _detector(model: Any, pasted: bool) -> Task:
    """Detections, with masks of whole images if they are to be pasted."""
    compute = compute_of(model)
    regions = Task(
        'detector',
        compute,
        _predicted_detections,
        differences=compare.differences,
        limits=compare.LIMITS,
        unit='boxes in pixels',
    )
    if not pasted:
        return regions
    threshold = threshold_of(model)
    return regions._replace(
        name='detector, masks of images',
        compute=lambda model, x, size: paste_found(compute(model, x, size), size, threshold),
        expect=lambda loaded, images: _predicted_detections(loaded, images, pasted=True),
        unit='boxes in pixels, masks in shares of their pixels',
    )


def _normalise(model: Any, images: Sequence[Image.Image]) -> Tensor:
    """Images as the host's own preprocessor gives them."""
    return model.data_preprocessor({'inputs': _read(images)})['inputs']


def _read(images: Sequence[Image.Image]) -> list[Tensor]:
    """Images as OpenCV reads them, which the hosts want."""
    return [TF.pil_to_tensor(image).flip(0) for image in images]


def _maps(model: Any, x: Tensor, _: Size | None = None) -> Named:
    return {f'map_{i}': each for i, each in enumerate(maps_of(model, x))}


def _scores(model: Any, x: Tensor, _: Size) -> Named:
    return {'scores': logits_of(model, x).softmax(1)}


def _predicted_scores(loaded: LoadedModel, images: Sequence[Image.Image]) -> Named:
    model: Any = loaded.model
    predicted = model(_normalise(model, images), mode='predict')
    return {'scores': torch.stack([each.pred_score for each in predicted])}


def _logits(model: Any, x: Tensor, _: Size) -> Named:
    logits = model(x, mode='tensor')
    size, align = x.shape[2:], model.align_corners
    return {'logits': F.interpolate(logits, size, mode='bilinear', align_corners=align)}


def _predicted_logits(loaded: LoadedModel, images: Sequence[Image.Image]) -> Named:
    model: Any = loaded.model
    x = _normalise(model, images)
    size = tuple(x.shape[2:])
    info = dict(img_shape=size, ori_shape=size, pad_shape=size)
    return {'logits': model.whole_inference(x, [info] * len(images))}


def _labels(model: Any, x: Tensor, size: Size) -> Named:
    """Label of every pixel (B, H, W), in the smallest type that holds the last one."""
    logits = _logits(model, x, size)['logits']
    classes = logits.shape[1]
    if classes == 1:
        return {'labels': (logits[:, 0].sigmoid() > model.decode_head.threshold).to(torch.uint8)}
    return {'labels': logits.argmax(1).to(torch.uint8 if classes <= 256 else torch.int32)}


def _predicted_labels(loaded: LoadedModel, images: Sequence[Image.Image]) -> Named:
    model: Any = loaded.model
    predicted = model.postprocess_result(_predicted_logits(loaded, images)['logits'])
    return {'labels': torch.cat([each.pred_sem_seg.data for each in predicted])}


def _other_labels(found: Named, expected: Named) -> dict[str, float]:
    """Largest share of an image's pixels whose label is another one."""
    mine, other = found['labels'], expected['labels']
    if mine.shape != other.shape:
        return {'labels': float('inf')}
    return {'labels': (mine != other).float().mean((1, 2)).max().item()}


def _predicted_detections(
    loaded: LoadedModel, images: Sequence[Image.Image], pasted: bool = False
) -> Named:
    return expected.predict(loaded.model, _read(images), pasted)


def _raw_outputs(model: Any, x: Tensor, _: Size | None = None) -> Named:
    """What a head of one stage gives at every level, or else the neck's maps."""
    maps = model.extract_feat(x)
    head: Any = getattr(model, 'bbox_head', None)
    if not hasattr(head, 'prior_generator'):
        return {f'feature_{i}': each for i, each in enumerate(maps)}
    return {
        f'head_{kind}_level_{level}': each
        for kind, levels in enumerate(head(maps))
        for level, each in enumerate(levels)
    }


BACKBONE = Task(
    'backbone',
    _maps,
    lambda loaded, images: _maps(loaded.model, loaded.batch(images)),
    pads=False,
)
CLASSIFIER = Task('classifier', _scores, _predicted_scores)
SEGMENTER = Task('segmenter', _logits, _predicted_logits)
# At few pixels two classes are equally likely within rounding: the limit is theirs.
SEGMENTER_LABELS = Task(
    'segmenter, labels',
    _labels,
    _predicted_labels,
    differences=_other_labels,
    unit='of the pixels of an image',
)
DETECTOR_MAPS = Task(
    'detector, maps',
    _raw_outputs,
    lambda loaded, images: _raw_outputs(loaded.model, _normalise(loaded.model, images)),
)
