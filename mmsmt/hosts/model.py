"""The networks to be looked at: of any host or of none, named by a config, with weights or not."""

import copy
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from mmsmt.checkpoints import read_container
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.meta_device import build_on_meta
from mmsmt.hosts.request import Request
from mmsmt.hosts.weights import fit_weights

# Of ImageNet's training images, in RGB; mmpretrain's configs have the same.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


class Subject(NamedTuple):
    """A network ready to be looked at.

    Args:
        label: Its name.
        model: In evaluation mode; has a `backbone`, and a head where the config has one.
        weights: Where they are from, in words.
        mean, std: Of the three channels in the order that the network wants, on a scale to 255.
        bgr: Whether that order is blue, green, red.
    """

    label: str
    model: nn.Module
    weights: str
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    bgr: bool = False


def load_subject(
    request: Request, out_indices: tuple[int, ...] | None = None, seed: int = 0
) -> Subject:
    """Build a request's network and load its checkpoint, if it has one.

    Args:
        request: What to build. Files that its config names are not loaded.
        out_indices: Make the backbone give these maps; by default those of the config. Norms of
            maps that a checkpoint was trained without stay as they are initialised.
        seed: Of random weights.

    Raises:
        UsageError: If the network cannot be built.
        CheckpointError: If the checkpoint cannot be read safely or does not fit.
    """
    cfg = read_config(request.config)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    plain = copy.deepcopy(cfg)
    if out_indices is not None:
        _give_maps(cfg.model.backbone, out_indices)
    torch.manual_seed(seed)
    model = _build(request, cfg)
    weights = f'random, seed {seed}'
    if request.file:
        weights = request.file
        _load(model, request.file, trained=_build(request, plain, weightless=True))
    pixels = {**cfg.get('data_preprocessor', {}), **cfg.model.get('data_preprocessor', {})}
    return Subject(
        request.label,
        model.eval(),
        weights,
        tuple(pixels.get('mean') or MEAN),
        tuple(pixels.get('std') or STD),
        # OpenCV reads BGR; hosts turn that round or not.
        bgr=bool(pixels) and not (pixels.get('to_rgb') or pixels.get('bgr_to_rgb')),
    )


def _load(model: nn.Module, file: str, trained: nn.Module) -> None:
    """Load a checkpoint of the model as it was trained, which may have had other norms."""
    names, trained_names = set(model.state_dict()), set(trained.state_dict())
    allow = [*sorted(names ^ trained_names)]
    if set(dict(trained.named_children())) == {'backbone'}:
        allow += ['head', 'neck']
    state, _ = fit_weights(model, read_container(file), file, allow)
    model.load_state_dict(state, strict=False)


def _give_maps(backbone: dict[str, Any], out_indices: tuple[int, ...]) -> None:
    """Make a backbone's config give maps of these stages."""
    backbone['out_indices'] = out_indices
    with MODELS.switch_scope_and_registry(None) as registry:
        kind = registry.get(backbone['type'])
    # mmpretrain's ConvNeXt otherwise gives pooled vectors.
    if kind and 'gap_before_final_norm' in inspect.signature(kind).parameters:
        backbone['gap_before_final_norm'] = False


def _build(request: Request, cfg: Config, weightless: bool = False) -> nn.Module:
    """Build a config's model; a mere backbone becomes a module that holds one."""
    try:
        if 'type' not in cfg.model:
            backbone: Any = MODELS.build(_without_files(cfg.model.backbone))
            model: Any = nn.ModuleDict({'backbone': backbone})
            _initialise(backbone)
            return model
        if weightless:
            return build_on_meta(cfg)
        if 'data_preprocessor' not in cfg.model and 'data_preprocessor' in cfg:
            cfg.model.data_preprocessor = cfg.data_preprocessor
        model = MODELS.build(_without_files(cfg.model))
        _initialise(model)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise UsageError(f'{request.config}: the model cannot be built: {text}') from error
    return model


def _initialise(model: Any) -> None:
    if hasattr(model, 'init_weights'):
        model.init_weights()


def _without_files(part: Any) -> Any:
    """A copy of a config in which nothing is to be loaded from a file."""
    if isinstance(part, Mapping):
        kept = {k: _without_files(v) for k, v in part.items() if k != 'pretrained'}
        init = kept.get('init_cfg')
        if isinstance(init, Mapping) and str(init.get('type')).endswith('Pretrained'):
            del kept['init_cfg']
        return type(part)(kept) if isinstance(part, dict) else kept
    if isinstance(part, list | tuple):
        return type(part)(
            _without_files(item)
            for item in part
            if not (isinstance(item, Mapping) and str(item.get('type')).endswith('Pretrained'))
        )
    return part


def backbone_of(model: nn.Module) -> nn.Module:
    """The part of a model that gives maps; a module without a `backbone` is one itself."""
    return cast(nn.Module, getattr(model, 'backbone', model))


def maps_of(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Maps of a backbone for normalised images (B, 3, H, W).

    Raises:
        ValueError: If what it gives are no maps (B, C, H, W).
    """
    outputs = backbone_of(model)(images)
    maps = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    if not maps or any(not isinstance(x, Tensor) or x.ndim != 4 for x in maps):
        shapes = [tuple(getattr(x, 'shape', ())) for x in maps]
        raise ValueError(f'the backbone gives no maps (B, C, H, W), but {shapes}')
    return maps


def logits_of(model: Any, images: Tensor) -> Tensor:
    """Logits (B, classes) of a classifier for normalised images (B, 3, H, W).

    Raises:
        ValueError: If what it gives are no logits.
    """
    if hasattr(model, 'backbone') and getattr(model, 'head', None) is None:
        raise ValueError('the model has no `head`, so it is no classifier')
    logits = model(images, mode='tensor') if hasattr(model, 'data_preprocessor') else model(images)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ValueError('the model gives no logits (B, classes), so it is no classifier')
    return logits
