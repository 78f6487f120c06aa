"""`_base_`: what is missing, doubled or no Python, in one line each."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mmsmt.checks.config import check, check_config
from mmsmt.checks.config.check import OWN_CONFIGS


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (
            f"_base_ = ['{OWN_CONFIGS}/det/retinanet_smt_x_1x.py', 'nowhere/at_all.py']",
            [
                ('_base_', 'retinanet_smt_x_1x.py', 'retinanet_smt_'),
                ('_base_', "'nowhere/at_all.py' does not exist", 'relative to'),
            ],
        ),
        (
            "_base_ = 'mmdet::_base_/models/retina_r50_fpn.py'",
            [('_base_', 'does not exist', "'mmdet::_base_/models/retinanet_r50_fpn.py'")],
        ),
        ("_base_ = 'mmnothing::a/b.py'", [('_base_', 'is not installed', 'mmnothing')]),
        ("_base_ = 'mmdet::' + 3", [('_base_', 'TypeError', 'a path or a list')]),
        (
            '_base_ = ["mmdet::_base_/models/retinanet_r50_fpn.py",'
            '"mmdet::_base_/models/mask-rcnn_r50_fpn.py"]',
            [('model', 'retinanet_r50_fpn.py', 'only one base')],
        ),
        ('x = 1\nmodel = dict(', [('line 2', 'was never closed', 'valid Python')]),
        ('model = dict(a=1 / 0)', [('file', 'ZeroDivisionError', 'raises')]),
        ('lr = 1', [('model', 'is not a dictionary', '`_base_`')]),
        (
            "default_scope = 'mmnothing'\nmodel = dict(type='X')",
            [('default_scope', 'mmnothing', 'install')],
        ),
    ],
)
def test_unreadable(lint: Callable, text: str, expected: list[tuple[str, str, str]]) -> None:
    found = lint('', text)
    assert len(found) == len(expected), found
    for finding, (key, wrong, right) in zip(found, expected):
        assert finding.key == key
        assert wrong in finding.wrong
        assert right in finding.right
        assert '\n' not in str(finding)


def test_fault_in_a_base_of_a_base(tmp_path: Path) -> None:
    (tmp_path / 'low.py').write_text("_base_ = 'gone.py'")
    (tmp_path / 'middle.py').write_text("_base_ = 'low.py'\nx = 1")
    (tmp_path / 'leaf.py').write_text("_base_ = ['middle.py']")
    (finding,) = check_config(tmp_path / 'leaf.py')
    assert "'gone.py', in low.py, does not exist" in finding.wrong


def test_other_files_are_no_configs(tmp_path: Path) -> None:
    (tmp_path / 'notes.txt').write_text('x')
    (finding,) = check_config(tmp_path / 'notes.txt')
    assert 'is not a config' in finding.wrong


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A config of four levels of its own, below which mmdet's are not counted."""
    (tmp_path / '1.py').write_text("_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'")
    for level in (2, 3, 4):
        (tmp_path / f'{level}.py').write_text(f"_base_ = './{level - 1}.py'")
    return tmp_path


def test_levels(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keys(level: int, limit: int | None = None) -> list[str]:
        return [f.key for f in check_config(chain / f'{level}.py', max_levels=limit) if not f.note]

    assert keys(4) == []
    assert keys(4, 3) == ['_base_']
    assert keys(3, 3) == []
    monkeypatch.setattr(check, 'OWN_CONFIGS', chain)
    assert keys(4) == ['_base_'], 'of our own configs three levels are asked'
