"""Child registries of scope `mmsmt`: they make `type='mmsmt.SMT'` resolve from every host."""

from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import Registry

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmsmt', locations=['mmsmt.backbones'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmsmt', locations=['mmsmt.engine'])
