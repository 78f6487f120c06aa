"""Converted files load in the hosts; a file that cannot be converted leaves one line, no file."""

import os
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hostile_corpus import MARKER, Calls, make_corpus
from mmengine.registry import MODELS, DefaultScope
from safetensors.torch import save_file

from mmsmt.backbones import SMT, SGFormer
from mmsmt.checkpoints import load_checkpoint

TOOL = Path(__file__).parents[2] / 'tools/model_converters/convert_checkpoint.py'
Run = Callable[..., tuple[object, dict[str, str], str]]


@pytest.fixture
def convert(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """Run the tool: its exit status, its output by first word, and stderr."""

    def run(*arguments: object) -> tuple[object, dict[str, str], str]:
        monkeypatch.setattr(sys, 'argv', [TOOL.name, *map(str, arguments)])
        status: object = 0
        try:
            runpy.run_path(str(TOOL), run_name='__main__')
        except SystemExit as stop:
            status = stop.code
        out, err = capsys.readouterr()
        if isinstance(status, str):  # what Python itself prints before it ends with 1
            status, err = 1, f'{err}{status}\n'
        said = dict(re.split(r'  +', line, maxsplit=1) for line in out.splitlines())
        return status, said, err

    return run


@pytest.fixture
def released(tmp_path: Path, released_state: Callable) -> Path:
    torch.save({'model': released_state('tiny'), 'epoch': 299}, tmp_path / 'smt_tiny.pth')
    return tmp_path / 'smt_tiny.pth'


def classifier(arch: str, classes: int) -> torch.nn.Module:
    model = dict(
        type='ImageClassifier',
        backbone=dict(type='mmsmt.SMT', arch=arch, out_indices=(3,)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=classes, in_channels=512),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(model)


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
def test_classifier(
    convert: Run, released: Path, tmp_path: Path, ending: str, released_state: Callable
) -> None:
    """Strictly into an mmpretrain classifier, head and all."""
    status, said, err = convert(released, tmp_path / f'new/x{ending}', '--target', 'classifier')
    assert (status, err) == (0, '')
    assert said['variant'].startswith('tiny (embed_dims [64, 128, 256, 512], depths [2, 2, 8, 1]')
    assert said['network'] == 'SMT'
    assert said['names'] == 'released SMT'
    assert said['left out'] == 'nothing'
    assert said['head'] == '1000 classes'
    assert re.fullmatch(rf'x-[0-9a-f]{{8}}\{ending}', Path(said['written']).name)
    model = classifier('tiny', 1000)
    result = model.load_state_dict(load_checkpoint(said['written']))
    assert result.missing_keys == result.unexpected_keys == []
    want = released_state('tiny')
    assert torch.equal(model.head.fc.weight, want['head.weight'])
    assert torch.equal(
        model.backbone.stages[3][0].mixer.dwconv.weight, want['block4.0.attn.local_conv.weight']
    )


@pytest.mark.parametrize('target', ['classifier', 'detector'])
def test_unified_classifier(
    convert: Run, tmp_path: Path, target: str, released_state: Callable
) -> None:
    """Its convolution before the pooling is part of it; what is derived is named and left out."""
    torch.save({'model': released_state('window_micro', 'unified')}, tmp_path / 'x.pth')
    status, said, err = convert(tmp_path / 'x.pth', tmp_path / 'y.pth', '--target', target)
    assert (status, err, said['network']) == (0, '', 'unified model')
    assert said['variant'].startswith('micro (mixer window')
    left_out = said['left out'].split(', ')
    assert 'stages.0.1.attn_mask' in left_out
    neck = [name for name in load_checkpoint(said['written']) if name.startswith('neck.0.')]
    assert len(neck) == (6 if target == 'classifier' else 0)
    assert ('neck.0.conv.weight' in left_out) is (target == 'detector')


@pytest.mark.parametrize('target', ['detector', 'segmenter'])
def test_dense_targets_keep_no_head(
    convert: Run, released: Path, tmp_path: Path, target: str
) -> None:
    status, said, _ = convert(released, tmp_path / 'x.pth', '--target', target, '--report')
    assert status == 0
    assert said['left out'] == 'head.weight, head.bias'
    assert said['entry'].startswith('backbone.')
    state = load_checkpoint(said['written'])
    assert all(name.startswith('backbone.') for name in state)
    SMT(arch='tiny').load_state_dict(state)


def test_detector_of_the_authors(convert: Run, tmp_path: Path, released_state: Callable) -> None:
    """The other dialect, inside a detector's file, which is kept whole or cut on demand."""
    state = {
        'backbone.' + name.replace('.attn.local_conv.', '.attn.dw_conv.'): value
        for name, value in released_state('tiny').items()
        if not name.startswith('head.')
    } | {'neck.a.weight': torch.ones(1), 'rpn_head.b.weight': torch.ones(1)}
    torch.save({'state_dict': state}, tmp_path / 'det.pth')
    arguments = (tmp_path / 'det.pth', tmp_path / 'x.safetensors', '--target')
    status, _, err = convert(*arguments, 'classifier')
    assert status == 1 and 'holds a whole detector: use --target detector to keep it' in err
    _, said, _ = convert(*arguments, 'detector')
    assert said['left out'] == 'nothing'
    assert {'neck.a.weight', 'rpn_head.b.weight'} < load_checkpoint(said['written']).keys()
    _, said, _ = convert(*arguments, 'classifier', '--backbone-only')
    assert said['names'] == 'released SMT, dw_conv'
    assert said['left out'] == 'neck.a.weight, rpn_head.b.weight'
    assert said['head'] == 'none in the file'
    SMT(arch='tiny').load_state_dict(load_checkpoint(said['written']))


def test_same_weights_same_name(convert: Run, released: Path, tmp_path: Path) -> None:
    first = convert(released, tmp_path / 'x.pth', '--target', 'detector')[1]['written']
    assert convert(released, tmp_path / 'x.pth', '--target', 'detector')[1]['written'] == first
    assert {path.name for path in tmp_path.iterdir()} == {released.name, Path(first).name}


def test_own_files_and_variants(convert: Run, tmp_path: Path) -> None:
    """Of mmsmt, of other shapes than the table's, and of one channel."""
    for name, options, variant in (
        ('pico', dict(arch='pico'), 'pico'),
        ('grey', dict(arch='pico', in_channels=1), 'pico'),
        (
            'deep',
            dict(arch='pico', depths=(1, 2, 3, 1)),
            'a variation of pico: depths [1, 2, 3, 1], not [1, 1, 2, 1]',
        ),
        ('scale', dict(arch='pico', layer_scale_init_value=1e-4), 'a variation of pico: layer_s'),
        ('odd', dict(arch='pico', depths=(1, 1, 4, 1), stacking='halves'), 'a variation of pico'),
        ('ratio', dict(arch='pico', mlp_ratios=(2.5, 4, 4, 2)), 'a variation of pico: mlp_ratios'),
        ('heads', dict(arch='pico', depths=(2, 1, 2, 1), sam_heads=(2, 4, 4, 4)), 'a variation'),
    ):
        model = SMT(**options)
        torch.save(model.state_dict(), tmp_path / f'{name}.pth')
        status, said, err = convert(
            tmp_path / f'{name}.pth', tmp_path / 'x.pth', '--target', 'segmenter'
        )
        assert (status, err) == (0, ''), name
        assert said['variant'].startswith(variant), name
        assert said['names'] == 'mmsmt'
        model.load_state_dict(load_checkpoint(said['written']))


def test_small_with_one_block_in_stage_4(
    convert: Run, tmp_path: Path, released_keys: Callable
) -> None:
    """The published parameter count of small is that of a variation."""
    state = {name: torch.zeros(()).expand(s) for name, s in released_keys('small').items()}
    less = {name: value for name, value in state.items() if not name.startswith('block4.1.')}
    for content, variant in (
        (state, 'small ('),
        (less, 'a variation of small: depths [3, 4, 18, 1], not [3, 4, 18, 2] ('),
    ):
        torch.save(content, tmp_path / 'small.pth')
        said = convert(tmp_path / 'small.pth', tmp_path / 'x.pth', '--target', 'detector')[1]
        assert said['variant'].startswith(variant)


def test_released_sg_former(convert: Run, tmp_path: Path, released_state: Callable) -> None:
    """Strictly into the network of that name; the table of positions keeps its grid."""
    released = released_state('small', 'sg_former')
    torch.save({'state_dict': released}, tmp_path / 'sg.pth')
    status, said, err = convert(
        tmp_path / 'sg.pth', tmp_path / 'x.safetensors', '--target', 'classifier'
    )
    assert (status, err) == (0, '')
    assert said['network'] == 'SG-Former'
    assert said['variant'].startswith('small (embed_dims [64, 128, 256, 512], depths [2, 4, 16, 1]')
    assert said['names'] == 'released SG-Former'
    assert (said['left out'], said['head']) == ('nothing', '1000 classes')
    state = load_checkpoint(said['written'])
    assert torch.equal(state['head.fc.weight'], released['head.weight'])
    with torch.device('meta'):
        model = SGFormer('small')
    own = model.state_dict()
    assert {name: value.shape for name, value in own.items()} == {
        name.removeprefix('backbone.'): value.shape
        for name, value in state.items()
        if name.startswith('backbone.')
    }
    assert torch.equal(
        state['backbone.stages.1.1.mixer.merges.2.weight'], released['block2.1.attn.f3.weight']
    )


def test_head_map(convert: Run, released: Path, tmp_path: Path, released_state: Callable) -> None:
    (tmp_path / 'map.txt').write_text('999\n0\n17\n')
    status, said, _ = convert(
        released, tmp_path / 'x.pth', '--target', 'classifier', '--head-map', tmp_path / 'map.txt'
    )
    assert (status, said['head']) == (0, '3 classes')
    model = classifier('tiny', 3)
    model.load_state_dict(load_checkpoint(said['written']))
    assert torch.equal(model.head.fc.bias, released_state('tiny')['head.bias'][[999, 0, 17]])


@pytest.fixture
def bad_files(tmp_path: Path, released: Path, released_state: Callable) -> Path:
    """A folder of files that cannot be converted."""
    folder = tmp_path / 'bad'
    folder.mkdir()
    whole, state = released.read_bytes(), released_state('tiny')
    (folder / 'truncated.pth').write_bytes(whole[: len(whole) // 2])
    (folder / 'text.safetensors').write_text('hello')
    (folder / 'folder.pth').mkdir()
    (folder / 'map.txt').write_text('0\ncat\n')
    command = Calls(os.system, f'touch {tmp_path / "marker"}')
    torch.save({'model': state, 'x': command}, folder / 'malicious.pth')
    torch.save({'model': {'conv1.weight': torch.ones(1)}}, folder / 'resnet.pth')
    torch.save({k: v for k, v in state.items() if k != 'norm4.bias'}, folder / 'missing.pth')
    torch.save(state | {'block1.9.x.weight': torch.ones(1)}, folder / 'depth.pth')
    torch.save(state | {'norm1.weight': torch.ones(3)}, folder / 'shape.pth')
    torch.save(state | {'block1.0.mlp.fc1.weight': torch.ones(3)}, folder / 'fc1.pth')
    save_file({k: v for k, v in state.items() if 'block4' not in k}, folder / 'stage.safetensors')
    return folder


def test_refused(convert: Run, bad_files: Path, tmp_path: Path) -> None:
    cases = {
        'nowhere.pth': 'no such checkpoint file',
        'folder.pth': 'not a file',
        'truncated.pth': 'truncated, damaged',
        'text.safetensors': 'truncated, damaged',
        'malicious.pth': '`posix.system`; nothing was run',
        'resnet.pth': 'no complete backbone in the file; known: SMT, SG-Former',
        'missing.pth': 'no complete SMT, tiny: 383 of 384 entries fit; missing: norms.3.bias',
        'depth.pth': 'a variation of tiny: depths [3, 2, 8, 1]',
        'shape.pth': 'norms.0.weight ([3] in the file, [64] in the model)',
        'fc1.pth': 'no complete backbone in the file; known: SMT, SG-Former',
        'stage.safetensors': 'no complete backbone in the file; known: SMT, SG-Former',
    }
    for name, says in cases.items():
        out = tmp_path / 'out' / 'x.pth'
        status, said, err = convert(bad_files / name, out, '--target', 'classifier')
        assert (status, said) == (1, {}), name
        assert err.startswith(f'error: {bad_files / name}: ')
        assert says in err, err
        assert err.count('\n') == 1
        assert not out.parent.exists()
    assert not (tmp_path / 'marker').exists()


def test_hostile_files(convert: Run, tmp_path: Path) -> None:
    """A file of every kind of the corpus that must not load."""
    (tmp_path / 'corpus').mkdir()
    samples = make_corpus(tmp_path / 'corpus', dict(SMT('pico').state_dict()), flips=0)
    chosen = {sample.kind: sample.path for sample in samples}
    del chosen['hidden methods']
    assert len(chosen) > 10
    for kind, path in chosen.items():
        status, said, err = convert(path, tmp_path / 'out/x.pth', '--target', 'detector')
        assert (status, said) == (1, {}), kind
        assert err.startswith(f'error: {path}: ') and err[:-1].isprintable(), err
        assert not [*tmp_path.glob('out/*')], kind
    assert not (tmp_path / 'corpus' / MARKER).exists()


def test_refused_arguments(convert: Run, bad_files: Path, released: Path) -> None:
    (released.parent / 'file').touch()
    before = sorted(released.parent.rglob('*'))
    for arguments, says in (
        (('x.bin', '--target', 'classifier'), 'must end in .pth or .safetensors'),
        (('.', '--target', 'classifier'), 'must end in .pth or .safetensors'),
        (('file/x.pth', '--target', 'classifier'), 'cannot be written'),
        (('x.pth', '--target', 'detector', '--head-map', 'bad/map.txt'), 'needs --target class'),
        (('x.pth', '--target', 'classifier', '--head-map', 'bad/map.txt'), "line 2: 'cat'"),
        (('x.pth', '--target', 'classifier', '--head-map', 'none.txt'), 'No such file'),
    ):
        paths = [released.parent / a if '.' in a or '/' in a else a for a in arguments]
        status, said, err = convert(released, *paths)
        assert (status, said) == (1, {}), says
        assert err.startswith('error: ') and err.count('\n') == 1
        assert says in err
    assert sorted(released.parent.rglob('*')) == before
    for arguments in (('x.pth',), ('x.pth', '--target', 'tracker')):
        assert convert(released, *arguments)[0] == 2
