"""Metrics of a classifier's invariance to changes of the image."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.analysis.invariance.variants import Protocol, Variant
from mmsmt.errors import ConfigError
from mmsmt.hosts.images import to_batch
from mmsmt.hosts.model import evaluation_mode, logits_of

Normalise = Callable[[Sequence[Image.Image]], Tensor]
TOP = 5


def predict(
    model: nn.Module, views: Sequence[Image.Image], normalise: Normalise, batch_size: int
) -> Tensor:
    """Return logits (N, classes) of a classifier for images of one size, in eval mode."""
    batches = [views[i : i + batch_size] for i in range(0, len(views), batch_size)]
    with evaluation_mode(model), torch.inference_mode():
        return torch.cat([logits_of(model, normalise(b)).float().cpu() for b in batches])


def compare_logits(logits: Tensor, reference: Tensor, labels: Tensor | None) -> dict[str, float]:
    """Compare logits (N, K) for changed images with those for the reference views.

    Args:
        logits: For the changed images.
        reference: For the reference views.
        labels: Classes, (N,); None if they are not those of the classifier.

    Returns:
        `consistency`, the share of images whose predicted class is that of the reference; `loss`,
        the cross-entropy with its softmax as target; with labels `top1` and, from five classes on,
        `top5`.
    """
    results = {
        'consistency': (logits.argmax(1) == reference.argmax(1)).float().mean().item(),
        'loss': F.cross_entropy(logits, reference.softmax(1)).item(),
    }
    if labels is not None:
        results['top1'] = (logits.argmax(1) == labels).float().mean().item()
        if logits.shape[1] >= TOP:
            hits = (logits.topk(TOP).indices == labels[:, None]).any(1)
            results['top5'] = hits.float().mean().item()
    return results


def measure_invariance(
    model: nn.Module,
    images: Sequence[Image.Image],
    labels: Sequence[int] | None,
    variants: Iterable[Variant],
    protocol: Protocol | None = None,
    normalise: Normalise = to_batch,
    batch_size: int = 50,
) -> list[dict[str, Any]]:
    """Measure a classifier on changed images.

    Args:
        model: A host's classifier or a plain module that returns logits (B, classes). Runs in eval
            mode.
        images: RGB images of any size.
        labels: Class of each image, or None.
        variants: The result of `make_variants`.
        protocol: Protocol of the variants.
        normalise: From images to a batch on the model's device; by default with ImageNet's mean and
            standard deviation, on the CPU.
        batch_size: Images per batch.

    Returns:
        For each variant its `kind`, `label` and `strength`, and the results of `compare_logits`.

    Raises:
        ValueError: If there are no images, labels do not fit, or the model does not return logits.
    """
    if not images:
        raise ConfigError('invariance needs at least one image')
    protocol = protocol or Protocol()
    views = [protocol.reference(image) for image in images]
    reference = predict(model, views, normalise, batch_size)
    truth = None if labels is None else torch.tensor(labels)
    if truth is not None and (
        len(truth) != len(images) or not 0 <= truth.min() <= truth.max() < reference.shape[1]
    ):
        raise ConfigError(
            f'labels must be {len(images)} numbers from 0 to {reference.shape[1] - 1}, got '
            f'{len(truth)} from {truth.min()} to {truth.max()}'
        )
    rows = []
    for variant in variants:
        views = [variant.apply(image, index) for index, image in enumerate(images)]
        logits = predict(model, views, normalise, batch_size)
        named = dict(kind=variant.kind, label=variant.label, strength=variant.strength)
        rows.append({**named, **compare_logits(logits, reference, truth)})
    return rows
