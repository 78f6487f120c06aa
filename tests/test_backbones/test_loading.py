"""A backbone's `load_state_dict`: what it translates, leaves out by name, and refuses."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from mmsmt.backbones import SMT
from mmsmt.errors import CheckpointError

State = dict[str, Tensor]


def filled(model: SMT) -> State:
    """The model's entries with other values, so that a copy shows."""
    return {name: torch.full_like(value, 3) for name, value in model.state_dict().items()}


def is_loaded(model: nn.Module, state: State) -> bool:
    own = model.state_dict()
    return all(torch.equal(own[name], value) for name, value in state.items())


@pytest.fixture
def model() -> SMT:
    return SMT(arch='pico')


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """What was logged so far."""
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logger = MMLogger.get_instance('loading')
    logger.setLevel('INFO')
    logger.addHandler(handler)
    yield lambda: '\n'.join(records)
    logger.removeHandler(handler)


@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.', 'module.backbone.'])
@pytest.mark.parametrize('strict', [True, False])
def test_own_names(model: SMT, prefix: str, strict: bool) -> None:
    state = filled(model)
    given = {prefix + name: value for name, value in state.items()}
    before = dict(given)
    result = model.load_state_dict(given, strict=strict)
    assert result.missing_keys == result.unexpected_keys == []
    assert is_loaded(model, state)
    assert list(given) == list(before)
    assert all(given[name] is before[name] for name in before)


@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.', 'module.backbone.'])
@pytest.mark.parametrize('convolution', ['local_conv', 'dw_conv'])
def test_released_names(released_state: Callable, prefix: str, convolution: str) -> None:
    """Both dialects give one network, the attention's convolutions included."""
    released = released_state('tiny')
    state = {
        prefix + name.replace('.local_conv.', f'.{convolution}.'): value
        for name, value in released.items()
        if not name.startswith('head.')
    }
    model = SMT(arch='tiny')
    before = dict(state)
    model.load_state_dict(state)
    assert list(state) == list(before)
    for i, block in ((2, 1), (2, 7), (3, 0)):
        want = released[f'block{i + 1}.{block}.attn.local_conv.weight']
        assert torch.equal(model.stages[i][block].mixer.dwconv.weight, want)


def test_what_is_left_out_is_named(model: SMT, logged: Callable[[], str]) -> None:
    state = {f'backbone.{name}': value for name, value in filled(model).items()}
    given = state | {'head.fc.weight': torch.ones(1), 'neck.conv.weight': torch.ones(1)}
    model.load_state_dict(given)
    assert 'left out: head.weight' in logged()
    assert 'left out: neck.conv.weight' in logged()
    assert set(given) == {*state, 'head.fc.weight', 'neck.conv.weight'}


def test_released_head_is_left_out_by_name(
    released_state: Callable, logged: Callable[[], str]
) -> None:
    SMT(arch='tiny').load_state_dict(released_state('tiny'))
    for text in ('names: released SMT)', 'left out: head.weight', 'left out: head.bias'):
        assert text in logged()


@pytest.mark.parametrize('lost', ['norms.3.bias', 'stages.2.1.mixer.dwconv.weight'])
def test_missing(model: SMT, lost: str) -> None:
    state = filled(model)
    del state[lost]
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=f'missing: {lost}.*holds SMT pico') as caught:
        model.load_state_dict(state)
    module = '.'.join(lost.split('.')[:-1][:3])
    assert str(caught.value).endswith(f'To accept this, set allow={[module]}.')
    assert is_loaded(model, own), 'nothing may be copied from a file that is refused'


def test_unexpected(model: SMT) -> None:
    state = filled(model) | {'stages.0.0.scale1.weight': torch.ones(32)}
    with pytest.raises(CheckpointError, match=r'unexpected: stages\.0\.0\.scale1\.weight'):
        model.load_state_dict(state)


