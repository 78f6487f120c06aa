"""Test-time augmentation in configs: its model and the views of an image."""

from copy import deepcopy
from math import prod
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from mmsmt.errors import UsageError

VIEW_KEYS = ('type', 'scale', 'scale_factor', 'prob')


def set_tta(cfg: Config) -> list[Any]:
    """Wrap a config's model in its `tta_model`, in place.

    Returns:
        The pipeline of the test.

    Raises:
        UsageError: If the config lacks `tta_model` or `tta_pipeline`.
    """
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        raise UsageError('--tta needs `tta_model` and `tta_pipeline` in the config')
    print_log(f'--tta: {describe_views(cfg.tta_pipeline)}', logger='current')
    if 'data_preprocessor' in cfg.model:  # mmengine would override it
        cfg.pop('data_preprocessor', None)
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    return deepcopy(cfg.tta_pipeline)


def describe_views(pipeline: list[dict]) -> str:
    """Describe the views that a test-time augmentation pipeline makes of an image."""
    augmented = next((step for step in pipeline if 'TestTimeAug' in str(step.get('type'))), None)
    choices = [
        [[step[key] for key in VIEW_KEYS if key in step] for step in steps]
        for steps in (augmented or {}).get('transforms', [])
    ]
    choices = [steps for steps in choices if len(steps) > 1]
    number = prod(map(len, choices))
    listed = [', '.join(' '.join(map(str, step)) for step in steps) for steps in choices]
    return f'{number} views of an image, each of {" with each of ".join(listed)}'
