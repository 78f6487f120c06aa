"""The shared backbone files: what they define is what the network has."""

from pathlib import Path
from types import ModuleType

import pytest
import torch
from mmengine.config import Config

from mmsmt.backbones import sg_former_archs, smt_archs, unified_archs
from mmsmt.registry import MODELS

FILES = sorted((Path(__file__).resolve().parents[2] / 'configs/_base_/backbones').glob('*.py'))


@pytest.mark.parametrize('file', FILES, ids=lambda path: path.stem)
def test_channels_are_those_of_the_network(file: Path) -> None:
    cfg = Config.fromfile(file)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.backbone)
    assert cfg.backbone_channels == [info.channels for info in backbone.feature_info]


@pytest.mark.parametrize('network, archs', [('SMT', smt_archs), ('SGFormer', sg_former_archs)])
def test_there_is_a_file_for_every_variant(network: str, archs: ModuleType) -> None:
    backbones = [Config.fromfile(file).backbone for file in FILES]
    found = [spec.arch for spec in backbones if spec.type == f'mmsmt.{network}']
    assert sorted(found) == sorted(archs.ARCHS)


@pytest.mark.parametrize('mixer', unified_archs.ARCHS)
def test_there_is_a_file_for_every_unified_variant(mixer: str) -> None:
    """Of the published mixers all that have results, of all mixers the one for digits."""
    backbones = [Config.fromfile(file).backbone for file in FILES]
    found = [spec.arch for spec in backbones if spec.get('mixer') == mixer]
    published = ('micro', 'tiny', 'small', 'base') if mixer not in ('sam', 'msa') else ()
    assert sorted(found) == sorted(('pico', *published))
