"""Child registries of scope `mmsmt`, which make `type='mmsmt.SMT'` resolve in every host."""

from mmengine import registry as root
from mmengine.registry import Registry


def _child(name: str, parent: Registry, *locations: str) -> Registry:
    return Registry(name, parent=parent, scope='mmsmt', locations=list(locations))


# Locations are imported at the first look-up, so each registry lists only its own modules.
MODELS = _child('model', root.MODELS, 'mmsmt.backbones', 'mmsmt.engine.tta')
HOOKS = _child('hook', root.HOOKS, 'mmsmt.engine.hooks')
OPTIM_WRAPPERS = _child('optim_wrapper', root.OPTIM_WRAPPERS, 'mmsmt.engine.optim')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optim wrapper constructor', root.OPTIM_WRAPPER_CONSTRUCTORS, 'mmsmt.engine.optim'
)
TRANSFORMS = _child('transform', root.TRANSFORMS, 'mmsmt.datasets.guarded_pipeline')
