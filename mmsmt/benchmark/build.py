"""Build a contender; libraries of peers are imported here alone, when one is asked for."""

from typing import Any

import torch
from torch import Tensor, nn

from mmsmt import backbones
from mmsmt.benchmark.contenders import STAGES, Contender, request_of
from mmsmt.benchmark.plain_smt import PlainSMT
from mmsmt.errors import UsageError
from mmsmt.hosts.model import backbone_of, load_subject


def build(contender: Contender) -> nn.Module:
    """Build a contender with random weights, in evaluation mode.

    Raises:
        UsageError: If its library is missing, or a config's model cannot be built.
    """
    torch.manual_seed(0)
    model: Any
    if contender.library == 'plain':
        model = PlainSMT(**contender.options)
        # Its own initialisation would be another; times hardly depend on it, gradients may.
        model.load_state_dict(backbones.SMT(**contender.options).state_dict())
    elif contender.library == 'mmsmt':
        model = getattr(backbones, contender.kind)(**contender.options)
    elif contender.library == 'config':
        model = backbone_of(load_subject(request_of(contender), out_indices=STAGES).model)
    elif contender.library == 'mmpretrain':
        model = _mmpretrain(contender)
    else:
        model = _timm(contender)
    model.eval()  # several of mmpretrain return nothing here
    return model


def _mmpretrain(contender: Contender) -> Any:
    try:
        from mmpretrain import models
    except ImportError as error:
        raise UsageError(_missing(contender, 'cls')) from error
    model = getattr(models, contender.kind)(**contender.options)
    model.init_weights()
    return model


def _timm(contender: Contender) -> Any:
    try:
        import timm
    except ImportError as error:
        raise UsageError(_missing(contender, 'benchmark')) from error
    # The getter alone gives (B, C, H, W) of networks that compute on (B, H, W, C).
    return timm.create_model(
        contender.kind,
        features_only=True,
        feature_cls='getter',
        out_indices=STAGES,
        **contender.options,
    )


def _missing(contender: Contender, extra: str) -> str:
    return (
        f'{contender.name} is from {contender.library}, which is not installed: '
        f"pip install 'mmsmt[{extra}]'"
    )


def check_maps(contender: Contender, maps: Any, height: int, width: int) -> None:
    """Refuse a contender that does other work than the rest.

    Args:
        contender: For the message.
        maps: What it gives for images of `height` x `width`.
        height: In pixels.
        width: In pixels.

    Raises:
        UsageError: If these are no four maps at strides 4 to 32, rounded up or down.
    """
    sizes = [tuple(x.shape[2:]) for x in maps if isinstance(x, Tensor) and x.ndim == 4]
    right = len(sizes) == len(maps) == len(STAGES) and all(
        abs(side - pixels / stride) < 1
        for size, stride in zip(sizes, (4, 8, 16, 32))
        for side, pixels in zip(size, (height, width))
    )
    if not right:
        raise UsageError(
            f'{contender.name}: gives maps of {sizes} for {height} x {width} pixels; compared '
            'are backbones with four maps, at strides 4, 8, 16 and 32'
        )
