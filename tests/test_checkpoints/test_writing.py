"""Written files carry the names of the hosts and their own hash, or are not there at all."""

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmsmt.checkpoints import (
    Parts,
    load_checkpoint,
    read_container,
    select_head_rows,
    to_host,
    write_checkpoint,
)
from mmsmt.errors import CheckpointError

FORMATS = ('.pth', '.safetensors')
WEIGHTS = {'a.weight': torch.arange(6.0).reshape(2, 3), 'a.bias': torch.ones(2)}
META = {'source': 'smt.pth', 'target': 'classifier', 'variant': 'tiny', 'version': 1}


@pytest.fixture
def parts() -> Parts:
    return Parts(
        backbone={'norms.0.weight': torch.ones(2)},
        head={'weight': torch.arange(10.0).reshape(5, 2), 'bias': torch.arange(5.0)},
        other={'neck.0.weight': torch.ones(1), 'ema.weight': torch.ones(1)},
    )


def assert_same(state: dict[str, Tensor], want: dict[str, Tensor]) -> None:
    assert set(state) == set(want)
    for name, value in want.items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=0)


@pytest.mark.parametrize('ending', FORMATS)
def test_what_is_written_is_read(tmp_path: Path, ending: str) -> None:
    written = write_checkpoint(WEIGHTS, tmp_path / 'new' / f'x{ending}', META)
    digest = hashlib.sha256(written.read_bytes()).hexdigest()[:8]
    assert written == tmp_path / 'new' / f'x-{digest}{ending}'
    assert list(written.parent.iterdir()) == [written]
    assert_same(load_checkpoint(written), WEIGHTS)


def test_facts_lie_beside_the_weights(tmp_path: Path) -> None:
    meta = read_container(write_checkpoint(WEIGHTS, tmp_path / 'x.pth', META))['meta']
    assert meta == {key: str(value) for key, value in META.items()}


@pytest.mark.slow
def test_equal_weights_are_equal_bytes(tmp_path: Path) -> None:
    """Under other names and in another process, with another seed of Python's hashes."""
    code = (
        'import sys, torch; from mmsmt.checkpoints import write_checkpoint\n'
        "state, facts = {'a': torch.arange(9.)}, dict.fromkeys('abcdef', 1)\n"
        'for name in sys.argv[1:]: print(write_checkpoint(state, name, facts).stem)'
    )
    here = [
        write_checkpoint(
            {'a': torch.arange(9.0)}, tmp_path / f'other{ending}', dict.fromkeys('abcdef', 1)
        )
        for ending in FORMATS
    ]
    there = subprocess.run(
        [sys.executable, '-c', code, *(str(tmp_path / f'x{ending}') for ending in FORMATS)],
        env={**os.environ, 'PYTHONHASHSEED': '7'},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [stem.split('-')[1] for stem in there.stdout.split()]
    assert found == [path.stem.split('-')[1] for path in here]


@pytest.mark.parametrize('ending', FORMATS)
def test_views_and_shared_tensors(tmp_path: Path, ending: str) -> None:
    """A view of one row must not drag the whole tensor along; shared ones may be written."""
    big = torch.arange(100_000.0).reshape(2, -1)
    weight = torch.nn.Parameter(torch.ones(3))
    state = {'row': big[0, :4], 'turned': big[:, :3].t(), 'w': weight, 'same': weight}
    written = write_checkpoint(state, tmp_path / f'x{ending}', {})
    assert written.stat().st_size < 10_000
    assert_same(load_checkpoint(written), {name: value.detach() for name, value in state.items()})


@pytest.mark.parametrize('name', ['x', 'x.bin', 'folder/', 'x.pth.tar'])
def test_other_endings(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r'must end in \.pth or \.safetensors'):
        write_checkpoint(WEIGHTS, tmp_path / name, META)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('kept')
    for folder in ('file', 'file/deeper'):
        with pytest.raises(CheckpointError, match='cannot be written'):
            write_checkpoint(WEIGHTS, tmp_path / folder / 'x.pth', META)
    assert (tmp_path / 'file').read_text() == 'kept'


@pytest.mark.parametrize('ending', FORMATS)
def test_full_disk_leaves_nothing(tmp_path: Path, ending: str) -> None:
    state = {'a': torch.ones(50_000)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match='cannot be written'):
            write_checkpoint(state, tmp_path / f'x{ending}', META)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    assert write_checkpoint(state, tmp_path / f'x{ending}', META).is_file(), 'control'


def test_names_of_the_hosts(parts: Parts) -> None:
    head = {'head.fc.weight', 'head.fc.bias'}
    whole = {'backbone.norms.0.weight', 'neck.0.weight'} | head
    assert set(to_host(parts, 'classifier')) == whole
    for target in ('detector', 'segmenter'):
        assert set(to_host(parts, target)) == {'backbone.norms.0.weight'}
    parts.head.clear()
    assert set(to_host(parts, 'classifier')) == {'backbone.norms.0.weight'}, "a detector's neck"
    parts.other['decode_head.conv_seg.weight'] = torch.ones(1)
    assert set(to_host(parts, 'segmenter')) == {'backbone.norms.0.weight', *parts.other}
    assert set(to_host(parts, 'detector', backbone_only=True)) == {'backbone.norms.0.weight'}
    with pytest.raises(
        CheckpointError, match='a whole segmenter: use --target segmenter to keep it'
    ):
        to_host(parts, 'detector')
    with pytest.raises(ValueError, match="'tracker'; known: classifier, detector, segmenter"):
        to_host(parts, 'tracker')


def test_head_rows(parts: Parts, tmp_path: Path) -> None:
    """Line i names the row that becomes class i; a class may be named twice."""
    mapping = tmp_path / 'map.txt'
    mapping.write_text('4\n0\r\n\n4\n')
    before = {name: value.clone() for name, value in parts.head.items()}
    whole = dict(parts.head)
    select_head_rows(parts, mapping)
    assert parts.head['bias'].tolist() == [4.0, 0.0, 4.0]
    assert parts.head['weight'].tolist() == [[8.0, 9.0], [0.0, 1.0], [8.0, 9.0]]
    assert_same(whole, before)


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('0\n5\n', r"line 2: '5' is not a class \(0 to 4\)"),
        ('0\n\n-1\n', "line 3: '-1'"),
        ('cat', "line 1: 'cat'"),
        ('1 2', "line 1: '1 2'"),
        ('1.0', "line 1: '1.0'"),
        ('²', "line 1: '²'"),
        ('', 'is empty'),
        ('\n\n', 'is empty'),
    ],
)
def test_bad_head_maps(parts: Parts, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / 'map.txt').write_text(text, encoding='utf-8')
    before = dict(parts.head)
    with pytest.raises(CheckpointError, match=says):
        select_head_rows(parts, tmp_path / 'map.txt')
    assert_same(parts.head, before)


def test_head_map_that_cannot_be_read(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / 'binary').write_bytes(b'\xff\xfe\x00')
    for path, says in (
        (tmp_path / 'none.txt', 'No such file'),
        (tmp_path, 'Is a directory'),
        (tmp_path / 'binary', 'not a text file'),
    ):
        with pytest.raises(CheckpointError, match=says):
            select_head_rows(parts, path)


def test_head_map_without_a_head(parts: Parts, tmp_path: Path) -> None:
    parts.head.clear()
    with pytest.raises(CheckpointError, match='no classifier head'):
        select_head_rows(parts, tmp_path / 'map.txt')
