"""All three released variants: names, shapes, published counts; other grids of positions."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmsmt.backbones import SMT, SGFormer
from mmsmt.engine.hooks.strict_load import StrictLoadHook
from mmsmt.errors import CheckpointError
from mmsmt.layers import resample_table
from mmsmt.mixers import HybridScaleAttention, MultiHeadSelfAttention, SelfGuidedAttention
from mmsmt.mixers import hybrid_scale as hybrid_scale_module

# Millions of parameters with a linear layer to 1,000 classes, of the released code.
PARAMETERS = {'small': 22.546, 'medium': 38.689, 'base': 77.950}
# Multiply-additions (G) at 224 x 224: published, and what runs here.
MACS = {'small': (4.82, 4.82), 'medium': (7.47, 7.48), 'base': (15.61, 15.64)}
TABLE = 'patch_embeds.0.position.table'


@cache
def build_empty(arch: str) -> SGFormer:
    """A model without memory for its weights; it is shared, leave it alone."""
    with torch.device('meta'):
        return SGFormer(arch=arch)


@pytest.fixture(params=PARAMETERS)
def arch(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.', 'module.backbone.'])
def test_names_and_shapes(released_keys: Callable, arch: str, prefix: str) -> None:
    released = released_keys(arch, 'sg_former')
    if 'backbone.' in prefix:  # a detector has no classifier in its backbone
        released = {n: s for n, s in released.items() if not n.startswith('head.')}
    model = build_empty(arch)
    state = {prefix + n: torch.empty(shape, device='meta') for n, shape in released.items()}
    parts = model.translate(state)
    assert parts.dialect == 'released SG-Former'
    assert set(parts.head) == (set() if 'backbone.' in prefix else {'weight', 'bias'})
    assert parts.other == {}
    assert len(parts.backbone) + len(parts.head) == len(released), 'two names became one'
    assert {n: t.shape for n, t in parts.backbone.items()} == {
        n: t.shape for n, t in model.state_dict().items()
    }


def test_released_weights_load(released_state: Callable) -> None:
    released = released_state('small', 'sg_former')
    model = SGFormer(arch='small')
    model.load_state_dict(released)
    assert torch.equal(model.state_dict()[TABLE], released['pos_embed'])
    # Some entries by hand, so that two equal mistakes do not pass for agreement.
    for ours, theirs in {
        'patch_embeds.0.stem.conv2.conv.weight': 'patch_embed1.conv.2.c.weight',
        'patch_embeds.3.conv3.norm.bias': 'patch_embed4.conv3.bn.bias',
        'stages.0.0.mixer.reduce.weight': 'block1.0.attn.sr.weight',
        'stages.1.1.mixer.merges.2.weight': 'block2.1.attn.f3.weight',
        'stages.2.14.mixer.norm.weight': 'block3.14.attn.norm.weight',
        'stages.2.15.mixer.kv2.bias': 'block3.15.attn.kv2.bias',
        'stages.3.0.mixer.lepe.dwconv.weight': 'block4.0.attn.lepe_conv.weight',
        'stages.3.0.ffn.dwconv.weight': 'block4.0.mlp.dwconv.dwconv.weight',
    }.items():
        assert torch.equal(model.state_dict()[ours], released[theirs]), ours


def test_parameter_count(released_keys: Callable, arch: str) -> None:
    count = sum(p.numel() for p in build_empty(arch).parameters())
    head = released_keys(arch, 'sg_former')['head.weight']
    assert head[0] == 1000
    assert round((count + head[0] * head[1] + head[0]) / 1e6, 3) == PARAMETERS[arch]


@pytest.mark.slow
def test_macs(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published: matrix products and convolutions once, norms at five an entry (as fvcore counts).

    The products for the significance are not among them: the released code keeps the whole
    attention matrix. What runs here counts them and no norms.
    """
    for_significance: list[int] = []
    plain = hybrid_scale_module.key_significance

    def counted(*args: object) -> torch.Tensor:
        with FlopCounterMode(display=False) as counter:
            received = plain(*args)
        for_significance.append(counter.get_total_flops())
        return received

    monkeypatch.setattr(hybrid_scale_module, 'key_significance', counted)
    model = copy.deepcopy(build_empty(arch)).eval()
    normed: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.LayerNorm | nn.GroupNorm):
            module.register_forward_hook(lambda _, __, out: normed.append(out.numel()))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, 224, 224, device='meta'))
    running = counter.get_total_flops() / 2 + 1000 * model.embed_dims[-1]
    published = running - sum(for_significance) / 2 + 5 * sum(normed)
    assert round(published / 1e9, 2) == MACS[arch][0]
    assert round(running / 1e9, 2) == MACS[arch][1]


