"""Layer-wise learning-rate decay for the models of all hosts."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmsmt.backbones import FourStageBackbone
from mmsmt.errors import ConfigError
from mmsmt.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Lower the rate from the head towards the stem by a factor a block.

    `paramwise_cfg` takes `layer_decay_rate` (0 to 1, default 1: no decay) beside the keys of
    mmengine's constructor, whose rates are multiplied. Parts outside the backbone keep their
    rate. mmpretrain's constructor of similar name serves classifiers only.
    """

    def add_params(self, params: list[dict], module: nn.Module, **kwargs: Any) -> None:
        """Add a group per parameter, each with its rate.

        Raises:
            ConfigError: If the model has no backbone of this suite, or the rate is no factor.
        """
        super().add_params(params, module, **kwargs)
        if kwargs.get('prefix'):  # a part of the model; the whole is scaled once, at the end
            return
        backbone = getattr(module, 'backbone', None)
        if not isinstance(backbone, FourStageBackbone):
            raise ConfigError(
                f'layer-wise decay needs a backbone of mmsmt, got {type(backbone).__name__}'
            )
        decay = self.paramwise_cfg.get('layer_decay_rate', 1.0)
        if not 0 < decay <= 1:
            raise ConfigError(f'layer_decay_rate must be above 0 and at most 1, got {decay}')
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        for group in params:
            depth, layers = backbone.get_layer_depth(names[id(group['params'][0])], 'backbone.')
            group['lr'] = group.get('lr', self.base_lr) * decay ** (layers - 1 - depth)
