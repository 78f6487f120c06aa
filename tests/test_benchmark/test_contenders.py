"""Contenders by name or config, their sources, and one line for what is wrong."""

import sys
from pathlib import Path

import pytest
import torch

from mmsmt.benchmark.contenders import CONTENDERS, USUAL, build, check_maps, find_contenders
from mmsmt.errors import UsageError


def test_every_contender_has_an_accuracy_and_its_source() -> None:
    for name, contender in CONTENDERS.items():
        assert contender.name == name
        assert contender.top1 is not None and 80 < contender.top1 < 85
        assert contender.source.startswith('https://arxiv.org/abs/')
    assert {'SMT-T', 'plain SMT-T', 'EfficientViT-B2', 'MambaOut-T'} <= set(USUAL)


@pytest.mark.parametrize(
    'name', ['plain SMT-T', 'SG-Former-S', 'unified halo T', 'Swin-T', 'ResNet-50']
)
def test_contenders_give_four_maps(name: str) -> None:
    """The others are checked alike in every run, before anything is measured."""
    contender = CONTENDERS[name]
    with torch.no_grad():
        maps = build(contender)(torch.rand(1, 3, 64, 96))
    check_maps(contender, maps, 64, 96)


def test_a_config_gives_four_maps_whatever_it_says(tmp_path: Path) -> None:
    file = tmp_path / 'one.py'
    file.write_text("backbone = dict(type='mmsmt.SMT', arch='pico', out_indices=(3,))\n")
    (contender,) = find_contenders([f'mine={file}'])
    assert contender.name == 'mine' and contender.deployable
    with torch.no_grad():
        maps = build(contender)(torch.rand(1, 3, 61, 97))
    check_maps(contender, maps, 61, 97)
    with pytest.raises(UsageError, match=r'mine: the maps for 61 x 97 pixels are \[\(2, 3\)\]'):
        check_maps(contender, maps[3:], 61, 97)
    with pytest.raises(UsageError, match='strides 4, 8, 16 and 32'):
        check_maps(contender, maps, 122, 97)


def test_unknown_contender() -> None:
    with pytest.raises(UsageError, match="'SMT-X'; did you mean 'SMT-[TSB]'.* known: SMT-T,"):
        find_contenders(['SMT-X'])
    with pytest.raises(UsageError, match='two models are called SMT-T'):
        find_contenders(['SMT-T', 'SMT-T'])
    with pytest.raises(UsageError, match=r'missing\.py: no such config file'):
        find_contenders(['missing.py'])


@pytest.mark.parametrize(
    ('name', 'library', 'extra'),
    [('PVTv2-B2', 'timm', 'benchmark'), ('Swin-T', 'mmpretrain', 'cls')],
)
def test_missing_library(
    name: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    says = rf"{name} is from {library}, which is not installed: pip install 'mmsmt\[{extra}\]'"
    with pytest.raises(UsageError, match=says):
        build(CONTENDERS[name])


@pytest.mark.parametrize('name', [n for n, c in CONTENDERS.items() if c.library == 'timm'])
def test_peers_of_timm_give_four_maps(name: str) -> None:
    with torch.no_grad():
        maps = build(CONTENDERS[name]).to('meta')(torch.zeros(1, 3, 224, 256, device='meta'))
    check_maps(CONTENDERS[name], maps, 224, 256)
