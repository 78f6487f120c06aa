"""Bad input to tools/train.py and tools/test.py: one line on stderr, exit status 1."""

import os
import resource
import runpy
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hostile_corpus import MARKER, Calls, make_corpus
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torchvision.io import write_png

from mmsmt.backbones import SMT

ROOT = Path(__file__).parents[2]
CONFIG = """
default_scope = 'mmpretrain'
custom_hooks = [dict(type='mmsmt.StrictLoadHook')]
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmsmt.SMT', arch='pico', out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=256),
)
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
dataset = dict(type='CustomDataset', data_root='{data}', pipeline=pipeline)
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=True)
)
test_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=False)
)
test_evaluator = dict(type='Accuracy')
train_cfg = dict(by_epoch=True, max_epochs=1)
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-3))
"""
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config that trains on two images in a second, broken ones, and weight files."""
    folder = tmp_path_factory.mktemp('inputs')
    for name in ('cat', 'dog'):
        (folder / 'data' / name).mkdir(parents=True)
        image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
        write_png(image, str(folder / 'data' / name / 'x.png'))
    config = CONFIG.replace('{data}', str(folder / 'data'))
    for name, text in {
        'good': config,
        'syntax': 'model = dict(',
        'name': 'model = dict(type=SMT)',
        'division': 'lr = 1 / 0',
        'base': "_base_ = 'nowhere.py'",
        'empty': '',
        'arch': config.replace("'pico'", "'smt_tiny'"),
        'type': config.replace("'mmsmt.SMT'", "'mmsmt.SMTv2'"),
        'guarded': config.replace("'mmsmt.StrictLoadHook'", "'mmsmt.AnomalyHook'"),
        'argument': config.replace("arch='pico'", "arch='pico', depht=3"),
    }.items():
        (folder / f'{name}.py').write_text(text)
    state = {f'backbone.{k}': v for k, v in SMT(arch='pico').state_dict().items()}
    state |= {'head.fc.weight': torch.zeros(2, 256), 'head.fc.bias': torch.zeros(2)}
    torch.save({'state_dict': state}, folder / 'good.pth')
    whole = (folder / 'good.pth').read_bytes()
    (folder / 'truncated.pth').write_bytes(whole[: len(whole) // 2])
    tiny = {f'backbone.{k}': v for k, v in SMT(arch='tiny').state_dict().items()}
    torch.save(tiny, folder / 'tiny.pth')
    torch.save(
        {'state_dict': state, 'x': Calls(os.system, f'touch {folder}/marker')}, folder / 'bad.pth'
    )
    return folder


@pytest.fixture
def run(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> Run:
    """Run a tool in this process: its exit status and stderr, without what hosts warn of."""
    monkeypatch.setattr(Runner, '_log_env', lambda *_: None)  # asks compilers for versions
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('MMSMT_TRACEBACK', raising=False)

    def tool(name: str, *arguments: str) -> tuple[int, str]:
        path = ROOT / 'tools' / f'{name}.py'
        placed = [a.replace('@', f'{folder}/') for a in arguments]
        monkeypatch.setattr(sys, 'argv', [path.name, *placed, '--work-dir', str(tmp_path / 'w')])
        for manager in (DefaultScope, MessageHub, MMLogger, Visualizer):  # a test runs several
            monkeypatch.setattr(manager, '_instance_dict', OrderedDict())
        status = 0
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return tool


def assert_one_line(status: int, err: str, says: str) -> None:
    lines = [line for line in err.splitlines() if line.startswith('error: ')]
    assert status == 1, err
    assert len(lines) == 1, err
    assert err.splitlines()[-1] == lines[0], err
    assert says in lines[0]
    assert 'Traceback' not in err


@pytest.mark.parametrize('tool', ['train', 'test'])
@pytest.mark.parametrize(
    ('config', 'says'),
    [
        ('nowhere', 'nowhere.py: no such config file'),
        ('syntax', 'syntax.py: cannot be read as a config: SyntaxError'),
        ('name', "name.py: cannot be read as a config: NameError: name 'SMT' is not defined"),
        ('division', 'division.py: cannot be read as a config: ZeroDivisionError'),
        ('base', 'base.py: cannot be read as a config: FileNotFoundError'),
        ('empty', 'empty.py: not a training config: `model` is missing'),
        ('arch', "unknown arch 'smt_tiny'; known: pico, tiny, small, base, large"),
        ('type', "'mmsmt.SMTv2'; did you mean 'mmsmt.SMT'?"),
        ('argument', "argument 'depht'; did you mean 'depths'?"),
    ],
)
def test_bad_configs(run: Run, tool: str, config: str, says: str) -> None:
    """Both look the config over, which names the nearest right word."""
    checkpoint = ['@good.pth'] if tool == 'test' else []
    assert_one_line(*run(tool, f'@{config}.py', *checkpoint), says)


CHECKPOINTS = {
    'nowhere': 'nowhere.pth: no such checkpoint file',
    'truncated': 'truncated, damaged or of another format',
    'bad': '`posix.system`; nothing was run',
}


def reading(way: str, file: object) -> list[str]:
    """Tool and arguments that read a checkpoint in one of the ways there are."""
    options = {
        'pretrained': ['init_cfg.type=Pretrained', f'init_cfg.checkpoint={file}'],
        'load_from': [f'load_from={file}'],
    }
    if way == 'test':
        return ['test', '@good.py', str(file)]
    if way == 'resume':
        return ['train', '@good.py', '--resume', str(file)]
    prefix = 'model.backbone.' if way == 'pretrained' else ''
    return ['train', '@good.py', '--cfg-options', *(f'{prefix}{o}' for o in options[way])]


WAYS = ['pretrained', 'load_from', 'resume', 'test']


@pytest.mark.parametrize('name', [*CHECKPOINTS, 'tiny'])
@pytest.mark.parametrize('way', WAYS)
def test_bad_checkpoints(run: Run, folder: Path, name: str, way: str) -> None:
    other = 'The file holds SMT tiny' if way == 'pretrained' else 'tiny.pth: does not fit'
    status, err = run(*reading(way, f'@{name}.pth'))
    assert_one_line(status, err, CHECKPOINTS.get(name, other))
    assert not (folder / 'marker').exists()


@pytest.fixture(scope='module')
def hostile(folder: Path) -> dict[str, Path]:
    """A file of every kind of the corpus that must not load."""
    (folder / 'corpus').mkdir()
    saved = torch.load(folder / 'good.pth')['state_dict']
    samples = make_corpus(folder / 'corpus', saved, flips=0)
    return {sample.kind: sample.path for sample in samples if sample.kind != 'hidden methods'}


@pytest.mark.parametrize('way', WAYS)
def test_hostile_files(run: Run, hostile: dict[str, Path], way: str) -> None:
    assert len(hostile) > 10
    # All ways read with the same function: each gets its share of the kinds.
    for kind, path in [*hostile.items()][WAYS.index(way) :: len(WAYS)]:
        if (kind, way) == ('an entry too many', 'pretrained'):
            continue  # another part of a detector, not the backbone
        assert_one_line(*run(*reading(way, path)), str(path))
        assert not path.with_name(MARKER).exists()


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (['--cfg-options', 'model.backbone=None'], "'NoneType'"),
        (['--cfg-options', 'model.backbone.arch=huge'], "unknown arch 'huge'"),
        (['--auto-scale-lr'], '--auto-scale-lr needs'),
        (['--cfg-options', 'train_dataloader.dataset.data_root=nowhere'], 'nowhere'),
    ],
)
def test_bad_options(run: Run, options: list[str], says: str) -> None:
    assert_one_line(*run('train', '@good.py', *options), says)


def test_good_input(run: Run) -> None:
    """Control: the same config and file train and test."""
    assert run('train', '@good.py', '--cfg-options', 'load_from=@good.pth')[0] == 0
    assert run('test', '@good.py', '@good.pth')[0] == 0


def test_a_full_disk_leaves_the_checkpoint_before(run: Run, tmp_path: Path) -> None:
    assert run('train', '@good.py')[0] == 0
    before = (tmp_path / 'w/epoch_1.pth').read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        more = ['--cfg-options', 'train_cfg.max_epochs=2', 'default_hooks.checkpoint.interval=1']
        more += ['default_hooks.checkpoint.max_keep_ckpts=1']
        more += ['default_hooks.checkpoint.type=CheckpointHook']
        status, err = run('train', '@good.py', '--resume', *more)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    says = 'epoch_2.pth: cannot be written (File too large); the last good checkpoint is '
    assert_one_line(status, err, says + str(tmp_path / 'w/epoch_1.pth'))
    assert (tmp_path / 'w/epoch_1.pth').read_bytes() == before
    assert not [*(tmp_path / 'w').glob('.*'), *(tmp_path / 'w').glob('*2.pth')]


def test_a_loss_that_is_no_number(run: Run, folder: Path, tmp_path: Path) -> None:
    options = ['optim_wrapper.optimizer.lr=1e30', 'train_cfg.max_epochs=3']
    status, err = run('train', '@guarded.py', '--cfg-options', *options)
    assert_one_line(status, err, 'iteration 2 (epoch 2): loss is nan; images of the batch: ')
    assert all(str(folder / f'data/{name}/x.png') in err for name in ('cat', 'dog'))
    assert f'the last good checkpoint is {tmp_path}/w/epoch_1.pth' in err
    assert not (tmp_path / 'w/epoch_2.pth').exists()


@pytest.mark.slow
def test_in_a_process(folder: Path, tmp_path: Path) -> None:
    """As a user sees it: everything else is on stdout."""
    said = subprocess.run(
        [sys.executable, '-W', 'ignore', ROOT / 'tools/test.py']
        + [folder / 'good.py', folder / 'truncated.pth'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert_one_line(said.returncode, said.stderr, 'truncated, damaged')
    assert said.stderr.count('\n') == 1
    assert 'Traceback' not in said.stdout