@pytest.mark.parametrize('shape', [(7,), (1,), (2, 32), (0,), ()], ids=str)
def test_other_shape(model: SMT, shape: tuple[int, ...]) -> None:
    """Also such as broadcasting or reshaping would make fit."""
    state = filled(model) | {'norms.1.weight': torch.ones(shape)}
    wanted = rf'norms\.1\.weight \({re.escape(str([*shape]))} in the file, \[64\] in the model\)'
    with pytest.raises(CheckpointError, match=wanted):
        model.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r'size mismatch for norms\.1\.weight'):
        model.load_state_dict(state, strict=False)


def without(state: dict[str, Tensor], *parts: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(parts)}


@pytest.mark.parametrize(
    ('change', 'missing', 'unexpected'),
    [
        (lambda own: without(own, 'norms.3'), ['norms.3.weight', 'norms.3.bias'], []),
        (lambda own: own | {'lora.a': torch.ones(1)}, [], ['lora.a']),
        (lambda own: {'norms.0.lora_a': torch.ones(1)}, None, ['norms.0.lora_a']),
        (lambda own: {'head.weight': torch.ones(1, 1)}, None, []),
        (lambda own: {}, None, []),
        (lambda own: {f'_orig_mod.{name}': value for name, value in own.items()}, [], []),
    ],
    ids=['part', 'more', 'adapter', 'head', 'empty', 'compiled'],
)
def test_not_strict_is_that_of_pytorch(
    model: SMT, logged: Callable[[], str], change: Callable, missing: list, unexpected: list
) -> None:
    state = change(filled(model))
    own = {name: value.clone() for name, value in model.state_dict().items()}
    everything = [name for name in own if not name.endswith('num_batches_tracked')]
    keys = model.load_state_dict(state, strict=False)
    assert set(keys.unexpected_keys) == set(unexpected)
    lost = [name for name in keys.missing_keys if not name.endswith('num_batches_tracked')]
    assert lost == (everything if missing is None else missing)
    given = {name.removeprefix('_orig_mod.'): value for name, value in state.items()}
    assert is_loaded(model, {name: given.get(name, value) for name, value in own.items()})
    assert ('missing in the file' in logged() or 'unexpected' in logged()) == bool(
        lost or unexpected
    )


@pytest.mark.parametrize('arch', ['small', 'base', 'large'])
def test_other_variant(released_keys: Callable, arch: str) -> None:
    state = {name: torch.zeros(()).expand(shape) for name, shape in released_keys(arch).items()}
    with pytest.raises(CheckpointError, match=f'The file holds SMT {arch}: ') as caught:
        SMT(arch='tiny').load_state_dict(state)
    assert 'unexpected: stages.' in str(caught.value)


def test_variation_of_a_variant(released_keys: Callable) -> None:
    """Published parameter counts of small are those of one block in stage 4."""
    state = {
        name: torch.zeros(()).expand(shape)
        for name, shape in released_keys('small').items()
        if not name.startswith('block4.1.')
    }
    says = r'a variation of small: depths \[3, 4, 18, 1\], not \[3, 4, 18, 2\]'
    with pytest.raises(CheckpointError, match=says):
        SMT(arch='small').load_state_dict(state)
    SMT(arch='small', depths=(3, 4, 18, 1)).load_state_dict(state)


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_nothing_fits(tmp_path: Path, model: SMT, prefix: str) -> None:
    state = {f'{prefix}layer1.0.conv1.weight': torch.ones(1), f'{prefix}fc.weight': torch.ones(1)}
    torch.save(state, tmp_path / 'resnet.pth')
    for allow in ((), ('layer1', 'stages', '')):
        with pytest.raises(CheckpointError, match='0 of .* The file holds no SMT backbone') as e:
            model.load_pretrained(str(tmp_path / 'resnet.pth'), allow=allow)
        assert 'Allow' not in str(e.value)


def test_empty_file(model: SMT) -> None:
    with pytest.raises(CheckpointError, match='holds no SMT backbone'):
        model.load_state_dict({})


