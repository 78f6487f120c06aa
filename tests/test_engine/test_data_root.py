"""One folder for all data: by option, by environment variable, in every path of a config."""

import argparse
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config

from mmsmt.datasets.root import VARIABLE, data_root
from mmsmt.engine.data_root import move_data
from mmsmt.engine.runner import load_config
from mmsmt.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
Load = Callable[..., Config]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a shipped config as the tools do."""
    monkeypatch.setenv('LOCAL_RANK', '0')

    def read(name: str, data_root: str | None = None, **options: object) -> Config:
        args = argparse.Namespace(
            config=str(ROOT / 'configs' / f'{name}.py'),
            work_dir=None,
            cfg_options=options or None,
            data_root=data_root,
            launcher='none',
            local_rank=0,
        )
        return load_config(args)

    return read


def strings(node: object) -> list[str]:
    """All texts in a config."""
    if isinstance(node, dict):
        return [text for child in node.values() for text in strings(child)]
    if isinstance(node, list | tuple):
        return [text for child in node for text in strings(child)]
    return [node] if isinstance(node, str) else []


@pytest.mark.parametrize(
    ('name', 'paths'),
    [
        (
            'det/mask_rcnn_smt_s_3x',
            {
                'train_dataloader.dataset.data_root': '/coco/',
                'train_dataloader.dataset.ann_file': 'annotations/instances_train2017.json',
                'val_evaluator.ann_file': '/coco/annotations/instances_val2017.json',
                'test_evaluator.ann_file': '/coco/annotations/instances_val2017.json',
            },
        ),
        (
            'seg/upernet_smt_s_160k_ade20k',
            {'val_dataloader.dataset.data_root': '/ade/ADEChallengeData2016'},
        ),
        ('cls/smt_s_in1k', {'test_dataloader.dataset.data_root': '/imagenet'}),
        ('cls/smt_l_in22k', {'train_dataloader.dataset.data_root': '/imagenet22k'}),
        ('digits/cls_smt_pico', {'train_dataloader.dataset.data_prefix': '/digits/cls/train'}),
    ],
)
def test_every_path_of_shipped_configs_moves(
    load: Load, tmp_path: Path, name: str, paths: dict[str, str]
) -> None:
    plain, moved = load(name), load(name, str(tmp_path))
    for key, value in paths.items():
        found = moved
        for part in key.split('.'):
            found = found[part]
        assert found == (f'{tmp_path}{value}' if value.startswith('/') else value), key
    assert any(text.startswith('data/') for text in strings(plain.to_dict()))
    assert not [text for text in strings(moved.to_dict()) if text.startswith('data/')]


def test_option_wins_over_variable_over_default(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data_root() == Path('data')
    for name in ('variable', 'option'):
        (tmp_path / name).mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / 'variable'))
    assert data_root() == tmp_path / 'variable'
    name, key = 'cls/smt_s_in1k', 'train_dataloader'
    assert load(name)[key].dataset.data_root == f'{tmp_path}/variable/imagenet'
    chosen = load(name, str(tmp_path / 'option'))
    assert chosen[key].dataset.data_root == f'{tmp_path}/option/imagenet'
    monkeypatch.setenv(VARIABLE, '')
    assert load(name)[key].dataset.data_root == 'data/imagenet'


def test_paths_given_as_options_move_too(load: Load, tmp_path: Path) -> None:
    options = {'train_dataloader.dataset.data_root': 'data/mine'}
    assert load('cls/smt_s_in1k', str(tmp_path), **options).train_dataloader.dataset.data_root == (
        f'{tmp_path}/mine'
    )


def test_a_missing_folder_is_named(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=f'--data-root: {tmp_path}/none: no such folder'):
        load('cls/smt_s_in1k', f'{tmp_path}/none')
    monkeypatch.setenv(VARIABLE, f'{tmp_path}/void')
    with pytest.raises(UsageError, match=f'variable {VARIABLE}: {tmp_path}/void: no such folder'):
        load('cls/smt_s_in1k')


def test_only_paths_that_begin_with_data_move() -> None:
    kept = dict(
        absolute='/data/coco/', other='mydata/coco', bare='data', name='data_x/y', number=3, no=None
    )
    assert move_data(Config(dict(kept)), Path('/d')).to_dict() == kept
    assert move_data(Config(dict(a='./data/coco/')), Path('/d')).a == '/d/coco/'


def test_what_begins_inside_a_data_root_stays() -> None:
    dataset = dict(data_root='data/coco', ann_file='data/a.json', data_prefix=dict(img='data/i'))
    alone = dict(ann_file='data/a.json', data_prefix=dict(img='data/i'), list='data/l.txt')
    moved = move_data(Config(dict(inside=dataset, alone=alone)), Path('/d'))
    assert moved.inside.to_dict() == {**dataset, 'data_root': '/d/coco'}
    assert moved.alone.to_dict() == dict(
        ann_file='/d/a.json', data_prefix=dict(img='/d/i'), list='/d/l.txt'
    )


def test_nested_and_shared_data_sets_move_once() -> None:
    leaf = dict(type='CocoDataset', data_root='data/a/')
    wrapped = dict(type='RepeatDataset', dataset=dict(datasets=[leaf, dict(data_root='data/b')]))
    cfg = Config(dict(train=wrapped, val=wrapped))
    move_data(cfg, Path('data/mirror'))
    for split in (cfg.train, cfg.val):
        first, second = split.dataset.datasets
        assert (first.data_root, second.data_root) == ('data/mirror/a/', 'data/mirror/b')


def test_digits_are_written_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setenv('COLUMNS', '500')
    monkeypatch.setattr(sys, 'argv', ['prepare_digits.py', '--help'])
    with pytest.raises(SystemExit, match='0'):
        runpy.run_path(
            str(ROOT / 'tools/dataset_converters/prepare_digits.py'), run_name='__main__'
        )
    assert f'(default: {tmp_path / "digits"})' in capsys.readouterr().out


def test_other_data_needs_no_libraries_of_the_digits() -> None:
    code = (
        'import sys; sys.modules.update(dict.fromkeys(["sklearn", "pycocotools", "mmdet"]));'
        'import mmsmt.checks.data; print("imported")'
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'imported' in result.stdout, result.stderr
