"""Files are read without running them; what cannot be read is refused in one line."""

import argparse
import collections
import os
import pickle
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from mmsmt.checkpoints import load_checkpoint, read_container
from mmsmt.errors import CheckpointError

WEIGHTS = {'a.weight': torch.arange(6.0).reshape(2, 3), 'a.bias': torch.ones(2)}


class Calls:
    """Unpickled, calls a function."""

    def __init__(self, function: Callable, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.fixture
def yacs_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes nodes like those of yacs, which is not installed when the file is read."""

    class CfgNode(dict):
        def __init__(self, entries: dict) -> None:
            super().__init__(entries)
            self.__dict__['__immutable__'] = True

    CfgNode.__module__, CfgNode.__qualname__ = 'yacs.config', 'CfgNode'
    module = types.ModuleType('yacs.config')
    module.CfgNode = CfgNode
    monkeypatch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
    monkeypatch.setitem(sys.modules, 'yacs.config', module)
    return CfgNode


def assert_same(state: dict, want: dict = WEIGHTS) -> None:
    assert list(state) == list(want)
    for name, value in want.items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=0)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f'{path}: ')
    assert '\n' not in message
    return message.removeprefix(f'{path}: ')


@pytest.mark.parametrize('container', [None, 'state_dict', 'model', 'module'])
@pytest.mark.parametrize('zipped', [True, False])
def test_containers(tmp_path: Path, container: str | None, zipped: bool) -> None:
    content = {container: WEIGHTS, 'epoch': 3} if container else WEIGHTS
    torch.save(content, tmp_path / 'x.pth', _use_new_zipfile_serialization=zipped)
    assert_same(load_checkpoint(tmp_path / 'x.pth'))


def test_state_dict_is_preferred(tmp_path: Path) -> None:
    torch.save({'model': {'b': torch.ones(1)}, 'state_dict': WEIGHTS}, tmp_path / 'x.pth')
    assert_same(load_checkpoint(str(tmp_path / 'x.pth')))


def test_safetensors(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / 'x.safetensors', metadata={'some': 'fact'})
    assert_same(dict(sorted(load_checkpoint(tmp_path / 'x.safetensors').items(), reverse=True)))


@pytest.mark.parametrize('zipped', [True, False])
def test_configurations_beside_the_weights(tmp_path: Path, yacs_node: Any, zipped: bool) -> None:
    """What the authors' training code pickled: nested yacs nodes and arguments."""
    config = yacs_node({'MODEL': yacs_node({'DEPTHS': [2, 2], 'NAME': 'smt'}), 'TAG': 'x'})
    args = argparse.Namespace(cfg='a.yaml', opts=None, nested=argparse.Namespace(lr=0.1))
    torch.save(
        {'model': WEIGHTS, 'config': config, 'args': args},
        tmp_path / 'x.pth',
        _use_new_zipfile_serialization=zipped,
    )
    del sys.modules['yacs.config'], sys.modules['yacs']
    content = read_container(tmp_path / 'x.pth')
    assert_same(load_checkpoint(tmp_path / 'x.pth'))
    assert 'yacs' not in sys.modules
    assert type(content['config']) is type(content['args']) is collections.OrderedDict


def test_training_state_of_mmengine(tmp_path: Path) -> None:
    history = HistoryBuffer()
    history.update(0.5)
    hub = {'log_scalars': {'train/loss': history}, 'runtime_info': {'iter': np.int64(7)}}
    torch.save({'state_dict': WEIGHTS, 'message_hub': hub}, tmp_path / 'x.pth')
    content = read_container(tmp_path / 'x.pth')['message_hub']
    assert content['log_scalars']['train/loss'].mean() == 0.5
    assert content['runtime_info']['iter'] == 7


@pytest.mark.parametrize('container', ['torch', 'torch legacy', 'torch protocol 4', 'pickle'])
def test_hostile_pickle(tmp_path: Path, container: str) -> None:
    marker, path = tmp_path / 'marker', tmp_path / 'x.pth'
    content = {'state_dict': WEIGHTS, 'bad': Calls(os.system, f'touch {marker}')}
    if container == 'pickle':
        path.write_bytes(pickle.dumps(content['bad'], protocol=2))
    else:
        torch.save(
            content,
            path,
            _use_new_zipfile_serialization='legacy' not in container,
            pickle_protocol=4 if container.endswith('4') else 2,
        )
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        message = refusal(path)
    assert not marker.exists()
    if not container.endswith('4'):  # PyTorch gives up on protocol 4 before it sees a name
        assert '`posix.system`; nothing was run' in message
    pickle.loads(pickle.dumps(content['bad']))
    assert marker.exists(), 'control: the file is hostile indeed'


@pytest.mark.parametrize(
    ('function', 'args', 'named'),
    [
        (eval, ('1',), 'eval`'),
        (torch.hub.load, ('a/b', 'c'), '`torch.hub.load`'),
        (np.load, ('x.npy',), '`numpy.load`'),
        (Path, ('x',), '`pathlib'),
        (getattr, (HistoryBuffer, 'register_statistics'), '`getattr`'),
        (getattr, (torch.Tensor, 'share_memory_'), '`getattr`'),
    ],
)
def test_refused_names(tmp_path: Path, function: Callable, args: tuple, named: str) -> None:
    torch.save({'state_dict': WEIGHTS, 'x': Calls(function, *args)}, tmp_path / 'x.pth')
    assert named in refusal(tmp_path / 'x.pth')


def test_whole_model_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / 'x.pth')
    assert '`torch.nn.modules.linear.Linear`' in refusal(tmp_path / 'x.pth')