@pytest.mark.parametrize('allow', ['patch_embeds.0.conv1', 'patch_embeds', ''])
def test_allowed_differences(
    tmp_path: Path, model: SMT, allow: str, logged: Callable[[], str]
) -> None:
    """Weights of colour images for a network of grey ones: the stem stays, the rest loads."""
    state = filled(SMT(arch='pico', in_channels=1))
    stem = 'patch_embeds.0.conv1.weight'
    torch.save(state, tmp_path / 'grey.pth')
    own = model.state_dict()[stem].clone()
    model.load_pretrained(str(tmp_path / 'grey.pth'), allow=[allow])
    assert torch.equal(model.state_dict()[stem], own)
    assert is_loaded(model, {name: value for name, value in state.items() if name != stem})
    assert f'other shape: {stem} is [32, 1, 3, 3] in the file, [32, 3, 3, 3]' in logged()
    with pytest.raises(CheckpointError):
        model.load_pretrained(str(tmp_path / 'grey.pth'), allow=['norms'])


def test_counters_of_old_files_are_not_missed(model: SMT) -> None:
    state = {k: v for k, v in filled(model).items() if not k.endswith('num_batches_tracked')}
    model.load_state_dict(state)
    assert is_loaded(model, state)


def test_a_file_is_named(tmp_path: Path, model: SMT, logged: Callable[[], str]) -> None:
    """Which file did not fit, and what became of one that did."""
    for name in ('tiny', 'pico'):
        torch.save(SMT(arch=name).state_dict(), tmp_path / f'{name}.pth')
    with pytest.raises(CheckpointError) as caught:
        model.load_pretrained(str(tmp_path / 'tiny.pth'))
    message = str(caught.value)
    assert message.startswith(f'{tmp_path / "tiny.pth"}: ')
    assert 'The file holds SMT tiny' in message
    assert 'Allow' not in message, 'no advice to load another variant'
    model.load_pretrained(str(tmp_path / 'pico.pth'))
    assert f'{tmp_path / "pico.pth"}: loaded into SMT' in logged()


def test_a_translation_is_logged(released_state: Callable, logged: Callable[[], str]) -> None:
    state = {
        name.replace('.local_conv.', '.dw_conv.'): value
        for name, value in released_state('tiny').items()
        if not name.startswith('head.')
    }
    SMT(arch='tiny').load_state_dict(state)
    assert '384 of 384 entries fit (names: released SMT, dw_conv)' in logged()


def test_prefix_of_pretrained(tmp_path: Path, model: SMT) -> None:
    state = filled(model)
    teacher = {f'student.{k}': torch.zeros_like(v) for k, v in state.items()}
    torch.save(teacher | {f'teacher.{k}': v for k, v in state.items()}, tmp_path / 'two.pth')
    for prefix in ('teacher', 'teacher.'):
        built = SMT(
            arch='pico',
            init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'two.pth'), prefix=prefix),
        )
        built.init_weights()
        assert is_loaded(built, state)
    with pytest.raises(CheckpointError, match='holds no SMT backbone'):
        model.load_pretrained(str(tmp_path / 'two.pth'), prefix='teach')


def test_inside_another_model(model: SMT) -> None:
    """As in every host: the backbone is a part, and others' entries are theirs."""

    class Host(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = model, nn.Linear(2, 2)

    state = {f'backbone.{name}': value for name, value in filled(model).items()}
    head = {'head.weight': torch.ones(2, 2), 'head.bias': torch.ones(2)}
    host = Host()
    host.load_state_dict(state | head)
    assert is_loaded(host, state | head)
    del state['backbone.norms.0.bias']
    with pytest.raises(RuntimeError, match=r'Missing key\(s\).*backbone\.norms\.0\.bias'):
        host.load_state_dict(state | head)
    assert host.load_state_dict(state | head, strict=False).missing_keys == [
        'backbone.norms.0.bias'
    ]


def test_pretrained_from_a_base_of_another_package(tmp_path: Path, model: SMT) -> None:
    """mmengine adds `_scope_` there."""
    torch.save(filled(model), tmp_path / 'smt.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'smt.pth'), _scope_='mmsmt')
    built = SMT(arch='pico', init_cfg=init_cfg)
    built.init_weights()
    assert is_loaded(built, filled(model))


def test_round_trip(model: SMT) -> None:
    other = SMT(arch='pico')
    assert not is_loaded(other, model.state_dict())
    other.load_state_dict(model.state_dict())
    assert is_loaded(other, model.state_dict())
