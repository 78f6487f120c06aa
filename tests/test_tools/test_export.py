"""mmsmt export: what it prints, and bad input."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmsmt.backbones import SMT

Run = Callable[..., tuple[object, str, str]]
SMALL = dict(embed_dims=(8, 16, 24, 32), depths=(1, 1, 1, 1), msa_heads=(1, 2, 3, 4))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backbone's config, its checkpoint and an image."""
    options = ', '.join(f'{name}={value}' for name, value in SMALL.items())
    (tmp_path / 'smt.py').write_text(f"backbone = dict(type='mmsmt.SMT', arch='pico', {options})")
    torch.manual_seed(0)
    torch.save(SMT('pico', **SMALL).state_dict(), tmp_path / 'weights.pth')
    (tmp_path / 'images').mkdir()
    Image.effect_noise((48, 40), 90).convert('RGB').save(tmp_path / 'images' / 'a.png')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_says_what_was_written_and_how_it_compares(run_here: Run, folder: Path) -> None:
    status, said, err = run_here(
        *('export', 'smt.py', 'weights.pth', '--out', 'smt.onnx', '--images', 'images'),
        *('--size', 64, 32),
    )
    assert (status, err) == (0, '')
    lines = said.splitlines()
    assert lines[0].startswith('written  smt.onnx: backbone, ')
    assert lines[1] == 'in       images batch x 64 x 32 x 3, uint8, RGB'
    assert lines[2] == 'out      map_0 batch x 8 x 16 x 8, float32'
    assert lines[6].startswith('checked  1 of 64 x 32: largest difference ')
    assert (folder / 'smt.onnx').stat().st_size > 10_000


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['smt.py', 'weights.pth', '--out', 'x.pth'], 'x.pth: the name must end in .onnx or .xml'),
        (['smt.py', 'weights.pth', '--out', 'x.onnx', '--size', '0', '1'], '--size takes H W'),
        (['smt.py', 'weights.pth', '--out', 'x.onnx', '--opset', '9'], 'at least 18, got 9'),
    ],
)
def test_bad_input(run_here: Run, folder: Path, arguments: list[str], says: str) -> None:
    before = sorted(folder.iterdir())
    status, said, err = run_here('export', *arguments)
    assert (status, said) == (1, '')
    assert err.startswith('error: ') and err.count('\n') == 1
    assert says in err
    assert sorted(folder.iterdir()) == before
