"""`--resume` finds the last checkpoint from which training can be resumed."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmsmt.engine.arguments import apply_train_options
from mmsmt.engine.resume import find_last_good
from mmsmt.errors import CheckpointError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A work dir with three checkpoints, the third the newest."""
    for epoch in (2, 1, 3):  # not the order in which folders list them
        path = tmp_path / f'epoch_{epoch}.pth'
        state = {'a': torch.full((1000,), float(epoch))}
        torch.save({'meta': {}, 'state_dict': state, 'optimizer': {}, 'message_hub': {}}, path)
        os.utime(path, (epoch, epoch))
    torch.save({'state_dict': state}, tmp_path / 'best_x_epoch_3.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_3.pth'))
    return tmp_path


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged."""
    found: list[str] = []
    monkeypatch.setattr('mmsmt.engine.resume.print_log', lambda text, **_: found.append(text))
    return found


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((9,), 3.0).numpy().tobytes()) + 2] ^= 1
    path.write_bytes(content)


def diverge(path: Path) -> None:
    content = torch.load(path)
    content['state_dict']['a'][7] = torch.nan
    torch.save(content, path)


def strip(path: Path) -> None:
    torch.save({'state_dict': torch.load(path)['state_dict']}, path)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    'torn': (tear, 'truncated, damaged'),
    'empty': (lambda path: path.write_bytes(b''), 'is empty'),
    'missing': (Path.unlink, 'no such checkpoint file'),
    'flipped': (flip, 'damaged'),
    'diverged': (diverge, 'a holds NaN or Inf'),
    'without optimizer': (strip, 'not a training checkpoint, it lacks meta, optimizer'),
}


def test_the_last_one(folder: Path, said: list[str]) -> None:
    assert find_last_good(folder) == folder / 'epoch_3.pth'
    assert not said


@pytest.mark.parametrize('damage', DAMAGES)
def test_damage_of_the_newest(folder: Path, said: list[str], damage: str) -> None:
    spoil, says = DAMAGES[damage]
    spoil(folder / 'epoch_3.pth')
    assert find_last_good(folder) == folder / 'epoch_2.pth'
    (warning,) = said
    assert warning.startswith(f'resuming from {folder}/epoch_2.pth; skipped: {folder}/epoch_3')
    assert says in warning and warning.count('epoch_3.pth') == 1


@pytest.mark.parametrize('note', [None, '', '/elsewhere/epoch_3.pth', 'moved/epoch_3.pth\n'])
def test_a_note_that_is_torn_or_of_another_place(
    folder: Path, said: list[str], note: str | None
) -> None:
    (folder / 'last_checkpoint').unlink()
    if note is not None:
        (folder / 'last_checkpoint').write_text(note)
    assert find_last_good(folder) == folder / 'epoch_3.pth'
    assert not said


def test_the_note_before_newer_files(folder: Path) -> None:
    """Those may be of another training in the same folder."""
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
    assert find_last_good(folder) == folder / 'epoch_1.pth'


def test_nothing_good(folder: Path, said: list[str]) -> None:
    for path in folder.glob('epoch_*.pth'):
        tear(path)
    with pytest.raises(CheckpointError, match='no checkpoint to resume from: ') as caught:
        find_last_good(folder)
    assert str(caught.value).count('truncated') == 3 and '\n' not in str(caught.value)


def test_a_first_start(tmp_path: Path) -> None:
    assert find_last_good(tmp_path / 'none') is find_last_good(tmp_path) is None


@pytest.mark.parametrize(
    ('resume', 'want'),
    [
        (None, (False, 'start.pth')),
        ('auto', (True, '{}/epoch_3.pth')),
        ('x.pth', (True, 'x.pth')),
    ],
)
def test_option(folder: Path, resume: str | None, want: tuple[bool, str]) -> None:
    none = dict(amp=False, auto_scale_lr=False, no_validate=False, on_bad=None, seed=None)
    none |= dict(epochs=None, save_best=None, early_stop=None)
    args = argparse.Namespace(resume=resume, **none)
    cfg = Config(dict(work_dir=str(folder), resume=False, load_from='start.pth'))
    apply_train_options(cfg, args)
    assert (cfg.resume, cfg.load_from) == (want[0], want[1].format(folder))
    empty = Config(dict(work_dir=str(folder / 'new'), resume=False, load_from='start.pth'))
    apply_train_options(empty, argparse.Namespace(resume='auto', **none))
    assert (empty.resume, empty.load_from) == (False, 'start.pth')
