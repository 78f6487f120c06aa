"""Export tasks: the exported computation, and the host's own results for comparison."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import functional as TF

from mmsmt.deploy.detections import compare, dino, expected
from mmsmt.deploy.detections.families import compute_of
from mmsmt.deploy.detections.paste import paste_found, threshold_of
from mmsmt.deploy.export.difference import relative_difference
from mmsmt.errors import UsageError
from mmsmt.hosts.model import LoadedModel, kind_of, logits_of, maps_of

Named = dict[str, Tensor]
Size = tuple[int, int]
# Relative to the RMS of a result; float32 is accurate to about 1e-5.
LIMIT = 1e-3
MASKS = ('regions', 'images')


def relative_differences(found: Named, expected: Named) -> dict[str, float]:
    """Return the largest difference of every result, relative to its RMS."""
    return {name: relative_difference(value, expected[name]) for name, value in found.items()}


class Task(NamedTuple):
    """The results of a kind of network.

    Args:
        name: Name of the kind.
        compute: From a network, normalised images (B, 3, H, W) and their unpadded height and width,
            to the results by name, with exportable operations.
        expect: From the original network and images of one size to the same results, computed by
            the host, including preprocessing.
        pads: Whether images are padded at the right and bottom, as by the host.
        differences: From found and expected results to their differences, by name.
        limits: The largest allowed differences, by name; 1e-3 for other names.
        unit: Unit of the differences.
        ranks: Whether results depend on ranks of pixels, which rounding can change.
    """

    name: str
    compute: Callable[[Any, Tensor, Size], Named]
    expect: Callable[[LoadedModel, Sequence[Image.Image]], Named]
    pads: bool = True
    differences: Callable[[Named, Named], dict[str, float]] = relative_differences
    limits: Mapping[str, float] = MappingProxyType({})
    unit: str = 'of the rms'
    ranks: bool = False

    def limit(self, name: str) -> float:
        """Return the largest allowed difference of a result."""
        return self.limits.get(name, LIMIT)


def task_of(
    model: Any,
    backbone_only: bool = False,
    maps: bool = False,
    labels: bool = False,
    masks: str = 'regions',
) -> Task:
    """Choose what to export from the parts of a model.

    Args:
        model: A host's model.
        backbone_only: Export the maps of its backbone.
        maps: Export the maps of a detector's head or neck, without boxes.
        labels: Export a segmenter's label of every pixel, not logits.
        masks: Export a detector's masks of `regions` or of whole `images`.

    Raises:
        UsageError: If a detector's boxes cannot be exported, or the model has no such labels or
            masks.
    """
    if masks not in MASKS:
        raise UsageError(f'--masks must be {" or ".join(MASKS)}, got {masks}')
    task = _without_boxes(model, backbone_only, maps)
    name = task.name if task else 'detector'
    if labels and task is not SEGMENTER:
        raise UsageError(f'--labels needs a segmenter, this exports: {name}')
    if masks == 'images' and (task or not getattr(model, 'with_mask', False)):
        raise UsageError(f'--masks images needs a detector with masks, this exports: {name}')
    if task is None:
        return _detector(model, masks == 'images')
    return SEGMENTER_LABELS if labels else task


def _without_boxes(model: Any, backbone_only: bool, maps: bool) -> Task | None:
    """Choose what to export from the parts of a model; None for boxes."""
    if backbone_only or not hasattr(model, 'data_preprocessor'):
        return BACKBONE
    kind = kind_of(model)
    if kind == 'detector':
        return DETECTOR_MAPS if maps else None
    return SEGMENTER if kind == 'segmenter' else CLASSIFIER


def _detector(model: Any, pasted: bool) -> Task:
    """Return the task of detections, optionally with masks of whole images."""
    compute = compute_of(model)
    regions = Task(
        'detector',
        compute,
        _predicted_detections,
        differences=compare.differences,
        limits=compare.LIMITS,
        unit='boxes in pixels',
        ranks=compute is dino.compute,
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
    """Preprocess images with the host's own preprocessor."""
    return model.data_preprocessor({'inputs': _read(images)})['inputs']


def _read(images: Sequence[Image.Image]) -> list[Tensor]:
    """Convert images to those that OpenCV, and so the hosts, would read."""
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
    """Return the label of every pixel (B, H, W), in the smallest sufficient dtype."""
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
    """Return the largest share of an image's pixels with another label."""
    mine, other = found['labels'], expected['labels']
    if mine.shape != other.shape:
        return {'labels': float('inf')}
    return {'labels': (mine != other).float().mean((1, 2)).max().item()}


def _predicted_detections(
    loaded: LoadedModel, images: Sequence[Image.Image], pasted: bool = False
) -> Named:
    return expected.predict(loaded.model, _read(images), pasted)


def _raw_outputs(model: Any, x: Tensor, _: Size | None = None) -> Named:
    """Return the outputs of a one-stage head at every level, otherwise the neck's maps."""
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
# A few pixels have two equally likely classes up to rounding, hence the limit.
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
