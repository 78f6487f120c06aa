"""Damaged and hostile files: none loads other weights than were saved, none runs or bloats."""

import pickle
import resource
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from hostile_corpus import (
    BAD_HEADERS,
    MARKER,
    PAGE,
    headed,
    make_corpus,
    packed,
    repacked,
    tensor_header,
)
from torch import Tensor, nn

from mmsmt.backbones import SMT
from mmsmt.checkpoints import load_checkpoint, read_container
from mmsmt.errors import CheckpointError
from mmsmt.hosts.weights import fit_weights

STATE = {'a.weight': torch.linspace(-1, 1, 1000).reshape(40, 25), 'a.bias': torch.arange(3.0)}
FORMATS = ('x.pth', 'x.legacy.pth', 'x.safetensors')


def write(path: Path, state: dict[str, Tensor] = STATE) -> bytes:
    content = packed(state, path.name.removeprefix('x'))
    path.write_bytes(content)
    return content


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f'{path}: ') and '\n' not in message
    return message


@pytest.mark.parametrize('name', FORMATS)
def test_truncated_at_every_tenth(tmp_path: Path, name: str) -> None:
    content = write(tmp_path / name)
    for tenth in range(10):
        (tmp_path / name).write_bytes(content[: len(content) * tenth // 10])
        refusal(tmp_path / name)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
@pytest.mark.parametrize(
    ('name', 'dtype'),
    [
        *((name, dtype) for name in FORMATS for dtype in (torch.float32, torch.float16)),
        # PyTorch cannot read these from its old format.
        *((name, torch.float8_e5m2) for name in FORMATS if name != 'x.legacy.pth'),
    ],
)
def test_numbers_that_are_none(tmp_path: Path, name: str, dtype: torch.dtype, value: float) -> None:
    bad = STATE['a.weight'].clone()
    bad[39, 24] = value
    write(tmp_path / name, {**STATE, 'a.weight': bad.to(dtype)})
    assert ': a.weight holds NaN or Inf; the training' in refusal(tmp_path / name)


def test_numbers_beside_the_weights_do_not_matter(tmp_path: Path) -> None:
    """A part of a larger tensor is saved with all of it."""
    whole = torch.full((10,), torch.nan)
    whole[:5] = 1.0
    write(tmp_path / 'x.pth', {'a': whole[:5]})
    assert load_checkpoint(tmp_path / 'x.pth')['a'].tolist() == [1.0] * 5


def test_one_number_that_stands_for_many(tmp_path: Path) -> None:
    """A terabyte by its shape, four bytes in the file."""
    write(tmp_path / 'x.pth', {'a': torch.zeros(()).expand(10**6, 10**6)})
    assert load_checkpoint(tmp_path / 'x.pth')['a'].shape == (10**6, 10**6)
    write(tmp_path / 'x.pth', {'a': torch.full((), torch.nan).expand(10**6, 10**6)})
    assert 'NaN' in refusal(tmp_path / 'x.pth')


def test_compressed_entries_never_reach_pytorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few thousand bytes would become sixteen millions, or as many as one likes."""
    content = write(tmp_path / 'x.pth', {'a': torch.zeros(4 << 20)})
    bomb = repacked(content, lambda _, data: data, zipfile.ZIP_DEFLATED)
    assert len(bomb) < len(content) / 500
    (tmp_path / 'x.pth').write_bytes(bomb)
    assert torch.load(tmp_path / 'x.pth')['a'].numel() == 4 << 20, 'control: PyTorch inflates it'
    monkeypatch.setattr(torch, 'load', lambda *_, **__: pytest.fail('PyTorch was given the file'))
    assert 'compressed entries' in refusal(tmp_path / 'x.pth')


def test_sizes_beyond_the_file(tmp_path: Path) -> None:
    """In an archive, in the old format and in a safetensors header: refused at once."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    number, huge = pickle.dumps(1000, 2)[2:-1], b'\x8a\x06' + (10**12).to_bytes(6, 'little')
    state = {'a': torch.zeros(1000)}

    def enlarge(name: str, data: bytes) -> bytes:
        assert not name.endswith('.pkl') or number in data
        return data.replace(number, huge) if name.endswith('.pkl') else data

    (tmp_path / 'x.pth').write_bytes(repacked(write(tmp_path / 'x.pth', state), enlarge))
    old = write(tmp_path / 'x.legacy.pth', state)
    (tmp_path / 'x.legacy.pth').write_bytes(old.replace(number, huge))
    header = tensor_header(shape=[10**12], data_offsets=[0, 4 * 10**12])
    (tmp_path / 'x.safetensors').write_bytes(headed(header, b''))
    for name in FORMATS:
        refusal(tmp_path / name)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 << 10, f'{grown} KiB'


@pytest.mark.parametrize('content', [*BAD_HEADERS, PAGE])
def test_bad_safetensors_headers(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'x.safetensors'
    path.write_bytes(headed(tensor_header()))
    assert load_checkpoint(path)['a'].tolist() == [0.0, 0.0], 'control'
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize('kind', [torch.int32, torch.bool, torch.complex64, torch.float64])
def test_kinds_of_numbers(tmp_path: Path, kind: torch.dtype) -> None:
    """Another precision fits; integers instead of floating-point numbers do not."""
    model = SMT('pico')
    state = {name: value.clone() for name, value in model.state_dict().items()}
    state['norms.0.bias'] = state['norms.0.bias'].to(kind)
    write(tmp_path / 'x.pth', state)
    if kind.is_floating_point:
        model.load_pretrained(tmp_path / 'x.pth')
    else:
        says = rf'other kind: norms.0.bias \({kind} in the file, torch.float32 in the model\)'
        with pytest.raises(CheckpointError, match=says):
            model.load_pretrained(tmp_path / 'x.pth')


# Allowed results of a file of each kind, besides an error.
ALLOWED = {
    'one bit turned': {'as saved'},
    'one bit turned, no checksums': {'as saved', 'other weights'},  # SECURITY.md says so
    'hidden methods': {'as saved'},
}


def try_into(model: nn.Module, saved: dict[str, Tensor], path: Path) -> str:
    """Load like `load_from`, and return the outcome."""
    try:
        state, _ = fit_weights(model, read_container(path), str(path))
    except CheckpointError as error:
        message = str(error)
        assert message.startswith(f'{path}: ') and message.isprintable()
        assert len(message) < 2000
        return 'refused'
    model.load_state_dict(state)
    same = all(torch.equal(saved[name], value) for name, value in model.state_dict().items())
    return 'as saved' if same else 'other weights'


@pytest.mark.filterwarnings('ignore')  # of making such files
def test_corpus(tmp_path: Path) -> None:
    """Every file is refused in one line or loads what was saved; none runs."""
    saved = dict(nn.Linear(40, 30).state_dict())
    samples = make_corpus(tmp_path, saved)
    found = Counter(
        (sample.kind, try_into(nn.Linear(40, 30), saved, sample.path)) for sample in samples
    )
    assert not (tmp_path / MARKER).exists()
    wrong = [(k, result) for k, result in found if result not in {'refused', *ALLOWED.get(k, ())}]
    assert not wrong
    assert found['one bit turned', 'refused'] > 25


@pytest.mark.parametrize('name', FORMATS)
def test_control_good_file(tmp_path: Path, name: str) -> None:
    saved = dict(nn.Linear(40, 30).state_dict())
    write(tmp_path / name, saved)
    assert try_into(nn.Linear(40, 30), saved, tmp_path / name) == 'as saved'
