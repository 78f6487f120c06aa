"""mmsmt export and mmsmt quantize: what they print, and bad input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmsmt.backbones import SMT
from mmsmt.deploy.session import open_session

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
        (
            ['smt.py', 'weights.pth', '--out', 'x.onnx', '--size', '0', '1'],
            '--size must be two positive numbers H W',
        ),
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


@pytest.mark.slow
def test_quantizes_what_was_exported(run_here: Run, folder: Path) -> None:
    size = ('--size', 64, 32)
    run_here('export', 'smt.py', 'weights.pth', '--out', 'smt.xml', '--images', 'images', *size)
    status, said, err = run_here('quantize', 'smt.xml', '--images', 'images', '--out', 'int8.xml')
    assert status == 0, err
    assert 'written  int8.xml: calibrated on 1 images' in said
    assert '"i8"' in (folder / 'int8.xml').read_text()  # the type of weights
    image = np.asarray(Image.open(folder / 'images/a.png').resize((32, 64)))[None]
    plain, short = (open_session(folder / name, 1)(image) for name in ('smt.xml', 'int8.xml'))
    assert list(plain) == list(short)
    for name, value in plain.items():
        gap = np.abs(short[name] - value).mean() / np.abs(value).mean()
        assert 1e-4 < gap < 0.2, name


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['smt.onnx', '--images', 'images', '--out', 'x.xml'], 'smt.onnx: only .xml'),
        (['smt.xml', '--images', 'images', '--out', 'x.onnx'], 'x.onnx: only .xml'),
        (['smt.xml', '--images', 'images', '--out', 'x.xml'], 'smt.xml: no such file'),
        (['cut.xml', '--images', 'images', '--out', 'x.xml'], 'cut.xml: OpenVINO cannot read'),
    ],
)
def test_bad_input_of_quantize(
    run_here: Run, folder: Path, arguments: list[str], says: str
) -> None:
    (folder / 'cut.xml').write_text('<?xml version="1.0"?><net name="a" version="11">')
    before = sorted(folder.iterdir())
    status, said, err = run_here('quantize', *arguments)
    assert (status, said) == (1, '')
    assert err.startswith(f'error: {says}') and err.count('\n') == 1
    assert sorted(folder.iterdir()) == before
