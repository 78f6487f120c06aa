"""All released variants: names, shapes, counts, epsilons; tables of other sizes."""

import copy
import logging
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from mmsmt.analysis import count_complexity
from mmsmt.backbones import ConvHead, UnifiedBackbone
from mmsmt.backbones.families import identify
from mmsmt.backbones.unified_weights import fit_tables
from mmsmt.checkpoints import to_host
from mmsmt.engine.hooks.strict_load import StrictLoadHook
from mmsmt.errors import CheckpointError

PUBLISHED = ('halo', 'sra', 'window', 'dwconv', 'dcnv3')
SCALES = ('micro', 'tiny', 'small', 'base')
# Of the released code at 224 x 224 with 1,000 classes: M parameters; G multiply-additions of
# convolutions and linear layers, and with the products of attention.
COUNTS = {
    'halo': [
        (4.390, 0.646, 0.861),
        (31.523, 4.743, 5.298),
        (52.831, 8.905, 9.810),
        (93.327, 15.823, 17.030),
    ],
    'window': [
        (4.381, 0.646, 0.701),
        (31.541, 4.743, 4.883),
        (52.868, 8.905, 9.133),
        (93.389, 15.823, 16.128),
    ],
    'sra': [
        (4.454, 0.571, 0.612),
        (31.158, 4.547, 4.708),
        (50.888, 7.316, 7.551),
        (91.566, 12.708, 13.130),
    ],
    'dwconv': [
        (4.440, 0.648, 0.648),
        (31.912, 4.997, 4.997),
        (54.394, 9.388, 9.388),
        (95.866, 16.621, 16.621),
    ],
    'dcnv3': [
        (4.303, 0.636, 0.636),
        (29.933, 4.786, 4.786),
        (50.082, 8.173, 8.173),
        (97.465, 15.997, 15.997),
    ],
}
CLASS_SIZES = dict(zip(SCALES, (4.5, 30, 50, 100), strict=True))
EPS = {'halo': 1e-5, 'sra': 1e-5, 'window': 1e-6, 'dwconv': 1e-6, 'dcnv3': 1e-5}


@cache
def build_empty(mixer: str, arch: str, behaviour: str = 'classification') -> UnifiedBackbone:
    """A model without memory for its weights; it is shared, leave it alone."""
    with torch.device('meta'):
        return UnifiedBackbone(mixer, arch, behaviour)


def parameters(mixer: str, arch: str) -> float:
    """Millions, with the convolution before the pooling and 1,000 classes."""
    model = build_empty(mixer, arch)
    dim = model.embed_dims[-1]
    width = int(1.5 * dim)
    head = dim * width + 2 * width + 1000 * (width + 1)
    return (sum(p.numel() for p in model.parameters()) + head) / 1e6


def empty(shapes: dict[str, tuple[int, ...]], prefix: str = '') -> dict[str, Tensor]:
    return {prefix + n: torch.empty(shape, device='meta') for n, shape in shapes.items()}


@pytest.mark.parametrize('arch', [*SCALES, 'micro_det'])
@pytest.mark.parametrize('mixer', PUBLISHED)
def test_names_and_shapes(released_keys: Callable, mixer: str, arch: str) -> None:
    released = released_keys(f'{mixer}_{arch}', 'unified')
    scale, _, detects = arch.partition('_')
    model = build_empty(mixer, scale, 'detection' if detects else 'classification')
    own = {n: t.shape for n, t in model.state_dict().items()}
    for prefix in ('', 'module.', 'backbone.') if arch.startswith('micro') else ('',):
        if prefix == 'backbone.':  # a detector has no classifier in its backbone
            released = {n: s for n, s in released.items() if 'head' not in n}
        parts = model.translate(empty(released, prefix))
        assert parts.dialect == 'released unified model'
        assert {n: t.shape for n, t in parts.backbone.items()} == own
        classifies = not detects and prefix != 'backbone.'
        assert set(parts.head) == ({'weight', 'bias'} if classifies else set())
        neck = {f'neck.0.{n}' for n in ConvHead(4).state_dict()} if classifies else set()
        assert set(parts.other) == neck
        assert all(n.endswith(('relative_position_index', 'attn_mask')) for n in parts.dropped)
        sizes = [len(part) for part in (parts.backbone, parts.head, parts.other, parts.dropped)]
        assert sum(sizes) == len(released), 'two names became one'


