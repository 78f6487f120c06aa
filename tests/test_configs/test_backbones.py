"""The shared backbone files: what they define is what the network has."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmsmt.backbones.smt_archs import ARCHS
from mmsmt.registry import MODELS

FILES = sorted((Path(__file__).resolve().parents[2] / 'configs/_base_/backbones').glob('*.py'))


@pytest.mark.parametrize('file', FILES, ids=lambda path: path.stem)
def test_channels_are_those_of_the_network(file: Path) -> None:
    cfg = Config.fromfile(file)
    backbone = MODELS.build(cfg.backbone)
    assert cfg.backbone_channels == [info.channels for info in backbone.feature_info]


def test_there_is_a_file_for_every_variant() -> None:
    assert {Config.fromfile(file).backbone.arch for file in FILES} == set(ARCHS)
