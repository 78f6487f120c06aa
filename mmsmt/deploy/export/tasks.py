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
from mmsmt.deploy.export.difference import relative_difference
from mmsmt.hosts.model import LoadedModel, logits_of, maps_of

Named = dict[str, Tensor]
Size = tuple[int, int]
# Relative to the root mean square of a result; float32 leaves about 1e-5.
LIMIT = 1e-3


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
    """

    name: str
    compute: Callable[[Any, Tensor, Size], Named]
    expect: Callable[[LoadedModel, Sequence[Image.Image]], Named]
    pads: bool = True
    differences: Callable[[Named, Named], dict[str, float]] = relative_differences
    limits: Mapping[str, float] = MappingProxyType({})

    def limit(self, name: str) -> float:
        """The largest difference of a result that is allowed."""
        return self.limits.get(name, LIMIT)


def task_of(model: Any, backbone_only: bool = False, maps: bool = False) -> Task:
    """What to export of a model, by the parts that it has.

    Args:
        model: Of a host.
        backbone_only: The maps of its backbone.
        maps: Of a detector what its head or neck gives, without boxes.

    Raises:
        UsageError: If it is a detector whose boxes cannot be exported.
    """
    if backbone_only or not hasattr(model, 'data_preprocessor'):
        return BACKBONE
    if hasattr(model, 'decode_head'):
        return SEGMENTER
    if hasattr(model, 'head'):
        return CLASSIFIER
    if maps:
        return DETECTOR_MAPS
    return Task(
        'detector',
        compute_of(model),
        _predicted_detections,
        differences=compare.differences,
        limits=compare.LIMITS,
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


def _predicted_detections(loaded: LoadedModel, images: Sequence[Image.Image]) -> Named:
    return expected.predict(loaded.model, _read(images))


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
DETECTOR_MAPS = Task(
    'detector, maps',
    _raw_outputs,
    lambda loaded, images: _raw_outputs(loaded.model, _normalise(loaded.model, images)),
)
