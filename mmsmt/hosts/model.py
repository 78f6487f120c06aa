"""Models from configs, of any host or plain backbones, with a checkpoint or random weights."""

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from torch import Tensor, nn

from mmsmt.checkpoints import read_container
from mmsmt.errors import ConfigError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.images import MEAN, STD, to_batch
from mmsmt.hosts.meta_device import build_model, build_on_meta, explain_build
from mmsmt.hosts.request import Request
from mmsmt.hosts.weights import dataset_meta_of, load_weights


class LoadedModel(NamedTuple):
    """A model in eval mode, and the normalisation of its images."""

    label: str
    model: nn.Module  # has a `backbone`, and a head if the config has one
    weights: str  # description of their origin
    mean: tuple[float, ...] = MEAN  # of the channels in the model's order, on a scale to 255
    std: tuple[float, ...] = STD
    bgr: bool = False  # whether that order is blue, green, red
    dataset_meta: Mapping[str, Any] = MappingProxyType({})  # from the checkpoint: classes, palette

    def batch(self, images: Sequence[Image.Image]) -> Tensor:
        """Normalise RGB images of one size to a batch (N, 3, H, W) on the model's device."""
        device = next(self.model.parameters()).device
        return to_batch(images, self.mean, self.std, self.bgr).to(device)


def load_model(
    request: Request, out_indices: tuple[int, ...] | None = None, seed: int = 0
) -> LoadedModel:
    """Build the model of a request, and load its checkpoint if it has one.

    Args:
        request: The model to build; weight files named in its config are not loaded.
        out_indices: Outputs of the backbone, those of the config by default. Norms of maps that the
            checkpoint was trained without keep their initial values.
        seed: Seed of random weights.

    Raises:
        UsageError: If the model cannot be built.
        CheckpointError: If the checkpoint cannot be read safely or does not fit.
    """
    cfg = read_config(request.config)
    cfg.setdefault('default_scope', 'mmpretrain')
    init_default_scope(cfg.default_scope)
    as_trained = copy.deepcopy(cfg)
    if out_indices is not None:
        _set_out_indices(cfg.model.backbone, out_indices)
    torch.manual_seed(seed)
    with explain_build(request.config):
        model = build_model(cfg)
        initialised: Any = model if 'type' in cfg.model else backbone_of(model)
        if hasattr(initialised, 'init_weights'):
            initialised.init_weights()
        trained = build_on_meta(as_trained) if request.file else model
    container = read_container(request.file) if request.file else {}
    if request.file:
        _load(model, container, request.file, trained)
    weights = request.file or f'random, seed {seed}'
    return as_loaded(request.label, model.eval(), weights, cfg, dataset_meta_of(container))


def as_loaded(
    label: str,
    model: nn.Module,
    weights: str,
    cfg: Config,
    dataset_meta: Mapping[str, Any] = MappingProxyType({}),
) -> LoadedModel:
    """Return a built model with the normalisation from its config."""
    pixels = {**cfg.get('data_preprocessor', {}), **cfg.model.get('data_preprocessor', {})}
    return LoadedModel(
        label,
        model,
        weights,
        tuple(pixels.get('mean') or MEAN),
        tuple(pixels.get('std') or STD),
        # OpenCV reads BGR; hosts may convert it.
        bgr=bool(pixels) and not (pixels.get('to_rgb') or pixels.get('bgr_to_rgb')),
        dataset_meta=dataset_meta,
    )


def _load(model: nn.Module, container: dict[str, Any], file: str, trained: nn.Module) -> None:
    """Load a checkpoint of the model as trained, which may have had other norms."""
    allow = sorted(set(model.state_dict()) ^ set(trained.state_dict()))
    if set(dict(trained.named_children())) == {'backbone'}:
        allow += ['head', 'neck']
    load_weights(model, container, file, allow)


def _set_out_indices(backbone: dict[str, Any], out_indices: tuple[int, ...]) -> None:
    backbone['out_indices'] = out_indices
    with MODELS.switch_scope_and_registry(None) as registry:
        kind = registry.get(backbone['type'])
    # Otherwise mmpretrain's ConvNeXt returns pooled vectors.
    if kind and 'gap_before_final_norm' in inspect.signature(kind).parameters:
        backbone['gap_before_final_norm'] = False


def kind_of(model: Any) -> str:
    """Return the kind of a host's model: `classifier`, `segmenter` or `detector`."""
    if hasattr(model, 'decode_head'):
        return 'segmenter'
    return 'classifier' if hasattr(model, 'head') else 'detector'


def backbone_of(model: nn.Module) -> nn.Module:
    """Return the backbone of a model; a module without a `backbone` is its own."""
    return cast(nn.Module, getattr(model, 'backbone', model))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Set a model to eval mode; afterwards every module is back in its own mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def maps_of(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the maps of a backbone for normalised images (B, 3, H, W).

    Raises:
        ValueError: If it returns anything but maps (B, C, H, W).
    """
    outputs = backbone_of(model)(images)
    maps = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    if not maps or any(not isinstance(x, Tensor) or x.ndim != 4 for x in maps):
        shapes = [tuple(getattr(x, 'shape', ())) for x in maps]
        raise ConfigError(f'the backbone must return maps (B, C, H, W), got {shapes}')
    return maps


def logits_of(model: Any, images: Tensor) -> Tensor:
    """Return the logits (B, classes) of a classifier for normalised images (B, 3, H, W).

    Raises:
        ValueError: If it does not return logits.
    """
    if hasattr(model, 'backbone') and getattr(model, 'head', None) is None:
        raise ConfigError('not a classifier: the model has no `head`')
    logits = model(images, mode='tensor') if hasattr(model, 'data_preprocessor') else model(images)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ConfigError('not a classifier: the model returns no logits (B, classes)')
    return logits
