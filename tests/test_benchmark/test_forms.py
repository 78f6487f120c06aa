"""The benchmark of forms, on a small backbone."""

import sys
from pathlib import Path

import forms
import pytest

from mmsmt.datasets.digits import Parameters, prepare_digits
from mmsmt.errors import UsageError


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(UsageError, match=r'requirements/export\.txt'):
        forms.open_session(tmp_path / 'x.onnx', 1)


def test_a_small_backbone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason='needs pip install -r requirements/export.txt')
    monkeypatch.setenv('MMSMT_DATA', str(tmp_path))
    prepare_digits(tmp_path / 'digits', Parameters(1, 1, 160, 0))
    config = tmp_path / 'smt.py'
    config.write_text("model = dict(backbone=dict(type='mmsmt.SMT', arch='pico'))")
    monkeypatch.setattr(forms, 'SHAPES', ((1, 32, 32), (2, 40, 33)))
    monkeypatch.setattr(forms, 'compile_network', lambda model, mode: model)
    monkeypatch.setattr(sys, 'argv', ['forms.py', str(config), '--rounds', '2'])
    forms.main()
    table = capsys.readouterr().out
    assert table.count('ONNX Runtime') == 2 and '2 x 40 x 33' in table
