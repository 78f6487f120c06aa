"""Attacks by the folder of a stranger; each is refused before anything of it has run."""

import json
import pickle
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS
from safetensors.torch import load_file, save_file

from mmsmt.apis.hub import from_pretrained, read_folder
from mmsmt.errors import CheckpointError, ConfigError, UsageError
from mmsmt.hosts.trust import SCOPES, Names, _importable

PROGRAMS = {
    'import': 'import os',
    'call': "x = print('run')",
    'attribute': 'x = (1).__class__',
    'comprehension': 'x = [i for i in range(3)]',
    'f-string': "x = f'{1 + 1}'",
    'product': "x = 'a' * 10 ** 9",
    'function': 'def f(): pass',
    'condition': 'if 1:\n    x = 1',
    'two targets': 'x = y = 1',
    'item': "model['type'] = 'x'",
    'no Python': 'x = (',
    'deep': 'x = ' + '[' * 5000 + ']' * 5000,
    'deeper': 'x = ' + '-' * 100_000 + '1',
    'null': 'x = "\0"',
    'long number': 'x = ' + '9' * 10_000,
    'unhashable': 'x = {[]: 1}',
}


@pytest.mark.parametrize('code', PROGRAMS.values(), ids=PROGRAMS)
def test_a_config_is_data(edit: Callable, code: str) -> None:
    with pytest.raises(
        ConfigError, match=r'config\.py: refused, because it is a program and not data'
    ):
        read_folder(edit(code))


# What is appended to a good config, and why it is refused.
ATTACKS = {
    'a function': ("x = {'type': 'os.system', 'command': 'true'}", 'x.type'),
    'a function of the host': ("x = {'type': 'mmengine.fileio.load', 'file': 'x'}", 'x.type'),
    'a built-in': ("x = [{'type': 'builtins.exec'}]", r'x\[0\]\.type'),
    'a module': ("x = {'type': 'this'}", 'imported'),
    'code as a type': ("x = {'nms': {'type': '__import__(\"os\").abort()'}}", 'not the name'),
    'a constructor': ("optim_wrapper = {'constructor': 'os.system'}", 'constructor'),
    'a function of a loader': ("x = {'collate_fn': 'os.system'}", 'collate_fn'),
    'a function in a field': ("x = {'conv_type': 'os.system'}", 'conv_type'),
    'a function in a list': ("x = {'policies': [('os.system', 1)]}", r'policies\[0\]\[0\]'),
    'a scope': ("x = {'_scope_': 'antigravity'}", r'imports antigravity\.registry'),
    'the scope': ("default_scope = 'antigravity'", r'imports antigravity\.registry'),
    'imports': ("custom_imports = {'imports': ['antigravity']}", 'imports modules'),
    'another config': ("_base_ = ['x.py']", 'reads another config'),
    'a variable': ("x = 'a {{ fileDirname }}'", 'substitute a variable'),
    'a dtype': ("x = {'dtype': 'uint8 and 1/0'}", 'evaluated as Python'),
    'a URL': ("x = {'ann_file': 'http://127.0.0.1/x.json'}", 'a URL'),
    'a bucket': ("x = {'ann_file': 's3://bucket/x.json'}", 'a URL'),
    'a path': ("x = {'out_dir': '/etc'}", 'outside'),
    'a home': ("x = {'out_dir': '~/.ssh'}", 'outside'),
    'a way up': ("x = {'out_dir': 'a/../../b'}", 'outside'),
    'a drive': (r"x = {'out_dir': 'C:\\x'}", 'outside'),
    'a pickle': ("x = {'ann_file': 'x.pkl'}", 'could run code'),
    'weights': ("x = {'init_cfg': {'type': 'Pretrained', 'checkpoint': 'x'}}", 'load files'),
    'old weights': ("x = {'pretrained': 'x'}", 'loads a file'),
    'a start': ("load_from = 'x'", 'loads a file'),
    'a program': ("x = {'teacher_config': 'x.py'}", 'could run code'),
    'code of the web': ("x = {'trust_remote_code': True}", 'from the web'),
    'transformers': ("x = {'type': 'mmpretrain.HuggingFaceClassifier'}", 'load files'),
    'timm': ("x = {'type': 'mmpretrain.TIMMBackbone'}", 'load files'),
    'a tracker': ("vis_backends = [{'type': 'WandbVisBackend'}]", 'load files'),
    'bytes': ("x = b'x'", 'not a plain value'),
    'a reserved key': ("filename = 'x'", 'reserved'),
}


@pytest.mark.parametrize(('line', 'why'), ATTACKS.values(), ids=ATTACKS)
def test_an_attack_by_config_is_refused(edit: Callable, line: str, why: str) -> None:
    before = set(sys.modules)
    with pytest.raises(ConfigError, match=f'config.py: .*{why}') as caught:
        read_folder(edit(line))
    assert '\n' not in str(caught.value)
    assert not {'antigravity', 'this'} & (set(sys.modules) - before)