@pytest.mark.parametrize('kept', [0.01, 0.5, 0.99])
@pytest.mark.parametrize('name', ['x.pth', 'legacy.pth', 'x.safetensors'])
def test_truncated(tmp_path: Path, name: str, kept: float) -> None:
    path, state = tmp_path / name, {'a': torch.rand(1000)}
    if name == 'x.safetensors':
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=name == 'x.pth')
    whole = path.read_bytes()
    assert_same(load_checkpoint(path), state)
    path.write_bytes(whole[: int(kept * len(whole))])
    assert 'truncated, damaged or of another format' in refusal(path)


@pytest.mark.parametrize('text', ['hello world', '<!DOCTYPE html>', '\x80\x02', 'cposix\nsystem\n'])
def test_no_checkpoint_at_all(tmp_path: Path, text: str) -> None:
    for name in ('x.pth', 'x.safetensors'):
        (tmp_path / name).write_text(text, encoding='latin-1')
        assert refusal(tmp_path / name)


def test_advice_to_switch_the_protection_off_is_not_passed_on(tmp_path: Path) -> None:
    (tmp_path / 'x.pth').write_text('<!DOCTYPE html>')
    message = refusal(tmp_path / 'x.pth')
    assert 'weights_only' not in message
    assert '(UnpicklingError: Unsupported operand 60)' in message


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / 'empty.pth').touch()
    assert refusal(tmp_path / 'x.pth') == 'no such checkpoint file'
    assert refusal(tmp_path / 'empty.pth') == 'the checkpoint file is empty'
    assert refusal(tmp_path).startswith('not a file')


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        ([torch.ones(1)], 'holds a list'),
        (torch.ones(1), 'holds a Tensor'),
        ({}, 'it holds: nothing'),
        ({'state_dict': {}, 'epoch': 1}, 'it holds: state_dict, epoch'),
        ({'state_dict': {'a': torch.ones(1), 'b': 'text'}}, 'it holds: state_dict'),
    ],
)
def test_no_weights_inside(tmp_path: Path, content: Any, says: str) -> None:
    torch.save(content, tmp_path / 'x.pth')
    assert says in refusal(tmp_path / 'x.pth')


def test_a_message_is_one_printable_line_of_bounded_length(tmp_path: Path) -> None:
    """A file chooses the names that are quoted, and a terminal obeys control characters."""
    torch.save({'\x1b[2J\nerror: fine': 1, 'n' * 10**6: 2}, tmp_path / 'x.pth')
    message = refusal(tmp_path / 'x.pth')
    assert 'it holds: ?[2J error: fine, nnn' in message
    assert message.isprintable()
    assert len(message) < 2000


def test_map_location(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / 'x.pth')
    assert load_checkpoint(tmp_path / 'x.pth', 'meta')['a.bias'].is_meta


def test_numpy_1_has_no_core_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({'state_dict': {'weight': torch.ones(2)}}, tmp_path / 'a.pth')
    monkeypatch.delattr(np, '_core', raising=False)
    assert load_checkpoint(tmp_path / 'a.pth')['weight'].tolist() == [1, 1]


def test_a_fault_of_ours_does_not_blame_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({'state_dict': {'weight': torch.ones(2)}}, tmp_path / 'a.pth')

    def broken() -> list:
        raise AttributeError('a fault of ours')

    monkeypatch.setattr('mmsmt.checkpoints.reader._safe_globals', broken)
    with pytest.raises(AttributeError, match='a fault of ours'):
        load_checkpoint(tmp_path / 'a.pth')
