"""Child registries of scope `mmsmt`: they make `type='mmsmt.SMT'` resolve from every host."""

from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

_ENGINE = ['mmsmt.engine']
MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='mmsmt', locations=['mmsmt.backbones', *_ENGINE]
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmsmt', locations=_ENGINE)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=MMENGINE_OPTIM_WRAPPERS, scope='mmsmt', locations=_ENGINE
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optim wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='mmsmt',
    locations=_ENGINE,
)
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope='mmsmt', locations=['mmsmt.datasets.guarding']
)
