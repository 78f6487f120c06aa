"""Test-time augmentation models by name, which import their host when they are built."""

from typing import Any

from mmengine.model import BaseTTAModel

from mmsmt.registry import MODELS


@MODELS.register_module(name='InstanceTTAModel')
def build_instance_tta(**kwargs: Any) -> BaseTTAModel:
    """Build `mmsmt.engine.tta.instance.InstanceTTAModel` from a config's keywords.

    Raises:
        ModuleNotFoundError: If mmdet is missing.
    """
    from mmsmt.engine.tta.instance import InstanceTTAModel

    return InstanceTTAModel(**kwargs)
