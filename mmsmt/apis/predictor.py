"""Prediction with a host's model and its test pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import FUNCTIONS, init_default_scope

from mmsmt.apis.classes import find_classes
from mmsmt.apis.models import FoundModel
from mmsmt.apis.sources import Item
from mmsmt.datasets.guarded_pipeline import GuardedPipeline
from mmsmt.datasets.wrappers import test_dataset
from mmsmt.engine.exported import ExportedModel
from mmsmt.engine.tta.config import set_tta
from mmsmt.errors import BadSampleError, UsageError
from mmsmt.hosts.meta_device import build_model, explain_build
from mmsmt.hosts.weights import load_weights
from mmsmt.layers import use_onednn_linear

LOADER = 'LoadImageFromFile'


class Sample:
    """An image, ready for the model.

    Args:
        item: The image's name and place.
        pixels: Pixels as loaded, of any type and number of channels.
        packed: Result of the pipeline.
    """

    def __init__(self, item: Item, pixels: np.ndarray, packed: dict[str, Any]) -> None:
        self.item, self.pixels, self.packed = item, pixels, packed

    @property
    def picture(self) -> np.ndarray:
        """Return the image to draw on, RGB (H, W, 3) uint8."""
        pixels = self.pixels.clip(0, 255).astype(np.uint8)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, 2)
        return np.ascontiguousarray(pixels[..., ::-1])


class Predictor:
    """Predict with any model of any host.

    The prediction of an image does not depend on the other images in its batch: images of different
    sizes, which hosts would pad to a common size, are run one size after the other.

    Args:
        found: The model; without a source of weights they are random.
        device: The GPU by default, if there is one; exported files run on the CPU.
        tta: Merge the predictions of the views listed in the config's `tta_pipeline`.

    Raises:
        UsageError: If the config has no model or test pipeline, or cannot be built.
        CheckpointError: If the checkpoint does not fit.
    """

    def __init__(self, found: FoundModel, device: str | None = None, tta: bool = False) -> None:
        self.cfg, exported = found.cfg, found.session is not None
        if 'type' not in self.cfg.model:
            raise UsageError(f'{found.name}: not a training config: `model` is missing')
        if tta and exported:
            raise UsageError(f'{found.source}: exported files do not support --tta')
        self.device = _device(device, exported)
        init_default_scope(self.cfg.get('default_scope', 'mmengine'))
        pipeline = set_tta(self.cfg) if tta else _test_pipeline(found)
        with explain_build(found.name):
            self.load, self.prepare = _split(list(pipeline), found.name)
            self.collate = _collate(self.cfg)
            built: Any = build_model(self.cfg).eval()
        model = built.module if tta else built
        self.classes = find_classes(model, found.container, self.cfg)
        if found.session:
            self.model: Any = ExportedModel(found.session, model)
            return
        if found.source:
            load_weights(model, dict(found.container), found.source)
        else:
            model.init_weights()
        if self.device.type == 'cpu':
            built = revert_sync_batchnorm(built)
        use_onednn_linear(self.device.type == 'cpu')
        self.model = built.to(self.device, memory_format=torch.channels_last)

    def read(self, item: Item) -> Sample:
        """Load an image and run the pipeline on it.

        Raises:
            BadSampleError: If the image cannot be read.
        """
        number = dict(img_id=0, sample_idx=0)
        if item.frame is None:
            if not Path(item.path).is_file():
                raise BadSampleError(f'{item.path}: no such file')
            data = self.load(dict(img_path=item.path, **number))
        else:
            size = item.frame.shape[:2]
            data = dict(img_path=item.name, img=item.frame, img_shape=size, ori_shape=size)
            data |= number | dict(height=size[0], width=size[1])
        pixels = data['img']
        return Sample(item, pixels, self.prepare(data))

    @torch.no_grad()
    def __call__(self, samples: Sequence[Sample]) -> list[Any]:
        """Return the host's data samples with predictions on the CPU, one per sample."""
        by_shape: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for index, sample in enumerate(samples):
            by_shape.setdefault(_shapes(sample.packed['inputs']), []).append(index)
        results: list[Any] = [None] * len(samples)
        for indices in by_shape.values():
            batch = self.collate([samples[index].packed for index in indices])
            for index, result in zip(indices, self.model.test_step(batch), strict=True):
                results[index] = result.cpu()
        return results


def _shapes(inputs: Any) -> tuple[tuple[int, ...], ...]:
    """Return the shape of an image, or those of its views."""
    views = inputs if isinstance(inputs, list | tuple) else [inputs]
    return tuple(tuple(view.shape) for view in views)


def _test_pipeline(found: FoundModel) -> list[Any]:
    dataset = test_dataset(found.cfg) or {}
    pipeline = dataset.get('pipeline') or found.cfg.get('test_pipeline')
    if not pipeline:
        raise UsageError(f'{found.name}: no test pipeline (test_dataloader.dataset.pipeline)')
    return pipeline


def _device(name: str | None, exported: bool) -> torch.device:
    if exported and name not in (None, 'cpu'):
        raise UsageError(f'--device {name}: exported files run on the CPU')
    try:
        device = torch.device(
            name or ('cuda' if torch.cuda.is_available() and not exported else 'cpu')
        )
    except RuntimeError as error:
        raise UsageError(f'--device {name}: {str(error).splitlines()[0]}') from error
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f'--device {name}: PyTorch finds {torch.cuda.device_count()} GPUs')
    return device


def _split(steps: list[Any], config: str) -> tuple[GuardedPipeline, GuardedPipeline]:
    """Split a pipeline into loading and the rest, without the loading of annotations."""
    kinds = [_kind(step) for step in steps]
    if LOADER not in kinds:
        raise UsageError(f'{config}: the test pipeline has no {LOADER}; it has {", ".join(kinds)}')
    place = kinds.index(LOADER)
    rest = [_without_annotations(step) for step in steps[place + 1 :] if not _reads_labels(step)]
    return GuardedPipeline(steps[: place + 1]), GuardedPipeline(rest)


def _reads_labels(step: Any) -> bool:
    kind = _kind(step)
    return kind.startswith('Load') and 'Annotation' in kind


def _without_annotations(step: Any) -> Any:
    """Return a transform; test-time augmentation without loading annotations of its views."""
    if _kind(step) != 'TestTimeAug':
        return step
    branches = [[s for s in branch if not _reads_labels(s)] for branch in step['transforms']]
    return dict(step, transforms=[branch for branch in branches if branch])


def _kind(step: Any) -> str:
    """Return the name of a transform, with or without the host's scope, or of a class."""
    kind = step.get('type')
    return kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', '?')


def _collate(cfg: Config) -> Any:
    given = (cfg.get('test_dataloader') or {}).get('collate_fn')
    kind = given.get('type') if isinstance(given, dict) else given
    if isinstance(kind, str):
        with FUNCTIONS.switch_scope_and_registry(None) as registry:  # the host's registry
            kind = registry.get(kind)
    return kind or pseudo_collate
