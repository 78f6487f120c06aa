"""Weights of a config: local files are there, safe to read, and of this model."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmsmt.backbones import SMT
from mmsmt.checks.config import check_config

CLS = 'digits/cls_smt_pico.py'
KEY = 'model.backbone.init_cfg.checkpoint'


class Calls:
    """Unpickled, runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Weights of `pico` with and without a head, of `tiny`, and a file that would run code."""
    state = {f'backbone.{k}': v for k, v in SMT('pico').state_dict().items()}
    head = {'head.fc.weight': torch.zeros(10, 256), 'head.fc.bias': torch.zeros(10)}
    torch.save({'state_dict': state | head}, tmp_path / 'whole.pth')
    torch.save({'state_dict': state}, tmp_path / 'backbone.pth')
    small = {'embed_dims': (8, 16, 32, 64), 'depths': (1, 1, 2, 1), 'mlp_ratios': (4, 4, 4, 2)}
    torch.save(SMT(small | {'msa_heads': (1, 1, 1, 1)}).state_dict(), tmp_path / 'other.pth')
    torch.save({'state_dict': state, 'x': Calls(f'touch {tmp_path}/marker')}, tmp_path / 'bad.pth')
    (tmp_path / 'empty.pth').touch()
    return tmp_path


def pretrained(checkpoint: object, **more: object) -> str:
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint, **more)
    return f'model = dict(backbone=dict(init_cfg={init_cfg!r}))'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (pretrained('whole.pth'), []),
        (pretrained('backbone.pth', prefix='backbone.'), []),
        (pretrained('https://example.org/is_not_fetched.pth'), []),
        (pretrained('nowhere.pth'), [(KEY, 'nowhere.pth: no such file')]),
        (pretrained('other.pth'), [(KEY, 'The file holds SMT a variation of pico')]),
        (pretrained('empty.pth'), [(KEY, 'is empty')]),
        (pretrained(None), [(KEY, 'is None')]),
        (pretrained('bad.pth'), [(KEY, 'nothing was run')]),
        (pretrained('whole.pth', alow=['x']), [('model.backbone.init_cfg.alow', 'Pretrained')]),
        (pretrained('whole.pth', allow=['norms.0']), []),
        ("load_from = 'whole.pth'", []),
        ("load_from = 'nowhere.pth'", [('load_from', 'nowhere.pth: no such file')]),
        ("load_from = 'bad.pth'", [('load_from', 'nothing was run')]),
        ("load_from = 'backbone.pth'", [('load_from', 'missing: head.fc.weight, head.fc.bias')]),
        (
            "load_from = 'backbone.pth'\n"
            "custom_hooks = [dict(type='mmsmt.StrictLoadHook', allow=['head'])]",
            [],
        ),
    ],
)
def test_weights(lint: Callable, files: Path, text: str, expected: list[tuple[str, str]]) -> None:
    found = lint(CLS, text)
    assert [f.key for f in found] == [key for key, _ in expected], found
    for finding, (_, wrong) in zip(found, expected):
        assert wrong in finding.wrong
    assert not (files / 'marker').exists()


def test_what_is_yet_to_be_trained_is_a_note(lint: Callable, tmp_path: Path) -> None:
    text = pretrained('work_dirs/first/epoch_6.pth')
    assert lint(CLS, text) == []
    (note,) = check_config(tmp_path / 'broken.py')
    assert note.note and note.key == KEY
    assert 'no such file' in note.wrong
