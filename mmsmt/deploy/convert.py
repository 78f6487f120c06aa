"""Conversion of a model into its deploy form."""

from copy import deepcopy

from torch import nn

from mmsmt.backbones import ConvHead
from mmsmt.backbones.base import FourStageBackbone
from mmsmt.deploy.layers import FORMS, DeployBlock
from mmsmt.layers import ResidualBlock


def deploy(model: nn.Module) -> nn.Module:
    """Copy a model and bring the parts of this suite into their form for inference.

    Batch norms, layer scales and the feed-forward's identity go into weights, the convolutions
    of a modulation's heads into one; layers run by oneDNN on a CPU, large maps in parts. Outputs
    differ from the model's in evaluation by rounding. What belongs to a host (necks, heads) stays.

    The copy is for inference: it has no parameters to train here, and a checkpoint made of it is
    refused by the model, since its entries have other names.

    Args:
        model: A backbone, or any model around one.

    Returns:
        The copy, in evaluation mode.

    Raises:
        ValueError: If there is no backbone of this suite in it.
    """
    if not any(isinstance(part, FourStageBackbone) for part in model.modules()):
        raise ValueError(f'{type(model).__name__} has no backbone of mmsmt, nothing to deploy')
    copied = deepcopy(model)
    copied.eval()  # of some hosts' models it returns nothing
    deployed = _convert(copied)
    for part in deployed.modules():
        if isinstance(part, FourStageBackbone):
            part.requires_grad_(False)
    return deployed


def _convert(module: nn.Module, ours: bool = False) -> nn.Module:
    """The deploy form of a module and of all in it; `ours` says that it is inside a backbone."""
    ours = ours or isinstance(module, FourStageBackbone)
    if isinstance(module, ResidualBlock):
        module = DeployBlock(module)
    elif type(module) is ConvHead or (ours and type(module) in FORMS):
        return FORMS[type(module)](module)
    for name, child in list(module.named_children()):
        setattr(module, name, _convert(child, ours))
    return module
