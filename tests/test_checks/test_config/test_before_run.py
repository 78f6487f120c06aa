"""tools/train.py looks its config over before any data is read."""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config

from mmsmt.checks.config import require_valid
from mmsmt.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]
DIGITS = ROOT / 'configs/digits'
Require = Callable[..., Config]


@pytest.fixture
def require(monkeypatch: pytest.MonkeyPatch) -> Require:
    """Look a config over as one of several processes; the variables are those of its launcher."""

    def run(name: str, launcher: str = 'none', options: dict | None = None, **told: int) -> Config:
        for variable in ('RANK', 'WORLD_SIZE', 'SLURM_PROCID', 'SLURM_NTASKS'):
            monkeypatch.delenv(variable, raising=False)
        for variable, number in told.items():
            monkeypatch.setenv(variable, str(number))
        cfg = Config.fromfile(DIGITS / f'{name}.py')
        cfg.launcher = launcher
        cfg.merge_from_dict(options or {})
        require_valid(cfg)
        return cfg

    return run


FAULTS: dict[str, tuple[str, dict[str, object], str]] = {
    'arch': ('cls_smt_pico', {'model.backbone.arch': 'picco'}, 'arch: unknown arch .*known: pico,'),
    'misspelt': (
        'mask_rcnn_smt_pico',
        {'model.neck.num_out': 4},
        "model.neck.num_out: FPN has no argument 'num_out'; did you mean 'num_outs'",
    ),
    'misspelt in data': (
        'cls_smt_pico',
        {'train_dataloader.dataset.data_prefx': 'x'},
        "train_dataloader.dataset.data_prefx: .* did you mean 'data_prefix'",
    ),
    'channels': (
        'mask_rcnn_smt_pico',
        {'model.neck.in_channels': [64, 128, 256, 512]},
        r'model.neck.in_channels: is \[64, 128, 256, 512\]; must be \[32, 64, 128, 256\]',
    ),
    'out_indices': (
        'upernet_smt_pico',
        {'model.backbone.out_indices': (0, 1, 2)},
        'model.decode_head.in_index: .* must be in 0 to 2: the backbone gives',
    ),
    'classes': (
        'upernet_smt_pico',
        {'model.decode_head.num_classes': 12},
        'model.decode_head.num_classes: is 12; must be 11',
    ),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_faults_end_before_data_are_read(
    require: Require, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    name, options, says = FAULTS[fault]
    monkeypatch.chdir(tmp_path)  # without data
    with pytest.raises(UsageError, match=f'{says}.*; --no-check runs it anyway$') as caught:
        require(name, options=options)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['cls_smt_pico', 'mask_rcnn_smt_pico', 'upernet_smt_pico'])
def test_good_configs_pass_unchanged(
    require: Require, capsys: pytest.CaptureFixture, name: str
) -> None:
    cfg = require(name)
    before = Config.fromfile(DIGITS / f'{name}.py')
    before.launcher = 'none'
    assert cfg.pretty_text == before.pretty_text
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(
    ('launcher', 'told'),
    [
        ('pytorch', dict(WORLD_SIZE=8, RANK=0)),
        ('slurm', dict(SLURM_NTASKS=8, SLURM_PROCID=0, WORLD_SIZE=3)),
    ],
)
def test_a_batch_for_another_rate_is_a_warning(
    require: Require, capsys: pytest.CaptureFixture, launcher: str, told: dict[str, int]
) -> None:
    require('cls_smt_pico', launcher, **told)
    says = 'is 64; 8 x 64 images is a batch of 512, for which lr 0.001 would be 0.008'
    line = f'warning: auto_scale_lr.base_batch_size: {says}; --auto-scale-lr does this\n'
    assert capsys.readouterr().err == line
    require('cls_smt_pico', launcher, {'auto_scale_lr.enable': True}, **told)
    assert capsys.readouterr().err == ''


def test_one_process_speaks_for_all(require: Require, capsys: pytest.CaptureFixture) -> None:
    require('cls_smt_pico', 'pytorch', WORLD_SIZE=8, RANK=3)
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(
    ('flags', 'kind', 'says'),
    [
        ([], SystemExit, "error: model.neck.num_out: FPN has no argument 'num_out'"),
        (['--no-check'], TypeError, "got an unexpected keyword argument 'num_out'"),
    ],
)
def test_the_tool(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    flags: list[str],
    kind: type[BaseException],
    says: str,
) -> None:
    """What mmdet itself says of the fault keeps its traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, 'environ', {**os.environ, 'LOCAL_RANK': '0'})
    config = str(DIGITS / 'retinanet_smt_pico.py')
    monkeypatch.setattr(
        sys, 'argv', ['train.py', config, *flags, '--cfg-options', 'model.neck.num_out=4']
    )
    with pytest.raises(kind) as end:
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
    last = capsys.readouterr().err.splitlines()[-1] if kind is SystemExit else str(end.value)
    assert says in last
    assert getattr(end.value, 'code', 1) == 1
