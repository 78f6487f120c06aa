"""SG-Former's arguments, sizes, significance; what the generic tests of backbones leave out."""

import copy
from collections.abc import Callable
from dataclasses import asdict, fields

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SMT, SGFormer
from mmsmt.mixers import HybridScaleAttention, MultiHeadSelfAttention, SelfGuidedAttention

HYBRID, GUIDED, MSA = HybridScaleAttention, SelfGuidedAttention, MultiHeadSelfAttention
OVERRIDES: dict[str, tuple[object, Callable[[SGFormer], object], object]] = {
    'embed_dims': ((16, 32, 48, 64), lambda m: tuple(n.weight.numel() for n in m.norms), None),
    'depths': ((1, 2, 3, 2), lambda m: tuple(len(blocks) for blocks in m.stages), None),
    'num_heads': (
        (4, 4, 8, 1),
        lambda m: [[b.mixer.num_heads for b in blocks] for blocks in m.stages],
        [[4, 4], [4, 4], [8, 8], [1]],
    ),
    'mlp_ratios': (
        (1, 2, 3, 0.5),
        lambda m: tuple(b[0].ffn.fc1.out_features / b[0].ffn.fc1.in_features for b in m.stages),
        None,
    ),
    'reductions': (
        (4, 3, 1, 1),
        lambda m: [b[0].mixer.reduce.stride[0] for b in m.stages[:3]],
        [4, 3, 1],
    ),
    'runs': (
        ((4, 2), (9, 3, 1), (1, 1, 1), (1, 1)),
        lambda m: [tuple(f.in_features for f in b[1].mixer.merges) for b in m.stages[:3]],
        [(4, 2), (9, 3, 1), (1, 1, 1)],
    ),
    'window': (5, lambda m: {b[0].mixer.window for b in m.stages[:3]}, {5}),
    'position_grid': (9, lambda m: m.patch_embeds[0].position.table.shape[1], 81),
    'layer_scale_init_value': (
        0.5,
        lambda m: next((p[7].item() for p in m.stages[3][0].scale2.parameters()), 0),
        None,
    ),
    'drop_path_rate': (0.5, lambda m: m.stages[3][0].drop_path.drop_prob, None),
    'mixers': (
        ('msa', ('hybrid_scale', 'msa'), 'hybrid_scale', 'sam'),
        lambda m: [type(block.mixer) for blocks in m.stages[:3] for block in blocks],
        [MSA, MSA, HYBRID, MSA, HYBRID, HYBRID],
    ),
    'stacking': ('halves', lambda m: m.arch.stacking, None),
}


def test_every_field_has_an_override_test() -> None:
    assert set(OVERRIDES) == {f.name for f in fields(SGFormer(arch='pico').arch)}


@pytest.mark.parametrize('field', OVERRIDES)
def test_field_overrides_the_variant(sg_pico: Callable, images: Callable, field: str) -> None:
    value, read, wanted = OVERRIDES[field]
    wanted = value if wanted is None else wanted
    plain, changed = sg_pico(), sg_pico(**{field: value})
    assert read(plain) != wanted
    for model in (changed, sg_pico(arch={**asdict(plain.arch), field: value})):
        assert read(model) == wanted
        assert getattr(model.arch, field) == value
    assert [f.shape[2] for f in changed.eval()(images(1, 32, 32))] == [8, 4, 2, 1]


REFUSED: list[tuple[dict, str]] = [
    ({'arch': 'huge'}, "unknown arch 'huge'; known: pico, small, medium, base"),
    (
        {'arch': {'depths': (1, 1, 1, 1)}},
        r"arch needs the fields \['depths', 'embed_dims'\] and may have",
    ),
    ({'arch': 3}, 'arch must be a name or a dict of fields, got 3'),
    ({'depths': (0, 1, 1, 1)}, r'depths must be positive integers, got \(0, 1, 1, 1\)'),
    ({'reductions': (8, 4, 0, 1)}, r'reductions must be positive integers, got \(8, 4, 0, 1\)'),
    ({'mlp_ratios': (0, 1, 1, 1)}, 'mlp_ratios must be positive'),
    ({'window': 0}, 'window must be a positive integer, got 0'),
    ({'position_grid': 3.5}, 'position_grid must be a positive integer, got 3.5'),
    ({'layer_scale_init_value': -1}, 'layer_scale_init_value must be at least 0, got -1'),
    ({'stacking': 'thirds'}, "unknown stacking 'thirds'; known: alternate, halves"),
    ({'num_heads': (1, 2, 4, 8)}, 'num_heads must be even and divide dim 32, got 1'),
    ({'num_heads': (2, 2, 4, 7)}, 'MSA: dim 256 is not a multiple of num_heads 7'),
    ({'runs': ((1,), (1, 1), (1, 1), (1, 1))}, 'runs must be two or three positive integers'),
    ({'embed_dims': (30, 64, 128, 256)}, 'must be a multiple of 4, got 30'),
    (
        {'mixers': ('self_guided', 'msa', 'msa', 'msa')},
        'SelfGuidedAttention takes significance, so a block before it in stage 1 has to give it',
    ),
    *(
        ({field: value}, f'{field} must have one entry for each of the 4 stages, got ')
        for field in ('embed_dims', 'num_heads', 'mlp_ratios', 'reductions', 'runs', 'mixers')
        for value in ((8, 8, 8), 'msa', 8)
    ),
]


