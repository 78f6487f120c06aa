"""Weight initialisation of SMT, SG-Former and unified models, as released."""

import math

from torch import nn


def init_layer(module: nn.Module) -> None:
    """Initialise one layer in place.

    Every part of a network ends its constructor with `self.apply(init_layer)`, so that custom
    mixers keep their own initial weights.

    Linear: truncated normal with std 0.02, zero bias. Convolution: normal with
    std sqrt(2 / (k_h * k_w * C_out / groups)), zero bias. Norms: 1 and 0.

    Args:
        module: Any module; other types are left alone.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
    elif isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d):
        if module.weight is None:
            return
        nn.init.ones_(module.weight)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def init_truncated(module: nn.Module) -> None:
    """Initialise one layer in place as unified models do (https://arxiv.org/abs/2211.05781).

    Same as `init_layer`, except that convolutions are initialised like linear layers.

    Args:
        module: Any module; other types are left alone.
    """
    init_layer(module)
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
