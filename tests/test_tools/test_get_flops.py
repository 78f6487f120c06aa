"""mmsmt show flops: what it prints, and bad input ends in one line."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[object, str, str]]
CONFIG = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmsmt.SMT', arch='pico', out_indices=(3,),
        init_cfg=dict(type='Pretrained', checkpoint='https://example.invalid/missing.pth'),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=256),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[dict(type='LoadImageFromFile'), dict(type='RandomResizedCrop', scale=64)]
    )
)
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A classifier that would start from a file that is nowhere."""
    path = tmp_path / 'classifier.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture
def run(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the tool in this process; give exit status, stdout, stderr."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    return partial(run_here, 'get_flops')


def numbers(said: str) -> dict[str, str]:
    """Label to number, as printed."""
    return {line[:18].strip(): line[18:].split(' (')[0].strip() for line in said.splitlines()}


def test_sizes_and_options(run: Run, config: Path) -> None:
    status, small, _ = run(config)
    assert status == 0 and numbers(small)['image (H x W)'] == '64 x 64'
    _, square, _ = run(config, '--shape', 128)
    _, oblong, _ = run(config, '--shape', 128, 64)
    assert numbers(square)['image (H x W)'] == '128 x 128'
    assert numbers(oblong)['image (H x W)'] == '128 x 64'
    macs = [float(numbers(said)['MACs, all'].split()[0]) for said in (small, oblong, square)]
    assert 0 < 1.9 * macs[0] < macs[1] < macs[2] / 1.9
    _, wide, _ = run(config, '--cfg-options', 'model.head.num_classes=100010')
    params = [float(numbers(said)['parameters'].split()[0]) for said in (small, wide)]
    assert params[1] - params[0] == pytest.approx(100000 * 257 / 1e6, abs=0.02)


@pytest.mark.parametrize(
    ('args', 'said'),
    [
        (['--shape', 64, 64, 3], '--shape must be positive'),
        (['--shape', 0], 'positive'),
        (['--shape', 1], 'too small'),
        (['--cfg-options', 'model.backbone.arch=huge'], 'tiny'),
    ],
)
def test_bad_input_ends_in_one_line(run: Run, config: Path, args: list, said: str) -> None:
    status, out, err = run(config, *args)
    assert status == 1 and not out
    assert err.startswith('error: ') and err.count('\n') == 1 and said in err


def test_missing_config(run: Run, tmp_path: Path) -> None:
    status, _, err = run(tmp_path / 'none.py')
    assert status == 1 and err.startswith('error: ') and 'no such config file' in err