@pytest.mark.slow
@pytest.mark.parametrize('arch', SCALES)
@pytest.mark.parametrize('mixer', PUBLISHED)
def test_counts(mixer: str, arch: str) -> None:
    wanted = COUNTS[mixer][SCALES.index(arch)]
    model = build_empty(mixer, arch)
    dim, width = model.embed_dims[-1], int(1.5 * model.embed_dims[-1])
    head = 49 * dim * width + 1000 * width
    found = count_complexity(model, (3, 224, 224))
    # The released halo multiplies queries by all 2 * 25 relative positions, ours by the 2 * 13
    # that a row of queries meets.
    saved = sum(
        (2 * 25 - 2 * 13) * (56 >> i) ** 2 * info.channels * len(model.stages[i])
        for i, info in enumerate(model.feature_info)
        if mixer == 'halo'
    )
    macs = [(found.macs_module_only + head) / 1e9, (found.macs + saved + head) / 1e9]
    assert [round(parameters(mixer, arch), 3), *(round(n, 3) for n in macs)] == list(wanted)


@pytest.mark.parametrize('mixer', ['sam', 'msa'])
def test_mixers_of_smt_have_the_class_sizes(mixer: str) -> None:
    """A block more or less in stage 3 is farther away."""
    for arch, target in CLASS_SIZES.items():
        block = build_empty(mixer, arch).stages[2][1]
        step = sum(p.numel() for p in block.parameters()) / 1e6
        assert abs(parameters(mixer, arch) - target) <= step / 2


@pytest.mark.parametrize('mixer', PUBLISHED)
def test_epsilons(mixer: str) -> None:
    """Too small a difference for recorded numbers to tell."""
    model = build_empty(mixer, 'micro')
    eps = {n: m.eps for n, m in model.named_modules() if isinstance(m, nn.LayerNorm)}
    in_blocks = {n for n in eps if n.split('.')[-1] in ('norm1', 'norm2')}
    reduced = {n for n in eps if n.endswith('mixer.norm')}
    assert len(in_blocks) == 2 * sum(len(blocks) for blocks in model.stages)
    assert {eps[n] for n in in_blocks} == {EPS[mixer]}
    assert {eps[n] for n in reduced} == ({1e-5} if mixer in ('sra', 'dcnv3') else set())
    assert {eps[n] for n in eps.keys() - in_blocks - reduced} == {1e-6}
    assert ConvHead(4).bn.eps == 1e-5


@pytest.mark.slow
@pytest.mark.parametrize('mixer', PUBLISHED)
def test_files_are_identified(released_keys: Callable, mixer: str) -> None:
    for arch in (*SCALES, 'micro_det'):
        found = identify(empty(released_keys(f'{mixer}_{arch}', 'unified')))
        assert found.network == 'unified model'
        assert found.variant.startswith(arch.removesuffix('_det'))
        assert f'mixer {mixer}' in found.variant
        assert ('detection' in found.variant) == arch.endswith('_det')


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    for module in ('unified', 'weights'):
        monkeypatch.setattr(
            f'mmsmt.backbones.{module}.print_log', lambda message, **_: said.append(str(message))
        )
    return said


