"""Networks of the study: their budget, and what tells them apart."""

from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from mmsmt.analysis.complexity.config import count_config
from mmsmt.mixers import MIXERS
from mmsmt.study.networks import MACS, NETWORKS, PARAMS, SIDE

PUBLISHED_SHAPES = ('smt_pico', 'sg_former_pico')


@pytest.mark.parametrize('label', sorted(set(NETWORKS) - set(PUBLISHED_SHAPES)))
def test_budget(label: str) -> None:
    network = NETWORKS[label]
    cfg = Config(dict(model=dict(backbone=network.backbone), default_scope='mmpretrain'))
    complexity, _ = count_config(cfg, (SIDE, SIDE))
    allowed = 0.06 if network.backbone['type'].startswith('mmpretrain') else 0.003
    assert complexity.params == pytest.approx(PARAMS, rel=allowed)
    assert complexity.macs == pytest.approx(MACS, rel=allowed)


def mixers_of(label: str) -> list[list[str]]:
    """The classes of the mixers in every block, by stage."""
    backbone: Any = MODELS.build(NETWORKS[label].backbone)
    return [[type(block.mixer).__name__ for block in stage] for stage in backbone.stages]


@pytest.mark.parametrize('label', sorted(MIXERS.keys() & NETWORKS))
def test_a_mixer_is_in_every_stage(label: str) -> None:
    found = {name for stage in mixers_of(label) for name in stage}
    assert MIXERS[label].__name__ in found
    assert len(found) == (2 if label == 'self_guided' else 1)


@pytest.mark.parametrize(
    'label, stage_3',
    [('smt', 'SMSM'), ('smt_halves', 'SSMM'), ('smt_sam', 'SSSS'), ('smt_msa', 'MMMM')],
)
def test_stackings(label: str, stage_3: str) -> None:
    names = {'ScaleAwareModulation': 'S', 'MultiHeadSelfAttention': 'M'}
    stages = [''.join(names[name] for name in stage) for stage in mixers_of(label)]
    assert stages == ['SS', 'SS', stage_3, 'MM']


@pytest.mark.parametrize('label', ['resnet', 'convnext', 'swin'])
def test_networks_of_the_host_return_maps(label: str) -> None:
    backbone: Any = MODELS.build({**NETWORKS[label].backbone, 'out_indices': (0, 1, 2, 3)})
    maps = backbone(torch.rand(1, 3, 64, 96))
    assert [x.shape[2:] for x in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]
