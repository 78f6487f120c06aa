"""A host's model with its test pipeline, from images to the host's predictions."""

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
        item: What it is.
        pixels: As loaded, of any type and number of channels.
        packed: What the pipeline made of it.
    """

    def __init__(self, item: Item, pixels: np.ndarray, packed: dict[str, Any]) -> None:
        self.item, self.pixels, self.packed = item, pixels, packed

    @property
    def picture(self) -> np.ndarray:
        """The image to draw on, RGB (H, W, 3) uint8."""
        pixels = self.pixels.clip(0, 255).astype(np.uint8)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, 2)
        return np.ascontiguousarray(pixels[..., ::-1])


class Predictor:
    """Predicts with any model of any host.

    An image's predictions do not depend on the others of its batch: images of different sizes,
    which hosts would pad to a common one, go through the model one size after the other.

    Args:
        found: The model; without a source of weights they are random.
        device: By default the GPU, if there is one; exported files run on the CPU.
        tta: Merge the predictions of the views that the config lists in `tta_pipeline`.

    Raises:
        UsageError: If the config has no model or test pipeline, or cannot be built.
        CheckpointError: If the checkpoint does not fit.
    """

    def __init__(self, found: FoundModel, device: str | None = None, tta: bool = False) -> None:
        self.cfg, exported = found.cfg, found.session is not None
        if 'type' not in self.cfg.model:
            raise UsageError(f'{found.name}: not a training config: `model` is missing')
        if tta and exported:
            raise UsageError(f'{found.source}: an exported file cannot be used with --tta')
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
            BadSampleError: If it cannot be read.
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
        """The host's data samples with predictions, on the CPU, one for each sample."""
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
    """Of an image, or of its views."""
    views = inputs if isinstance(inputs, list | tuple) else [inputs]
    return tuple(tuple(view.shape) for view in views)


def _test_pipeline(found: FoundModel) -> list[Any]:
    dataset = test_dataset(found.cfg) or {}
    pipeline = dataset.get('pipeline') or found.cfg.get('test_pipeline')
    if not pipeline:
        raise UsageError(f'{found.name}: has no test pipeline (test_dataloader.dataset.pipeline)')
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
        raise UsageError(f'--device {name}: PyTorch sees {torch.cuda.device_count()} GPUs')
    return device


def _split(steps: list[Any], config: str) -> tuple[GuardedPipeline, GuardedPipeline]:
    """A pipeline's loading of images and the rest of it, without loading of annotations."""
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
    """A transform; test-time augmentation without what loads annotations of its views."""
    if _kind(step) != 'TestTimeAug':
        return step
    branches = [[s for s in branch if not _reads_labels(s)] for branch in step['transforms']]
    return dict(step, transforms=[branch for branch in branches if branch])


def _kind(step: Any) -> str:
    """Name of a transform, with or without the host's prefix, or a class."""
    kind = step.get('type')
    return kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', '?')


def _collate(cfg: Config) -> Any:
    given = (cfg.get('test_dataloader') or {}).get('collate_fn')
    kind = given.get('type') if isinstance(given, dict) else given
    if isinstance(kind, str):
        with FUNCTIONS.switch_scope_and_registry(None) as registry:  # the host's
            kind = registry.get(kind)
    return kind or pseudo_collate
