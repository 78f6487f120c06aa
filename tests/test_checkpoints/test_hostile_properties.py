"""Whatever is done to a good file: the one error, or weights that may pass. Never anything else."""

import random
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hostile_corpus import FORMATS, packed, repacked
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmsmt.checkpoints import load_checkpoint
from mmsmt.errors import CheckpointError

STATE = {'a.weight': torch.linspace(-1, 1, 60).reshape(6, 10), 'a.bias': torch.arange(3.0)}
WHOLE = {ending: packed(STATE, ending) for ending in FORMATS}
LIMIT = 256 << 10  # KiB that the process may grow by

# Places as shares of a file's length, so that one example means the same in each format.
places = st.floats(0, 1, exclude_max=True)
damages = st.one_of(
    st.tuples(st.just('cut'), places, places),
    st.tuples(st.just('turn'), places, st.integers(0, 7)),
    st.tuples(st.just('write'), places, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just('insert'), places, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just('splice'), places, places),
)


def damaged(content: bytes, damage: tuple) -> bytes:
    """One way to spoil a file."""
    way, place, more = damage
    at = int(place * len(content))
    if way == 'cut':
        end = at + int(more * (len(content) - at)) + 1
        return content[:at] + content[end:]
    if way == 'turn':
        return content[:at] + bytes([content[at] ^ 1 << more]) + content[at + 1 :]
    if way == 'write':
        return content[:at] + more + content[at + len(more) :]
    if way == 'insert':
        return content[:at] + more + content[at:]
    return content[:at] + content[int(more * len(content)) :]


def load(path: Path, content: bytes) -> dict[str, Tensor] | None:
    """The weights, None where the file is refused; anything else is a fault."""
    path.write_bytes(content)
    try:
        state = load_checkpoint(path)
    except CheckpointError as error:
        assert str(error).startswith(f'{path}: ') and str(error).isprintable()
        return None
    for name, value in state.items():
        assert isinstance(name, str) and isinstance(value, Tensor)
        assert value.layout == torch.strided and not value.is_meta
        assert not value.is_floating_point() or value.isfinite().all()
    return state


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('damaged')


@pytest.fixture(autouse=True)
def bounded_memory() -> Callable:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < LIMIT, f'{grown} KiB'


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(damages, min_size=1, max_size=3))
def test_archives_load_what_was_saved_or_nothing(folder: Path, damage: list[tuple]) -> None:
    """The format of today has checksums over all that is read."""
    content = WHOLE['.pth']
    for each in damage:
        content = damaged(content, each) or b'\0'
    state = load(folder / 'x.pth', content)
    if state is not None:
        assert list(state) == list(STATE)
        assert all(torch.equal(state[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize('ending', FORMATS[1:])
@settings(derandomize=True, deadline=None, max_examples=200)
@example(damage=[('write', 0.9, b'\xff' * 16)])  # NaN among the weights
@given(damage=st.lists(damages, min_size=1, max_size=3))
def test_formats_without_checksums_stay_finite(
    folder: Path, ending: str, damage: list[tuple]
) -> None:
    content = WHOLE[ending]
    for each in damage:
        content = damaged(content, each) or b'\0'
    load(folder / f'x{ending}', content)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(damages, min_size=1, max_size=2))
def test_archives_whose_checksums_were_made_to_fit(folder: Path, damage: list[tuple]) -> None:
    """Whoever spoils a file on purpose writes its checksums anew."""

    def change(name: str, data: bytes) -> bytes:
        for each in damage if name.endswith('data.pkl') else []:
            data = damaged(data, each) or b'\0'
        return data

    load(folder / 'x.pth', repacked(WHOLE['.pth'], change))


@settings(derandomize=True, deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32), start=st.sampled_from([b'', b'PK\x03\x04', b'\x80\x02']))
def test_noise(folder: Path, seed: int, start: bytes) -> None:
    for ending in FORMATS:
        content = start + random.Random(seed).randbytes(200)
        assert load(folder / f'x{ending}', content) is None


def test_control_nothing_done(folder: Path) -> None:
    for ending, content in WHOLE.items():
        assert load(folder / f'x{ending}', content).keys() == STATE.keys()
