"""Layer-wise learning rate decay for the models of all hosts."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmsmt.backbones import FourStageBackbone
from mmsmt.errors import ConfigError
from mmsmt.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Decrease the learning rate from the head to the stem by a factor per block.

    `paramwise_cfg` accepts `layer_decay_rate` (0 to 1, default 1: no decay) in addition to the keys
    of mmengine's constructor, whose rates are multiplied. Parts outside the backbone keep their
    rate. mmpretrain's constructor of a similar name supports only classifiers.

    Examples:
        >>> optim_wrapper = dict(
        ...     optimizer=dict(type='AdamW', lr=1e-4),
        ...     constructor='mmsmt.LayerDecayOptimWrapperConstructor',
        ...     paramwise_cfg=dict(layer_decay_rate=0.9),
        ... )
        >>> from mmengine.optim import build_optim_wrapper
        >>> from mmsmt.backbones import SMT
        >>> from torch import nn
        >>> model = nn.ModuleDict(dict(backbone=SMT(arch='pico'), head=nn.Linear(256, 10)))
        >>> groups = build_optim_wrapper(model, optim_wrapper).param_groups
        >>> groups[0]['lr'] < groups[-1]['lr'] == 1e-4
        True
    """

    def add_params(self, params: list[dict], module: nn.Module, **kwargs: Any) -> None:
        """Add one group per parameter, each with its learning rate.

        Raises:
            ConfigError: If the model has no backbone of this package, or the rate is out of range.
        """
        super().add_params(params, module, **kwargs)
        if kwargs.get('prefix'):  # a part of the model: scaled once, with the whole model
            return
        backbone = getattr(module, 'backbone', None)
        if not isinstance(backbone, FourStageBackbone):
            raise ConfigError(
                f'layer_decay_rate needs a backbone of mmsmt, got {type(backbone).__name__}'
            )
        decay = self.paramwise_cfg.get('layer_decay_rate', 1.0)
        if not 0 < decay <= 1:
            raise ConfigError(f'layer_decay_rate must be above 0 and at most 1, got {decay}')
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        for group in params:
            depth, layers = backbone.get_layer_depth(names[id(group['params'][0])], 'backbone.')
            group['lr'] = group.get('lr', self.base_lr) * decay ** (layers - 1 - depth)
