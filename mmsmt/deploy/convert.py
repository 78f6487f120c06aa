"""Conversion of a model into its deploy form."""

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
    """Copy a model with what is exact folded into its weights.

    Batch norms, layer scales and the feed-forward's identity go into the layers before them, and
    layer norms see maps as tokens. Outputs differ from the model's in evaluation by rounding. What
    belongs to a host (necks, heads) stays.

    The copy is made of ordinary modules, for inference, on any device and in any runtime. A
    checkpoint of it is refused by the model, since its entries have other names.

    Args:
        model: A backbone, or any model around one.
        join_kernels: Whether a modulation's kernels of 3 x 3 to 9 x 9 become one of 9 x 9, whose
            channels need not be moved. That is faster on a CPU (docs/guides/speed.md).

    Returns:
        The copy, in evaluation mode.

    Raises:
        ValueError: If there is no backbone of this suite in it.
    """
    if not any(isinstance(part, FourStageBackbone) for part in model.modules()):
        raise ValueError(f'{type(model).__name__} has no backbone of mmsmt, nothing to deploy')
    copied = deepcopy(model)
    copied.eval()  # of some hosts' models it returns nothing
    _fold(copied, join_kernels)
    for part in copied.modules():
        if isinstance(part, FourStageBackbone):
            _see_tokens(part)
            part.requires_grad_(False)
    copied.eval()  # the new parts too
    return copied


def _fold(module: nn.Module, join_kernels: bool) -> None:
    """Fold all that is in a module, in place."""
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
    """Let layer norms of maps be norms of tokens, in place."""
    for module in list(backbone.modules()):
        for name, child in module.named_children():
            if type(child) is nn.LayerNorm:
                setattr(module, name, TokenNorm(child))


def _fold_scale_into(branch: nn.Module, scale: nn.Module) -> nn.Module:
    """Fold a layer scale into a branch's last layer; what cannot be folded is given back."""
    for name in ('proj', 'output_proj', 'fc2'):
        layer = getattr(branch, name, None)
        if isinstance(scale, LayerScale) and type(layer) is nn.Linear:
            fold_scale(layer, scale)
            return nn.Identity()
    return scale