@pytest.mark.parametrize('mixer', ['sra', 'dwconv'])
def test_classifier_becomes_a_detector(
    released_state: Callable, mixer: str, log: list[str]
) -> None:
    state = released_state(f'{mixer}_micro', 'unified')
    model = UnifiedBackbone(mixer, 'micro', 'detection')
    model.load_state_dict(state)
    assert all(torch.equal(n.out.weight, torch.ones_like(n.out.weight)) for n in model.norms)
    assert torch.equal(
        model.patch_embeds[2].proj.weight, state['downsample_layers.2.reduction.0.weight']
    )
    assert any('norms of the outputs stay' in line for line in log)
    assert any('left out: norms.3.weight' in line for line in log)
    # Under our names the same, and not the other way round.
    classifier = UnifiedBackbone(mixer, 'micro')
    classifier.load_state_dict(state)
    again = UnifiedBackbone(mixer, 'micro', 'detection')
    again.load_state_dict(classifier.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    with pytest.raises(CheckpointError, match=r"norms\.0\.out\.weight.*'behaviour': 'detection'"):
        classifier.load_state_dict(model.state_dict())


class Classifier(nn.Module):
    """Parts under mmpretrain's names."""

    def __init__(self, mixer: str) -> None:
        super().__init__()
        self.backbone = UnifiedBackbone(mixer, 'micro')
        self.neck = nn.Sequential(ConvHead(256))
        self.head = nn.Module()
        self.head.fc = nn.Linear(384, 1000)


@pytest.mark.parametrize('mixer', ['window', 'sra'])
def test_whole_classifier_is_loaded(released_state: Callable, mixer: str) -> None:
    state = released_state(f'{mixer}_micro', 'unified')
    model = Classifier(mixer)
    checkpoint = {'model': dict(state)}
    runner = SimpleNamespace(model=model, logger=MMLogger.get_instance('unified'))
    runner.logger.setLevel(logging.ERROR)
    StrictLoadHook().after_load_checkpoint(runner, checkpoint)
    model.load_state_dict(checkpoint['state_dict'])
    assert torch.equal(model.neck[0].bn.running_var, state['conv_head.1.running_var'])
    assert torch.equal(model.head.fc.bias, state['head.bias'])
    converted = to_host(identify(state).parts, 'classifier')
    assert converted.keys() == checkpoint['state_dict'].keys()


def test_tables_of_another_size() -> None:
    """Bicubic, linear, bilinear: exact on what each reproduces; others stay as they are."""
    row = torch.linspace(0, 1, 5)
    state = {
        'stages.0.0.mixer.height_rel': row[:, None].expand(5, 3),
        'stages.0.0.position.table': (row[:, None] + 2 * row).expand(1, 3, 5, 5),
        'stages.0.0.mixer.relative_position_bias_table': torch.ones(9, 2),
        'stages.0.0.mixer.width_rel': torch.ones(5, 4),
        'stages.0.0.mixer.q.weight': torch.ones(5, 5),
    }
    own = {
        'stages.0.0.mixer.height_rel': torch.zeros(9, 3),
        'stages.0.0.position.table': torch.zeros(1, 3, 3, 9),
        'stages.0.0.mixer.relative_position_bias_table': torch.zeros(49, 2),
        'stages.0.0.mixer.width_rel': torch.zeros(7, 3),
        'stages.0.0.mixer.q.weight': torch.zeros(6, 6),
    }
    before = copy.copy(state)
    fit_tables(state, own)
    nine = torch.linspace(0, 1, 9)
    close = torch.testing.assert_close
    close(state['stages.0.0.mixer.height_rel'], nine[:, None].expand(9, 3))
    ramp = torch.linspace(0, 1, 3)[:, None] + 2 * nine
    close(state['stages.0.0.position.table'], ramp.expand(1, 3, 3, 9))
    close(state['stages.0.0.mixer.relative_position_bias_table'], torch.ones(49, 2))
    for name in ('mixer.width_rel', 'mixer.q.weight'):
        assert state[f'stages.0.0.{name}'] is before[f'stages.0.0.{name}']


def test_bias_table_is_a_square_of_each_head() -> None:
    """Not transposed, heads not mixed, pixel centres aligned."""
    name = 'stages.0.0.mixer.relative_position_bias_table'
    grid = torch.zeros(3, 3, 2)
    grid[0, 2, 1] = 1.0
    state, own = {name: grid.reshape(9, 2)}, {name: torch.zeros(81, 2)}
    fit_tables(state, own)
    found = state[name].reshape(9, 9, 2)
    assert not found[..., 0].any()
    assert found[..., 1].argmax() == 8
    # Cubic convolution, a = -0.75: the corner lies a third of a pixel beyond the source's, whose
    # weight is 10 / 9 on each axis.
    assert found[1, 7, 1] == pytest.approx(1.0, abs=1e-6)
    assert found[0, 8, 1] == pytest.approx((10 / 9) ** 2, rel=1e-5)


def test_sra_of_another_image_size(released_state: Callable) -> None:
    state = released_state('sra_micro', 'unified')
    model = UnifiedBackbone('sra', 'micro', image_size=(64, 96))
    model.load_state_dict(state)
    assert model.stages[3][0].position.table.shape == (1, 256, 2, 3)
    corner = model.stages[0][0].position.table[..., -1, -1]
    torch.testing.assert_close(corner, state['stages.0.0.pos_embed'][..., -1, -1])
