"""SMT's variants and arguments: what each replaces, and how wrong ones are refused."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SMT
from mmsmt.layers import DropPath, LayerScale
from mmsmt.mixers import MultiHeadSelfAttention, ScaleAwareModulation

SAM, MSA = ScaleAwareModulation, MultiHeadSelfAttention


class Affine(nn.Module):
    """A mixer that this package does not know."""

    def __init__(self, dim: int, scale: float = 2.0) -> None:
        super().__init__()
        self.scale = scale
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x + self.shift


def mixers_of(model: SMT, stage: int) -> list[type]:
    return [type(block.mixer) for block in model.stages[stage]]


OVERRIDES: dict[str, tuple[object, Callable[[SMT], object], object]] = {
    'embed_dims': ((16, 32, 48, 64), lambda m: tuple(n.weight.numel() for n in m.norms), None),
    'depths': ((2, 1, 3, 2), lambda m: tuple(len(blocks) for blocks in m.stages), None),
    'mlp_ratios': (
        (1, 2, 3, 0.5),
        lambda m: tuple(b[0].ffn.fc1.out_features / b[0].ffn.fc1.in_features for b in m.stages),
        None,
    ),
    'stem_kernel': (7, lambda m: m.patch_embeds[0].conv1.kernel_size[0], None),
    'layer_scale_init_value': (
        0.5,
        lambda m: next((p[7].item() for p in m.stages[3][0].scale2.parameters()), 0),
        None,
    ),
    'drop_path_rate': (0.5, lambda m: m.stages[3][0].drop_path.drop_prob, None),
    'sam_heads': ((1, 2, 8, 4), lambda m: [b[0].mixer.num_heads for b in m.stages[:3]], [1, 2, 8]),
    'sam_expansion': (3, lambda m: m.stages[1][0].mixer.expand.out_channels / 64, None),
    'msa_heads': (
        (1, 1, 2, 16),
        lambda m: [m.stages[i][-1].mixer.num_heads for i in (2, 3)],
        [2, 16],
    ),
    'mixers': (
        ('msa', 'sam', 'msa', 'sam'),
        lambda m: mixers_of(m, 0) + mixers_of(m, 3),
        [MSA, SAM],
    ),
    'stacking': ('halves', lambda m: m.arch.stacking, None),
}


def test_every_field_has_an_override_test() -> None:
    assert set(OVERRIDES) == {f.name for f in fields(SMT(arch='pico').arch)}


@pytest.mark.parametrize('field', OVERRIDES)
def test_field_overrides_the_variant(pico: Callable, field: str) -> None:
    value, read, wanted = OVERRIDES[field]
    wanted = value if wanted is None else wanted
    plain = pico()
    by_argument = pico(**{field: value})
    assert read(by_argument) == wanted
    assert getattr(by_argument.arch, field) == value
    assert replace(by_argument.arch, **{field: getattr(plain.arch, field)}) == plain.arch
    assert field == 'stacking' or read(plain) != wanted
    # The same through a dict of all fields, and by argument over a dict.
    assert read(pico(arch={**asdict(plain.arch), field: value})) == wanted
    assert read(pico(arch=asdict(plain.arch), **{field: value})) == wanted


def test_zero_overrides_too() -> None:
    with torch.device('meta'):
        model = SMT(arch='large', layer_scale_init_value=0, drop_path_rate=0)
    assert not [m for m in model.modules() if isinstance(m, LayerScale)]
    assert not [m for m in model.modules() if isinstance(m, DropPath) and m.drop_prob]


@pytest.mark.parametrize(
    'arch, rate', [('tiny', 0.1), ('small', 0.2), ('base', 0.3), ('large', 0.1)]
)
def test_variants_drop_path_rises_over_the_whole_network(arch: str, rate: float) -> None:
    with torch.device('meta'):
        model = SMT(arch=arch)
    rates = [block.drop_path.drop_prob for blocks in model.stages for block in blocks]
    steps = len(rates) - 1
    assert rates == pytest.approx([rate * i / steps for i in range(steps + 1)])


def test_only_large_has_layer_scale() -> None:
    for arch in ('tiny', 'small', 'base', 'large'):
        with torch.device('meta'):
            model = SMT(arch=arch)
        blocks = sum(len(blocks) for blocks in model.stages)
        scales = sum(isinstance(m, LayerScale) for m in model.modules())
        assert scales == (2 * blocks if arch == 'large' else 0)
    assert model.arch.layer_scale_init_value == 1e-4


def test_drop_path_changes_training_only(pico: Callable, images: Callable) -> None:
    model, x = pico(drop_path_rate=0.9), images()
    first, second = model(x)[3], model(x)[3]
    assert not torch.equal(first, second)
    model.eval()
    assert torch.equal(model(x)[3], model(x)[3])


@pytest.mark.parametrize(
    'stacking, depth, want',
    [
        ('alternate', 4, [SAM, MSA, SAM, MSA]),
        ('halves', 4, [SAM, SAM, MSA, MSA]),
        ('alternate', 5, [SAM, MSA, SAM, MSA, SAM]),
        ('halves', 5, [SAM, SAM, SAM, MSA, MSA]),
    ],
)
def test_stackings_of_stage_3(pico: Callable, stacking: str, depth: int, want: list) -> None:
    model = pico(depths=(1, 1, depth, 1), stacking=stacking)
    assert mixers_of(model, 2) == want
    assert [mixers_of(model, i) for i in (0, 1, 3)] == [[SAM], [SAM], [MSA]]


@pytest.mark.parametrize('stacking', ['alternate', 'halves'])
def test_mixers_by_name_class_dict_and_block(
    pico: Callable, images: Callable, stacking: str
) -> None:
    model = pico(
        depths=(1, 2, 3, 1),
        stacking=stacking,
        mixers=(Affine, {'type': Affine, 'scale': 3.0}, ['msa', Affine, 'sam'], {'type': 'msa'}),
    )
    assert mixers_of(model, 0) == [Affine]
    assert [block.mixer.scale for block in model.stages[1]] == [3.0, 3.0]
    assert mixers_of(model, 2) == [MSA, Affine, SAM]
    assert mixers_of(model, 3) == [MSA]
    assert model.stages[3][0].mixer.num_heads == 8, "the stage's heads reach a dict too"
    assert [tuple(f.shape) for f in model(images(2, 32, 32))] == [
        (2, 32, 8, 8),
        (2, 64, 4, 4),
        (2, 128, 2, 2),
        (2, 256, 1, 1),
    ]


def test_arguments_in_a_dict_win_over_the_stages(pico: Callable) -> None:
    model = pico(
        mixers=({'type': 'sam', 'num_heads': 2}, 'sam', 'sam', {'type': 'msa', 'num_heads': 4})
    )
    assert model.stages[0][0].mixer.num_heads == 2
    assert model.stages[3][0].mixer.num_heads == 4


REFUSED: list[tuple[dict, str]] = [
    ({'arch': 'huge'}, "unknown arch 'huge'; known: pico, tiny, small, base, large"),
    (
        {'arch': {'depths': (1, 1, 1, 1)}},
        r"arch needs the fields \['depths', 'embed_dims', 'mlp_ratios'\]",
    ),
    (
        {'arch': {'embed_dims': (8,) * 4, 'depths': (1,) * 4, 'mlp_ratios': (1,) * 4, 'heads': 1}},
        r"may have \['drop_path_rate', .*'stem_kernel'\], got .*'heads'",
    ),
    ({'depths': (0, 1, 1, 1)}, r'depths must be positive integers, got \(0, 1, 1, 1\)'),
    ({'depths': (1.5, 1, 1, 1)}, 'depths must be positive integers'),
    ({'sam_expansion': 0}, 'sam_expansion must be a positive integer, got 0'),
    ({'mlp_ratios': (0, 1, 1, 1)}, 'mlp_ratios must be positive'),
    ({'mixers': ('sam', 'sam', [], 'msa')}, 'mixers: 0 given for a stage of'),
    ({'mixers': (['sam'] * 3, 'sam', 'sam', 'msa')}, 'mixers: 3 given for a stage of 1 blocks'),
    ({'arch': None}, 'arch must be a name or a dict of fields, got None'),
    ({'stem_kernel': 4}, 'stem_kernel must be odd, got 4'),
    ({'stem_kernel': -1}, 'stem_kernel must be a positive integer, got -1'),
    ({'stacking': 'thirds'}, "unknown stacking 'thirds'; known: alternate, halves"),
    ({'mixers': ('sam', 'sam', 'pool', 'msa')}, "unknown mixer 'pool'; known: .*msa, sam"),
    ({'mixers': ('sam', 'sam', ['sam', {'type': 'x'}], 'msa')}, "unknown mixer 'x'; known: "),
    ({'sam_heads': (5, 4, 4, 4)}, 'SAM: dim 32 is not a multiple of num_heads 5'),
    ({'msa_heads': (1, 2, 3, 8)}, 'MSA: dim 128 is not a multiple of num_heads 3'),
    ({'drop_path_rate': 1.0}, r'drop_path_rate must be in \[0, 1\), got 1.0'),
    ({'out_indices': ()}, r'out_indices must be one or more of 0 to 3, got \(\)'),
    ({'out_indices': (0, 4)}, r'out_indices must be one or more of 0 to 3, got \(0, 4\)'),
    ({'out_indices': -1}, r'out_indices must be one or more of 0 to 3, got \(-1,\)'),
    ({'frozen_stages': 5}, 'frozen_stages must be from -1 to 4, got 5'),
    ({'frozen_stages': -2}, 'frozen_stages must be from -1 to 4, got -2'),
    *(
        ({field: value}, f'{field} must have one entry for each of the 4 stages, got ')
        for field in ('embed_dims', 'depths', 'mlp_ratios', 'sam_heads', 'msa_heads', 'mixers')
        for value in ((8, 8, 8), (8,) * 5, 'sam', 8)
    ),
]


@pytest.mark.parametrize('options, message', REFUSED, ids=lambda value: str(value)[:48])
def test_wrong_arguments_are_refused_with_what_is_right(
    pico: Callable, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pico(**options)


def test_a_mixer_from_elsewhere_keeps_its_initial_weights(pico: Callable) -> None:
    class Zeros(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.offsets = nn.Linear(dim, dim)
            nn.init.zeros_(self.offsets.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.offsets(x)

    model = pico(mixers=(Zeros, 'sam', 'sam', 'msa'))
    assert not model.stages[0][0].mixer.offsets.weight.any()
    assert model.stages[1][0].mixer.proj.weight.std().item() == pytest.approx(0.02, rel=0.1)
