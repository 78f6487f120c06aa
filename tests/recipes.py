"""Recipes of the zoo's configs, read back from built objects."""

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from torch import nn

from mmsmt.checks.recipe import read_recipe

NORMS = (nn.LayerNorm, nn.BatchNorm2d, nn.GroupNorm)
CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
ADAMW = {'optimizer': 'AdamW', 'betas': (0.9, 0.999), 'eps': 1e-8}
DROP_PATH = {
    'smt': {'t': 0.1, 's': 0.2, 'b': 0.3, 'l': 0.1},
    'sg_former': {'s': 0.1, 'm': 0.2, 'b': 0.4},
}


def read(task: str, name: str, **options: Any) -> tuple[dict[str, Any], Config]:
    """The recipe of a leaf, after the checks that all have in common."""
    cfg = Config.fromfile(CONFIGS / task / f'{name}.py')
    recipe = read_recipe(cfg, **options)
    assert {key: recipe[key] for key in ADAMW} == ADAMW
    family = 'sg_former' if 'sg_former_' in name else 'smt'
    variant = name.split(f'{family}_')[1][0]
    assert recipe['drop path'] == pytest.approx(DROP_PATH[family][variant])
    assert recipe['batch per process'] * 8 * recipe['accumulated batches'] == recipe['base batch']
    return recipe, cfg


def steps(cfg: Config) -> dict[str, dict]:
    """The transforms of a training pipeline by type, without a host's prefix."""
    return {
        step['type'].rpartition('.')[-1]: step for step in cfg.train_dataloader.dataset.pipeline
    }


def check_pixels(cfg: Config) -> None:
    """Images as the published weights know them."""
    pixels = cfg.model.data_preprocessor
    assert pixels.mean == [123.675, 116.28, 103.53] and pixels.bgr_to_rgb
    assert pixels.std == [58.395, 57.12, 57.375]