def test_the_attacks_would_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why they are refused: mmengine and hosts run them."""
    witness = tmp_path / 'ran'
    MODELS.build(dict(type='pathlib.Path.touch', self=witness))
    assert witness.exists()
    with pytest.raises(ZeroDivisionError):
        TRANSFORMS.build(
            dict(type='mmpretrain.torchvision/ConvertImageDtype', dtype='uint8 and 1/0')
        )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'evil').mkdir()
    (tmp_path / 'evil/registry.py').write_text(f'open({str(tmp_path / "scope")!r}, "w")')
    MODELS.build(dict(type='BN', _scope_='evil', num_features=1))
    assert (tmp_path / 'scope').exists()


def test_what_a_model_needs_is_not_refused(edit: Callable) -> None:
    folder = edit(
        "a = {'type': 'mmdet.CocoDataset', 'ann_file': 'annotations/x.json'}",
        "b = {'type': 'nms', 'nms': ('mmsmt.SMT', 'conv1.bias', 'README.txt')}",
        "c = {'type': 'mmdet.DetDataPreprocessor', 'bgr_to_rgb': True, 'x': {1: (1.5, -2, None)}}",
        "d = {'_scope_': 'mmdet', 'type': 'RPNHead'}",
        "e = {'classes': ('person, walking', 'n/a', 'door (open)', 'Straße')}",
    )
    assert read_folder(folder).cfg.c.x == {1: (1.5, -2, None)}


def test_no_registered_name_is_a_module() -> None:
    """A name of another registry would be imported, which a module alone can answer."""
    names = Names()
    registered = {name for scope in SCOPES for name in names.table(scope)}
    assert len(registered) > 1000
    assert not [name for name in registered if name.isidentifier() and _importable(name)]


class Touch:
    """A pickle that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_pickle_is_not_read(folder: Path, tmp_path: Path) -> None:
    witness = tmp_path / 'ran'
    (folder / 'model.safetensors').write_bytes(pickle.dumps(Touch(witness)))
    with pytest.raises(CheckpointError, match='not readable as safetensors'):
        from_pretrained(folder)
    torch.save({'state_dict': {}, 'x': Touch(witness)}, folder / 'model.safetensors')
    with pytest.raises(CheckpointError, match='not readable as safetensors'):
        from_pretrained(folder)
    (folder / 'model.safetensors').rename(folder / 'model.pth')
    with pytest.raises(UsageError, match=r'model\.safetensors missing'):
        from_pretrained(folder)
    assert not witness.exists()


def test_weights_are_checked(folder: Path) -> None:
    path = folder / 'model.safetensors'
    good, content = load_file(path), path.read_bytes()
    save_file(good | {'head.fc.bias': torch.full((10,), torch.nan)}, path)
    with pytest.raises(CheckpointError, match='NaN'):
        from_pretrained(folder)
    save_file(good | {'head.fc.bias': torch.zeros(11)}, path)
    with pytest.raises(CheckpointError, match=r'head\.fc\.bias'):
        read_folder(folder)
    save_file({name: value for name, value in good.items() if 'head' not in name}, path)
    with pytest.raises(CheckpointError, match='head'):
        read_folder(folder)
    for damaged in (content[:-1], content[:100], b'', b'\xff' * 100, b'\0' * 8):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match='not readable as safetensors'):
            read_folder(folder)


def test_a_giant_model_takes_no_memory(edit: Callable, folder: Path) -> None:
    model = Config.fromfile(folder / 'config.py').model.to_dict()
    model['head']['num_classes'] = 10**11
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match='fit'):
        from_pretrained(edit(f'model = {model!r}'))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


METADATA = {
    'no JSON': ('{', 'not valid JSON'),
    'deep': ('[' * 100_000, 'not valid JSON'),
    'a list': ('[]', '`classes` must be'),
    'no names': ('{"classes": [1], "palette": []}', '`classes` must be'),
    'no colour': ('{"classes": ["a"], "palette": [[1, 2, 256]]}', '`palette` must be'),
    'a flag': ('{"classes": ["a"], "palette": [[1, 2, true]]}', '`palette` must be'),
    'no text': (b'\xff\xfe', 'cannot be read as text'),
}


@pytest.mark.parametrize(('content', 'why'), METADATA.values(), ids=METADATA)
def test_metadata_are_names_and_colours(folder: Path, content: str | bytes, why: str) -> None:
    content = content if isinstance(content, bytes) else content.encode()
    (folder / 'metadata.json').write_bytes(content)
    with pytest.raises(ConfigError, match=f'metadata.json: {why}'):
        read_folder(folder)


def test_sizes_are_bounded(edit: Callable) -> None:
    with pytest.raises(UsageError, match=r'config\.py has [\d,]+ bytes, the maximum is 1,048,576'):
        read_folder(edit('# ' + 'x' * 2**20))


def test_a_model_that_cannot_be_built_is_one_line(edit: Callable, folder: Path) -> None:
    model = Config.fromfile(folder / 'config.py').model.to_dict()
    unknown = model | {'type': 'Nowhere'}
    with pytest.raises(UsageError, match=re.escape('config.py: the model cannot be built')):
        read_folder(edit(f'model = {unknown!r}'))
    with pytest.raises(ConfigError, match='`model` is missing'):
        read_folder(edit('model = {}'))


def test_control_characters_do_not_reach_classes(folder: Path) -> None:
    content = json.loads((folder / 'metadata.json').read_text())
    content['classes'][0] = '\x1b[2Jevil'
    (folder / 'metadata.json').write_text(json.dumps(content))
    assert read_folder(folder).dataset_meta['classes'][0] == '?[2Jevil'
