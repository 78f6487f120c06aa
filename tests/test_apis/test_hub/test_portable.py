"""Configs become data that means the same on another machine."""

from pathlib import Path
from typing import Any

import pytest
from mmdet.models import MaskRCNN
from mmengine.config import Config

from mmsmt.errors import ConfigError
from mmsmt.hosts.portable import from_text, to_portable, to_text


def portable(**fields: Any) -> dict[str, Any]:
    cfg = Config(dict(model=dict(type='mmdet.MaskRCNN'), default_scope='mmdet', **fields))
    return to_portable(cfg, 'x.py')


def test_values_come_back_with_their_types() -> None:
    plain = dict(
        a=(1, 2.5, -3, 1e-6, True, None),
        b={'x y': [], 3: {'z'}, 'type': 'Straße "1"'},
        c='x' * 300 + "'\n",
        d=((), [(1,)]),
    )
    assert from_text(to_text(plain), 'x.py') == plain
    types = [type(item) for item in from_text(to_text(plain), 'x.py')['a']]
    assert types == [int, float, int, float, bool, type(None)]


def test_what_belongs_to_a_run_is_left_out() -> None:
    start = dict(type='Pretrained', checkpoint='x.pth')
    plain = portable(
        load_from='x.pth',
        resume=True,
        work_dir='/home/me/work_dirs/x',
        launcher='none',
        custom_imports=dict(imports=['mine']),
        checkpoint='https://example.com/x.pth',
        backbone=dict(init_cfg=start, pretrained='x.pth', depth=50),
        vis_backends=[dict(type='LocalVisBackend'), dict(type='WandbVisBackend')],
    )
    assert plain == dict(
        model=dict(type='mmdet.MaskRCNN'),
        default_scope='mmdet',
        backbone=dict(depth=50),
        vis_backends=[dict(type='LocalVisBackend')],
    )


def test_absolute_paths_become_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / 'home'
    (home / 'work').mkdir(parents=True)
    monkeypatch.chdir(home / 'work')
    monkeypatch.setenv('HOME', str(home))
    given = dict(
        here=f'{home}/work/data/coco/',
        home=f'{home}/data/x.json',
        tilde='~/data/',
        other='/mnt/coco/train',
        above='../data/x.json',
        kept='data/x.json',
    )
    assert portable(paths=given)['paths'] == dict(
        here='data/coco/',
        home='data/x.json',
        tilde='data/',
        other='mnt/coco/train',
        above='data/x.json',
        kept='data/x.json',
    )


def test_classes_get_their_registered_names() -> None:
    named = portable(a=dict(type=MaskRCNN), b=dict(type='mmdet.models.detectors.MaskRCNN'))
    assert named['a'] == named['b'] == dict(type='mmdet.MaskRCNN')


@pytest.mark.parametrize(
    ('fields', 'why'),
    [
        (dict(a=dict(ann_file='x.pkl')), r'x\.py: a\.ann_file: .* could run code'),
        (dict(a=dict(url='http://x/y')), r'x\.py: a\.url: .* a URL'),
        (dict(a=[len]), r'x\.py: a\[0\]: .* not a plain value'),
        (dict(a=float('inf')), r'x\.py: refused'),
    ],
    ids=['pickle', 'address', 'function', 'infinity'],
)
def test_what_cannot_be_carried_over_is_named(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        portable(**fields)
