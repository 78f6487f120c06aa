"""The command: equal bytes for equal seeds, all or nothing, one line for an error."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmsmt.datasets.digits import Parameters, prepare_digits
from mmsmt.datasets.digits.staging import staged_folder
from mmsmt.errors import FolderBusyError

SMALL = ('--scenes', 2, 1, '--renderings', 0)


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_equal_seeds_write_equal_bytes(
    prepared: Path, parameters: Parameters, start_tool: Callable, tmp_path: Path
) -> None:
    arguments = ('--scenes', 12, 6, '--renderings', 1, '--seed', parameters.seed)
    process = start_tool('--out', tmp_path / 'again', *arguments)
    assert process.wait(timeout=120) == 0, process.stderr.read()
    assert contents(tmp_path / 'again') == contents(prepared)


def test_a_scene_depends_on_its_number_alone(
    prepared: Path, parameters: Parameters, tmp_path: Path
) -> None:
    fewer = replace(parameters, scenes_train=3, scenes_val=1, renderings=0)
    prepare_digits(tmp_path / 'fewer', fewer)
    written, all_of_them = contents(tmp_path / 'fewer'), contents(prepared)
    pictures = [name for name in written if name.endswith(('.jpg', '.png'))]
    assert [name for name in pictures if written[name] != all_of_them[name]] == []
    other = replace(fewer, seed=parameters.seed + 1)
    prepare_digits(tmp_path / 'other', other)
    for name, content in contents(tmp_path / 'other').items():
        if name.endswith('.jpg'):
            assert content != written[name], f'{name} does not depend on the seed'


def test_repeated_changed_and_forced(run_tool: Callable, tmp_path: Path) -> None:
    out = tmp_path / 'digits'
    code, said, _ = run_tool('--out', out, *SMALL)
    assert code == 0 and '1297 in cls/train' in said
    before = contents(out)

    code, said, _ = run_tool('--out', out, *SMALL)
    assert code == 0 and 'nothing to do' in said

    code, _, error = run_tool('--out', out, *SMALL, '--seed', 1)
    assert code == 1 and error.count('\n') == 1
    assert 'seed 0 (asked: 1)' in error and '--force' in error
    assert contents(out) == before

    code, _, _ = run_tool('--out', out, *SMALL, '--seed', 1, '--force')
    assert code == 0
    assert json.loads((out / 'digits.json').read_text())['parameters']['seed'] == 1
    assert os.listdir(tmp_path) == ['digits']


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGINT])
def test_interrupted_leaves_no_target_and_the_next_run_cleans_up(
    start_tool: Callable, tmp_path: Path, number: signal.Signals
) -> None:
    out, partial = tmp_path / 'digits', tmp_path / '.digits.partial'
    process = start_tool('--out', out, '--renderings', 50)
    deadline = time.monotonic() + 60
    while len(list(partial.rglob('*.png'))) < 20 and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == {signal.SIGKILL: -9, signal.SIGINT: 130}[number]
    assert not out.exists()
    assert 'Traceback' not in process.stderr.read()
    assert partial.exists() == (number == signal.SIGKILL)

    again = start_tool('--out', out, *SMALL)
    assert again.wait(timeout=60) == 0, again.stderr.read()
    assert os.listdir(tmp_path) == ['digits']
    pictures = [name for name in contents(out / 'cls') if name.endswith('.png')]
    assert len(pictures) == 1797, 'leftovers of the killed run are in the target'


def test_failure_while_replacing_keeps_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / 'digits'
    out.mkdir()
    (out / 'kept').write_text('as it was')
    with pytest.raises(OSError, match='disk full'), staged_folder(out) as folder:
        (folder / 'half').write_text('half')
        raise OSError('disk full')
    assert contents(tmp_path) == {'digits/kept': b'as it was'}


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    out = tmp_path / 'digits'
    with staged_folder(out) as folder:
        (folder / 'first').touch()
        with pytest.raises(FolderBusyError), staged_folder(out):
            pass
    assert os.listdir(out) == ['first']


def test_foreign_folder_is_never_replaced(run_tool: Callable, tmp_path: Path) -> None:
    (tmp_path / 'thesis').touch()
    code, _, error = run_tool('--out', tmp_path, *SMALL, '--force')
    assert code == 1 and 'choose another folder' in error
    assert os.listdir(tmp_path) == ['thesis']


@pytest.mark.parametrize('manifest', ['{', '{}', '{"parameters": 3}', '[]'])
def test_damaged_manifest_is_named(run_tool: Callable, tmp_path: Path, manifest: str) -> None:
    (tmp_path / 'digits.json').write_text(manifest)
    code, _, error = run_tool('--out', tmp_path, *SMALL)
    assert code == 1 and 'is damaged' in error and error.count('\n') == 1


@pytest.mark.parametrize(
    'arguments, code, message',
    [
        (('--scenes', 0, 1), 2, 'scenes_train must be at least 1, got 0'),
        (('--scenes', 1, -1), 2, 'scenes_val must be at least 1, got -1'),
        (('--size', 100), 2, 'size must be at least 160, got 100'),
        (('--size', 9999), 2, 'size must be at most 4096, got 9999'),
        (('--renderings', -1), 2, 'renderings must be at least 0'),
        (('--seed', -1), 2, 'seed must be at least 0'),
        (('--out', 'FILE'), 1, 'choose another folder'),
        (('--out', 'FILE/digits'), 1, 'File exists'),
        (('--out', '/proc/digits'), 1, 'cannot write /proc/digits'),
    ],
)
def test_bad_input_is_one_line(
    run_tool: Callable, tmp_path: Path, arguments: tuple, code: int, message: str
) -> None:
    (tmp_path / 'FILE').touch()
    arguments = [str(argument).replace('FILE', str(tmp_path / 'FILE')) for argument in arguments]
    got, _, error = run_tool('--out', tmp_path / 'digits', *SMALL, *arguments)
    assert got == code
    assert message in error and error.count('\n') == 1
    assert os.listdir(tmp_path) == ['FILE']