def test_mixers_and_heads_of_the_paper(arch: str) -> None:
    model = build_empty(arch)
    pair = [HybridScaleAttention, SelfGuidedAttention]
    heads = (4, 6, 12, 24) if arch == 'base' else (2, 4, 8, 16)
    for i, blocks in enumerate(model.stages):
        kinds = [type(block.mixer) for block in blocks]
        assert kinds == (
            [MultiHeadSelfAttention] * len(kinds) if i == 3 else pair * (len(kinds) // 2)
        )
        assert {block.mixer.num_heads for block in blocks} == {heads[i]}
    rates = [block.drop_path.drop_prob for blocks in model.stages for block in blocks]
    last = {'small': 0.1, 'medium': 0.2, 'base': 0.4}[arch]
    assert rates == pytest.approx([last * i / (len(rates) - 1) for i in range(len(rates))])


def test_another_variant_is_named(released_keys: Callable, arch: str) -> None:
    names = released_keys(arch, 'sg_former')
    state = {name: torch.zeros(()).expand(shape) for name, shape in names.items()}
    with pytest.raises(CheckpointError, match=f'The file holds SG-Former {arch}: '):
        SGFormer(arch='pico').load_state_dict(state)
    if arch != 'medium':
        return
    state = {name: v for name, v in state.items() if not name.startswith('block4.1.')}
    with pytest.raises(CheckpointError, match=r'a variation of medium: depths \[2, 6, 28, 1\]'):
        SGFormer(arch='pico').load_state_dict(state)


def test_networks_do_not_take_each_others_weights() -> None:
    smt, sg = SMT('pico'), SGFormer('pico')
    with pytest.raises(CheckpointError, match='The file holds no SG-Former backbone'):
        sg.load_state_dict(smt.state_dict())
    with pytest.raises(CheckpointError, match='The file holds no SMT backbone'):
        smt.load_state_dict(sg.state_dict())


@pytest.mark.parametrize('grid', [8, 16, 20])
def test_table_of_another_grid_is_interpolated(tmp_path: Path, grid: int) -> None:
    """By `load_state_dict`, `init_cfg` and, before it compares, the strict hook."""
    state = SGFormer('pico', position_grid=grid).state_dict()
    nn.init.normal_(state[TABLE])
    want = resample_table(state[TABLE], (grid, grid), (16, 16)).flatten(1, 2)
    torch.save(state, tmp_path / 'other.pth')
    loaded, initialised = (
        SGFormer('pico', init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'other.pth')))
        for _ in range(2)
    )
    loaded.load_state_dict(state)
    initialised.init_weights()
    checkpoint = {'state_dict': {f'backbone.{name}': value for name, value in state.items()}}
    host = nn.Module()
    host.backbone = SGFormer('pico')
    runner = SimpleNamespace(model=host, logger=MMLogger.get_instance('grid'))
    StrictLoadHook().after_load_checkpoint(runner, checkpoint)
    for table in (
        loaded.state_dict()[TABLE],
        initialised.state_dict()[TABLE],
        checkpoint['state_dict'][f'backbone.{TABLE}'],
    ):
        torch.testing.assert_close(table, want)
    assert state[TABLE].shape[1] == grid * grid, "the caller's entry was changed"


def test_table_that_is_no_square_is_refused() -> None:
    state = SGFormer('pico').state_dict()
    state[TABLE] = torch.zeros(1, 17, 32)
    with pytest.raises(CheckpointError, match=rf'{TABLE} \(\[1, 17, 32\] in the file'):
        SGFormer('pico').load_state_dict(state)
