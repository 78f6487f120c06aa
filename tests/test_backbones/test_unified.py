"""The unified architecture's arguments, sizes and behaviours; all mixers in it."""

from collections.abc import Callable
from dataclasses import asdict

import pytest
import torch

from mmsmt.analysis import count_complexity
from mmsmt.backbones import SMT, ConvHead, UnifiedBackbone
from mmsmt.backbones.unified_archs import ARCHS, BEHAVIOURS
from mmsmt.mixers import MIXERS

# What leaves the smallest variant quick: one block a stage, two where windows take turns.
SMALL = dict(arch='pico', depths=(1, 2, 1, 1))


@pytest.mark.parametrize('size', [(1, 1), (1, 97), (61, 2), (37, 41), (64, 96)], ids=str)
@pytest.mark.parametrize('behaviour', BEHAVIOURS)
@pytest.mark.parametrize('mixer', ARCHS)
def test_any_size_forward_and_backward(
    images: Callable, loss_of: Callable, mixer: str, behaviour: str, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    model = UnifiedBackbone(mixer, behaviour=behaviour, **SMALL)
    x = images(2, *size).requires_grad_()
    outputs = model(x)
    assert [tuple(f.shape) for f in outputs] == [
        (2, info.channels, -(-size[0] // info.stride), -(-size[1] // info.stride))
        for info in model.feature_info
    ]
    loss_of(outputs).backward()
    assert all(f.isfinite().all() for f in outputs)
    assert x.grad.isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('mixer', sorted(set(MIXERS) - {'self_guided'}))
def test_any_mixer_in_any_stage(images: Callable, mixer: str) -> None:
    heads = dict(num_heads=(2, 2, 4, 8))
    for stage in range(4):
        mixers = ['dwconv'] * 4
        mixers[stage] = mixer
        model = UnifiedBackbone('dwconv', mixers=mixers, **SMALL, **heads)
        assert type(model.stages[stage][0].mixer) is MIXERS[mixer]
        assert [f.shape[1] for f in model(images(1, 32, 40))] == [32, 64, 128, 256]


def test_significance_guides_in_the_unified_architecture(images: Callable) -> None:
    pair = ('hybrid_scale', 'self_guided')
    model = UnifiedBackbone(
        'dwconv', mixers=('dwconv', pair, 'dwconv', 'dwconv'), num_heads=(2, 2, 4, 8), **SMALL
    )
    assert [len(stage) for stage in model.significance(images())] == [0, 1, 0, 0]


def test_mixers_of_the_unified_architecture_in_smt(images: Callable) -> None:
    model = SMT('pico', mixers=('window', dict(type='sra', reduction=4), 'dwconv', 'halo'))
    assert [f.shape[1] for f in model(images(1, 64, 64))] == [32, 64, 128, 256]


def test_windows_take_turns() -> None:
    def shifts(**options: object) -> list[list[int]]:
        model = UnifiedBackbone(mixer='window', arch='micro', depths=(3, 2, 1, 2), **options)
        return [[block.mixer.shift for block in blocks] for blocks in model.stages]

    assert shifts() == [[0, 3, 0], [0, 3], [0], [0, 3]]
    assert shifts(window=5)[0] == [0, 2, 0]
    assert shifts(mixers=[dict(type='window', shift=1)] * 4)[0] == [1, 1, 1]


def test_positions_are_in_the_first_block_of_a_stage_alone() -> None:
    model = UnifiedBackbone('sra', 'pico', depths=(2, 1, 1, 1), image_size=(61, 97))
    tables = {n: tuple(p.shape[2:]) for n, p in model.named_parameters() if 'position' in n}
    assert list(tables) == [f'stages.{i}.0.position.table' for i in range(4)]
    assert list(tables.values()) == [(16, 25), (8, 13), (4, 7), (2, 4)]


@pytest.mark.parametrize('behaviour', BEHAVIOURS)
def test_norms_that_nobody_reads_are_frozen(
    images: Callable, loss_of: Callable, behaviour: str
) -> None:
    """Else distributed training waits for their gradients."""
    model = UnifiedBackbone('dwconv', behaviour=behaviour, out_indices=(1, 3), **SMALL)
    loss_of(model(images(1, 32, 32))).backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    frozen = {n.split('.')[1] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == ({'0', '2'} if behaviour == 'detection' else set())


def test_norms_of_outputs_do_not_touch_what_is_handed_on(images: Callable) -> None:
    """Moving a stage's norm moves later stages where maps are handed on normalised only."""
    for behaviour in BEHAVIOURS:
        torch.manual_seed(0)
        model = UnifiedBackbone('dwconv', behaviour=behaviour, **SMALL).eval()
        x = images(1, 64, 64)
        with torch.no_grad():
            before = model(x)
            for parameter in model.norms[1].parameters():
                parameter.add_(torch.randn(parameter.shape))
            after = model(x)
        assert not torch.equal(before[1], after[1])
        assert torch.equal(before[2], after[2]) is (behaviour == 'detection')


@pytest.mark.slow
@pytest.mark.parametrize('mixer', ARCHS)
def test_pico_is_of_the_size_of_smts(mixer: str) -> None:
    with torch.device('meta'):
        ours, theirs = UnifiedBackbone(mixer, 'pico'), SMT('pico')
    found, wanted = (count_complexity(model, (3, 64, 64)) for model in (ours, theirs))
    assert found.params == pytest.approx(wanted.params, rel=0.1)
    assert found.macs_module_only == pytest.approx(wanted.macs_module_only, rel=0.15)


def test_arch_as_a_dict() -> None:
    spec = ARCHS['halo']['pico']
    model = UnifiedBackbone('halo', arch=asdict(spec))
    assert repr(model) == repr(UnifiedBackbone('halo', 'pico'))
    few = UnifiedBackbone('sra', dict(embed_dims=(8, 16, 32, 64), depths=(1, 1, 1, 1)))
    assert few.arch.mixers == ('sra',) * 4


def test_no_layer_scale_has_no_parameters() -> None:
    names = UnifiedBackbone('dwconv', layer_scale_init_value=0, **SMALL).state_dict()
    assert not [name for name in names if 'scale' in name]


def test_drop_path_rises_linearly() -> None:
    model = UnifiedBackbone('dwconv', 'tiny', depths=(1, 1, 2, 1))
    rates = [block.drop_path.drop_prob for blocks in model.stages for block in blocks]
    assert rates == pytest.approx([0.0, 0.025, 0.05, 0.075, 0.1])


def test_conv_head(images: Callable) -> None:
    torch.manual_seed(0)
    neck = ConvHead(8).eval()
    maps = (images(2, 4, 5, 3), images(2, 2, 3, 8))
    (found,) = neck(maps)
    want = torch.einsum('bchw,oc->bohw', maps[1], neck.conv.weight[:, :, 0, 0])
    want = want / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(found, want * 0.5 * (1 + torch.erf(want / 2**0.5)))
    assert found.shape == (2, 12, 2, 3)
    assert ConvHead(8, 5)(maps)[0].shape[1] == 5


@pytest.mark.parametrize(
    'options, message',
    [
        (
            {'mixer': 'conv'},
            "unknown mixer 'conv'; known: halo, window, sra, dwconv, dcnv3, sam, msa",
        ),
        ({'arch': 'large'}, "unknown arch 'large'; known: pico, micro, tiny, small, base"),
        ({'behaviour': 'tracking'}, "unknown behaviour 'tracking'; known: classification, det"),
        ({'depths': (1, 1, 1)}, 'depths must have one entry for each of the 4 stages'),
        ({'mlp_ratios': (0, 1, 1, 1)}, 'mlp_ratios must be positive'),
        ({'window': 0}, 'window must be a positive integer, got 0'),
        ({'image_size': (224,)}, 'image_size must be a number of pixels or two of them'),
        ({'image_size': 0}, 'image_size must be a number of pixels or two of them'),
        ({'layer_scale_init_value': -1}, 'layer_scale_init_value must be at least 0, got -1'),
        ({'stacking': 'thirds'}, "unknown stacking 'thirds'; known: alternate, halves"),
        ({'num_heads': (1, 2, 4, 7)}, 'dim 256 is not a multiple of num_heads 7'),
        ({'mixers': ('halo', 'halo', 'halo', 'x')}, "unknown mixer 'x'; known: "),
        ({'mixers': 'halo'}, "mixers must have one entry for each of the 4 stages, got 'halo'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_arguments_are_refused_with_what_is_right(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UnifiedBackbone(**{'arch': 'pico', **options})
