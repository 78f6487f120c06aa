"""Names of released files become ours, and every entry ends up in exactly one part."""

from collections.abc import Callable

import pytest
import torch

from mmsmt.backbones import SMT
from mmsmt.checkpoints import split_state_dict

ARCHS = ('tiny', 'small', 'base', 'large')
HEAD = {'weight', 'bias'}


def dense(state: dict) -> dict:
    """The naming of the authors' detection and segmentation copies, which have no head."""
    return {
        name.replace('.attn.local_conv.', '.attn.dw_conv.'): value
        for name, value in state.items()
        if not name.startswith('head.')
    }


@pytest.fixture(scope='module')
def own_shapes() -> Callable[[str], dict[str, tuple[int, ...]]]:
    def build(arch: str) -> dict[str, tuple[int, ...]]:
        with torch.device('meta'):
            state = SMT(arch=arch).state_dict()
        return {name: tuple(value.shape) for name, value in state.items()}

    return build


@pytest.mark.parametrize('arch', ARCHS)
def test_released_entries_are_ours(
    arch: str, released_keys: Callable, own_shapes: Callable
) -> None:
    """All four variants, names and shapes, in both dialects: nothing over, nothing short."""
    released = released_keys(arch)
    want = own_shapes(arch)
    parts = split_state_dict(released, SMT.dialects)
    assert parts.backbone == want
    assert set(parts.head) == HEAD
    assert parts.other == {}
    assert parts.dialect == 'released SMT'
    parts = split_state_dict(dense(released), SMT.dialects)
    assert parts.backbone == want
    assert parts.head == parts.other == {}
    assert parts.dialect == 'released SMT, dw_conv'


def test_dialects_differ(released_keys: Callable) -> None:
    """Control: without the second name the attention's convolutions would stay behind."""
    released = released_keys('tiny')
    renamed = set(dense(released)) - set(released)
    # Four attention blocks of stage 3 (every second of eight), one of stage 4.
    assert len(renamed) == 2 * (4 + 1)


@pytest.mark.parametrize('prefix', ['', 'module.', 'module.module.'])
@pytest.mark.parametrize('model', ['', 'backbone.'])
def test_prefixes(prefix: str, model: str, released_keys: Callable, own_shapes: Callable) -> None:
    released = {f'{prefix}{model}{k}': v for k, v in dense(released_keys('tiny')).items()}
    other = {'neck.conv.weight': (1,), 'head_norm.weight': (2,)} if model else {}
    state = released | {prefix + name: value for name, value in other.items()}
    before = dict(state)
    parts = split_state_dict(state, SMT.dialects)
    assert parts.backbone == own_shapes('tiny')
    assert parts.other == other
    assert state == before


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_own_names_stay(prefix: str, own_shapes: Callable) -> None:
    want = own_shapes('pico')
    state = {f'{prefix}backbone.{name}': value for name, value in want.items()}
    state |= {f'{prefix}head.fc.{name}': (3,) for name in HEAD}
    parts = split_state_dict(state, SMT.dialects)
    assert parts.backbone == want
    assert set(parts.head) == HEAD
    assert parts.dialect is None


def test_strangers_stay_strangers() -> None:
    parts = split_state_dict({'conv1.weight': 1, 'fc.weight': 2}, SMT.dialects)
    assert parts.backbone == {'conv1.weight': 1, 'fc.weight': 2}
    assert parts.dialect is None


@pytest.mark.parametrize(
    ('released', 'ours'),
    [
        ('patch_embed1.conv.3.bias', 'patch_embeds.0.conv2.bias'),
        ('patch_embed4.proj.weight', 'patch_embeds.3.proj.weight'),
        ('block1.0.gamma_1', 'stages.0.0.scale1.weight'),
        ('block2.5.attn.local_conv_4.weight', 'stages.1.5.mixer.head_convs.3.weight'),
        ('block3.11.attn.local_conv.bias', 'stages.2.11.mixer.dwconv.bias'),
        ('block3.11.attn.dw_conv.bias', 'stages.2.11.mixer.dwconv.bias'),
        ('block1.0.attn.proj0.weight', 'stages.0.0.mixer.expand.weight'),
        ('block4.1.mlp.dwconv.dwconv.weight', 'stages.3.1.ffn.dwconv.weight'),
        ('norm3.weight', 'norms.2.weight'),
    ],
)
def test_single_names(released: str, ours: str) -> None:
    state = {released: 0, 'block1.0.norm1.weight': 1}
    assert ours in split_state_dict(state, SMT.dialects).backbone
