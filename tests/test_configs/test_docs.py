"""Configs and programs in the documentation work as they stand, from outside the project."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

import mmsmt
from mmsmt.backbones import SMT
from mmsmt.checkpoints.download import cached_file
from mmsmt.checks.trial import try_config

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / 'docs'
CONFIGS = [
    (page.stem, number, block)
    for page in sorted(DOCS.rglob('*.md'))
    for number, block in enumerate(re.findall(r'```python\n(.*?)```', page.read_text(), re.S))
    if '_base_ =' in block
]


def test_configs_are_found() -> None:
    pages = [page for page, *_ in CONFIGS]
    assert pages.count('own_data') == 3 and pages.count('any_head') == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ('page', 'number', 'block'), CONFIGS, ids=[f'{page}-{n}' for page, n, _ in CONFIGS]
)
def test_config_of_a_page_runs(
    page: str,
    number: int,
    block: str,
    digits_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / f'{page}_{number}.py'
    file.write_text(block)
    monkeypatch.chdir(digits_home)
    cfg = Config.fromfile(file)
    assert cfg.model.backbone.type.startswith('mmsmt.')
    trial = try_config(cfg, divisor=4)
    assert trial.loss > 0 and not trial.without_gradient and len(trial.results) == 2


WITH_WEIGHTS = [(page, number, block) for page, number, block in CONFIGS if 'pretrained' in block]


def test_a_page_shows_weights() -> None:
    assert sorted(page for page, *_ in WITH_WEIGHTS) == ['any_head', 'own_data']


@pytest.mark.parametrize(
    ('page', 'number', 'block'), WITH_WEIGHTS, ids=[f'{p}-{n}' for p, n, _ in WITH_WEIGHTS]
)
def test_config_of_a_page_loads_its_weights(
    page: str, number: int, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder, without a connection: the file lies where downloads are kept."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f'{page}_{number}.py'
    file.write_text(block)
    cfg = Config.fromfile(file)
    init_default_scope(cfg.default_scope)
    if 'data_preprocessor' in cfg:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    weights = SMT(cfg.model.backbone.arch)
    path = cached_file(cfg.model.backbone.init_cfg.checkpoint)
    path.parent.mkdir(parents=True)
    torch.save({'model': weights.state_dict()}, path)
    model = MODELS.build(cfg.model)
    model.init_weights()
    loaded = model.backbone.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.state_dict().items())


PROGRAMS = [
    (page.relative_to(ROOT).as_posix(), number, block)
    for page in [ROOT / 'README.md', *sorted(DOCS.rglob('*.md'))]
    for number, block in enumerate(re.findall(r'```python\n(.*?)```', page.read_text(), re.S))
    if re.search(r'mmsmt\.backbones|apis\.predict', block)
]


def test_programs_are_found() -> None:
    assert {page for page, *_ in PROGRAMS} >= {'README.md', 'docs/guides/any_head.md'}
    assert len(PROGRAMS) >= 7


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights and images that the programs name."""
    folder = tmp_path_factory.mktemp('files')
    head = {'head.weight': torch.zeros(1000, 512), 'head.bias': torch.zeros(1000)}
    torch.save({'model': SMT('small').state_dict() | head}, folder / 'smt_small.pth')
    detector = mmsmt.get_model('mask_rcnn_smt_s_3x')
    torch.save({'state_dict': detector.state_dict()}, folder / 'epoch_36.pth')
    (folder / 'photos').mkdir()
    Image.new('RGB', (96, 64), 'gray').save(folder / 'photos' / 'gray.png')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ('page', 'number', 'block'), PROGRAMS, ids=[f'{page}-{n}' for page, n, _ in PROGRAMS]
)
def test_program_of_a_page_runs(
    page: str, number: int, block: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    exec(block, {})


STRANGERS = """
_base_ = ['mmdet::gfl/gfl_r50_fpn_1x_coco.py', 'mmsmt::_base_/backbones/smt_pico.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone, frozen_stages=1),
    neck=dict(in_channels=_base_.backbone_channels),
    bbox_head=dict(num_classes=10),
)
data = dict(data_root='data/digits/scenes/', metainfo=dict(classes=tuple('0123456789')))
files = 'annotations/instances_{}.json'
train_dataloader = dict(
    dataset=dict(**data, ann_file=files.format('train'), data_prefix=dict(img='images/train/'))
)
val_dataloader = dict(
    dataset=dict(**data, ann_file=files.format('val'), data_prefix=dict(img='images/val/'))
)
val_evaluator = dict(ann_file=data['data_root'] + files.format('val'))
test_dataloader, test_evaluator = val_dataloader, val_evaluator
train_cfg = dict(max_epochs=1)
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
train_dataloader['dataset']['pipeline'] = [*load, dict(type='PackDetInputs')]
"""


@pytest.mark.slow
def test_stranger_trains_outside_the_project(digits_home: Path, tmp_path: Path) -> None:
    config = tmp_path / 'gfl.py'
    config.write_text(STRANGERS)
    command = [sys.executable, '-m', 'mmsmt', 'train', str(config), '--work-dir', str(tmp_path)]
    result = subprocess.run(
        [*command, '--no-validate'], cwd=digits_home, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / 'epoch_1.pth').is_file()