@pytest.mark.parametrize('options, message', REFUSED, ids=lambda value: str(value)[:48])
def test_wrong_arguments_are_refused_with_what_is_right(
    sg_pico: Callable, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sg_pico(**options)


SIZES = [(1, 1), (2, 3), (1, 257), (257, 2), (37, 41), (61, 97), (224, 224), (333, 200)]


@pytest.mark.parametrize('size', SIZES, ids=str)
def test_any_size_forward_and_backward(
    sg_pico: Callable, images: Callable, loss_of: Callable, size: tuple[int, int]
) -> None:
    model, x = sg_pico(), images(2, *size).requires_grad_()
    outputs = model(x)
    assert [tuple(f.shape[2:]) for f in outputs] == [
        tuple(-(-side // stride) for side in size) for stride in (4, 8, 16, 32)
    ]
    loss_of(outputs).backward()
    assert all(f.isfinite().all() for f in outputs)
    assert x.grad.isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_significance(sg_pico: Callable, images: Callable) -> None:
    model, x = sg_pico(depths=(3, 2, 4, 1)), images(2, 61, 97)
    maps = model.significance(x)
    assert [[tuple(m.shape) for m in stage] for stage in maps] == [
        [(2, 16, 25)] * 2,
        [(2, 8, 13)],
        [(2, 4, 7)] * 2,
        [],
    ]
    seen = []
    for block in model.stages[2]:
        if isinstance(block.mixer, GUIDED):
            block.mixer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    model(x)
    for map_, guide in zip(maps[2], seen, strict=True):
        assert torch.equal(map_, guide), 'the map of the hybrid-scale block before it'
    assert not [m for stage in maps for m in stage if m.requires_grad or m.min() < 0]


def test_guidance_in_another_network(pico: Callable, images: Callable) -> None:
    model = pico(mixers=(['hybrid_scale', 'self_guided'], 'sam', 'sam', 'msa'))
    assert isinstance(model, SMT)
    assert [len(stage) for stage in model.significance(images())] == [1, 0, 0, 0]
    model = pico(depths=(2, 1, 1, 1), mixers=(['hybrid_scale', 'self_guided'], 'sam', 'sam', 'msa'))
    model(images())[0].sum().backward()
    assert model.stages[0][1].mixer.merges[1].weight.grad is not None


def test_constant_image_has_one_result(sg_pico: Callable) -> None:
    """Equal significances keep the order of rows, so nothing is left to chance."""
    model = sg_pico().eval()
    first, second = (model(torch.full((1, 3, 64, 96), 0.5)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.isfinite().all()
        assert torch.equal(one, other)


def test_nan_in_an_image_is_nan_in_its_outputs_alone(sg_pico: Callable, images: Callable) -> None:
    model, x = sg_pico().eval(), images(2)
    want = model(x)
    x[0, 0, 3, 3] = torch.nan
    for got, clean in zip(model(x), want, strict=True):
        assert got[0].isnan().all()
        torch.testing.assert_close(got[1], clean[1])


@pytest.mark.parametrize('autocast', [True, False])
@pytest.mark.parametrize(
    'dtype, allowed', [(torch.bfloat16, 0.05), (torch.float16, 0.006)], ids=str
)
def test_half_precision_with_the_order_of_float32(
    sg_pico: Callable,
    images: Callable,
    loss_of: Callable,
    shake: Callable,
    dtype: torch.dtype,
    allowed: float,
    autocast: bool,
) -> None:
    """The sort apart, which rounding may change, half precision costs a few roundings."""
    model = shake(sg_pico().eval())
    half, x = copy.deepcopy(model), images()
    guides: list[Tensor] = []

    def record(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        guides.append(inputs[1])

    def replay(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        assert inputs[1].dtype == torch.float32, 'half precision would make ties'
        return inputs[0], guides.pop(0)

    for network, hook in ((model, record), (half, replay)):
        for module in network.modules():
            if isinstance(module, GUIDED):
                module.register_forward_pre_hook(hook)
    want = model(x)
    if autocast:
        with torch.autocast('cpu', dtype):
            outputs = half(x)
    else:
        outputs = half.to(dtype)(x.to(dtype))
    assert guides == []
    for stage, (got, feature) in enumerate(zip(outputs, want, strict=True)):
        assert got.dtype == dtype
        error = (got.float() - feature).square().mean().sqrt() / feature.square().mean().sqrt()
        assert 0 < error < allowed, f'stage {stage}: {error}'
    loss_of(outputs).backward()
    assert not [n for n, p in half.named_parameters() if not p.grad.isfinite().all()]


def test_layer_depth_of_the_position_table(sg_pico: Callable) -> None:
    model = sg_pico()
    assert model.get_layer_depth('patch_embeds.0.position.table') == (0, 9)
    assert model.get_layer_depth('stages.0.1.mixer.kv1.weight') == (2, 9)
