"""Conversion of a model to its deploy form."""

from copy import deepcopy

import torch
from torch import nn

from mmsmt.backbones import ConvHead
from mmsmt.backbones.base import FourStageBackbone
from mmsmt.deploy.folding import fold_batch_norm, fold_scale
from mmsmt.deploy.layers import FoldedConvFFN, JoinedModulation, TokenNorm
from mmsmt.layers import ConvFFN, ConvStem, LayerScale, ResidualBlock
from mmsmt.mixers import ScaleAwareModulation


@torch.no_grad()
def deploy(model: nn.Module, join_kernels: bool = True) -> nn.Module:
    """Return a copy of a model for inference, with exact parts folded into its weights.

    Batch norms, layer scales and the feed-forward's identity are folded into the layers before
    them, and layer norms treat maps as tokens. Outputs equal those of the model in eval mode up to
    rounding. Parts of a host (necks, heads) are unchanged.

    The copy consists of ordinary modules, for inference on any device and in any runtime. Its state
    dict has other names, so the original model cannot load it.

    Args:
        model: A backbone, or any model that contains one.
        join_kernels: Whether to join a modulation's kernels of 3 x 3 to 9 x 9 into one of 9 x 9,
            which avoids moving channels and is faster on a CPU (docs/guides/speed.md).

    Returns:
        The copy, in eval mode.

    Raises:
        ValueError: If the model contains no backbone of this package.

    Examples:
        >>> import torch
        >>> from mmsmt.backbones import SMT
        >>> from mmsmt.deploy import deploy
        >>> model = SMT(arch='pico').eval()
        >>> images = torch.rand(1, 3, 64, 64)
        >>> with torch.no_grad():
        ...     maps, deployed = model(images), deploy(model)(images)
        >>> all(torch.allclose(a, b, atol=1e-4) for a, b in zip(maps, deployed))
        True
    """
    if not any(isinstance(part, FourStageBackbone) for part in model.modules()):
        raise ValueError(f'{type(model).__name__} has no backbone of mmsmt, nothing to deploy')
    copied = deepcopy(model)
    copied.eval()  # not chained: some hosts' `eval` returns None
    _fold(copied, join_kernels)
    for part in copied.modules():
        if isinstance(part, FourStageBackbone):
            _see_tokens(part)
            part.requires_grad_(False)
    copied.eval()  # new parts too
    return copied


def _fold(module: nn.Module, join_kernels: bool) -> None:
    """Fold everything in a module, in place."""
    if isinstance(module, ResidualBlock):
        module.scale1 = _fold_scale_into(module.mixer, module.scale1)
        module.scale2 = _fold_scale_into(module.ffn, module.scale2)
    elif isinstance(module, ConvStem):
        fold_batch_norm(module, 'conv1')
    elif isinstance(module, ConvHead):
        fold_batch_norm(module, 'conv')
    elif isinstance(module, ScaleAwareModulation):
        fold_batch_norm(module, 'expand')
    for name, child in module.named_children():
        _fold(child, join_kernels)
        if isinstance(child, ConvFFN):
            setattr(module, name, FoldedConvFFN(child))
        elif isinstance(child, ScaleAwareModulation) and join_kernels:
            setattr(module, name, JoinedModulation(child))


def _see_tokens(backbone: nn.Module) -> None:
    """Make layer norms of maps treat them as tokens, in place."""
    for module in list(backbone.modules()):
        for name, child in module.named_children():
            if type(child) is nn.LayerNorm:
                setattr(module, name, TokenNorm(child))


def _fold_scale_into(branch: nn.Module, scale: nn.Module) -> nn.Module:
    """Fold a layer scale into a branch's last layer; return the scale if it cannot be folded."""
    for name in ('proj', 'output_proj', 'fc2'):
        layer = getattr(branch, name, None)
        if isinstance(scale, LayerScale) and type(layer) is nn.Linear:
            fold_scale(layer, scale)
            return nn.Identity()
    return scale
