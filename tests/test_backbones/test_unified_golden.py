"""Unified models compute what the authors' released code computes (tests/golden/unified).

Agreement is 1e-4 in float32 on a CPU, relative to the root mean square of what is compared. A
wrong epsilon stays below that, so epsilons are read off the network.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.backbones import ConvHead, UnifiedBackbone

TOLERANCE = 1e-4
MIXERS = ('halo', 'sra', 'window', 'dwconv', 'dcnv3')
BOTH = ('classification', 'detection')
# The authors' dcnv3 refuses 61x97; its record is of the natural extension.
FILES = [
    *((mixer, f'golden_{mixer}_micro{end}') for mixer in MIXERS for end in ('', '_det')),
    ('dcnv3', 'golden_dcnv3_micro_ceil'),
]
CASES = [
    (mixer, file, size)
    for mixer, file in FILES
    for size in {
        'golden_halo_micro': ('224x224', '224x448'),
        'golden_window_micro': ('224x224', '224x448'),
        'golden_sra_micro': ('224x224', '256x320'),
        'golden_dcnv3_micro': ('224x224', '256x320'),
        'golden_dcnv3_micro_det': ('224x224', '256x320'),
        'golden_dcnv3_micro_ceil': ('61x97',),
    }.get(file, ('224x224', '256x320', '61x97'))
]


def deviation(got: np.ndarray, want: np.ndarray) -> float:
    """Largest difference relative to the root mean square, infinite where a number is none."""
    assert got.shape == want.shape
    error = abs(got - want).max() / np.sqrt(np.mean(np.square(want)))
    return error if np.isfinite(error) else np.inf


def stage_deviation(recorded: dict, size: str, stage: int, feature: Tensor) -> float:
    """Of the mean of every channel and of the sampled points."""
    name, got = f'{size}_stage{stage}', feature.numpy()
    assert got.shape == tuple(recorded[f'{name}_shape'])
    sample = got.reshape(-1)[recorded[f'{name}_idx']]
    return max(
        deviation(got.mean((2, 3)), recorded[f'{name}_mean']),
        deviation(sample, recorded[f'{name}_sample']),
    )


@pytest.fixture(scope='module')
def built(
    released_state: Callable, rebuilt_entry: Callable
) -> Callable[..., tuple[UnifiedBackbone, dict[str, Tensor]]]:
    """A network with the rebuilt weights, and these; a classifier of sra is built for its size."""

    def build(
        mixer: str, behaviour: str, size: tuple[int, int] = (224, 224)
    ) -> tuple[UnifiedBackbone, dict[str, Tensor]]:
        ending = '_det' if behaviour == 'detection' else ''
        state = released_state(f'{mixer}_micro{ending}', 'unified')
        image_size = size if behaviour == 'classification' else (224, 224)
        model = UnifiedBackbone(mixer, 'micro', behaviour, image_size=image_size).eval()
        for i in range(4):
            if (name := f'stages.{i}.0.pos_embed') in state:
                shape = model.stages[i][0].position.table.shape
                state[name] = torch.from_numpy(rebuilt_entry(name, tuple(shape))).float()
        model.load_state_dict(state)
        return model, state

    return build


@pytest.fixture(scope='module')
def run(built: Callable, golden: Callable, golden_images: Callable) -> Callable[..., tuple]:
    """Network, recorded numbers, maps and released weights of one file and size."""
    done: dict[tuple[str, str], tuple] = {}

    def compute(mixer: str, file: str, size: str) -> tuple:
        if (file, size) not in done:
            recorded = golden(file, 'unified')
            height, width = map(int, size.split('x'))
            behaviour = BOTH[file.endswith('_det')]
            model, state = built(mixer, behaviour, (height, width))
            batch = len(recorded[f'{size}_stage0_mean'])
            with torch.no_grad():
                features = model(golden_images(batch, height, width))
            done[file, size] = model, recorded, features, state
        return done[file, size]

    return compute


def test_all_recorded_sizes_are_compared(golden: Callable) -> None:
    for mixer, file in FILES:
        recorded = {name.split('_')[0] for name in golden(file, 'unified')}
        assert recorded == {size for m, f, size in CASES if (m, f) == (mixer, file)}


@pytest.mark.parametrize('stage', range(4))
@pytest.mark.parametrize('mixer, file, size', CASES)
def test_stage_matches_released_code(
    run: Callable, mixer: str, file: str, size: str, stage: int
) -> None:
    _, recorded, features, _ = run(mixer, file, size)
    assert stage_deviation(recorded, size, stage, features[stage]) < TOLERANCE


@pytest.mark.parametrize('mixer, file, size', [c for c in CASES if not c[1].endswith('_det')])
def test_logits_match_released_code(run: Callable, mixer: str, file: str, size: str) -> None:
    _, recorded, features, state = run(mixer, file, size)
    neck = ConvHead(features[-1].shape[1]).eval()
    neck.load_state_dict(
        {f'conv.{n}': state[f'conv_head.0.{n}'] for n in ('weight',)}
        | {f'bn.{n}': state[f'conv_head.1.{n}'] for n in neck.bn.state_dict()}
    )
    with torch.no_grad():
        (last,) = neck(features)
    logits = F.linear(last.mean((2, 3)), state['head.weight'], state['head.bias'])
    assert deviation(logits.numpy(), recorded[f'{size}_logits']) < TOLERANCE


# Controls: each bug keeps every shape and loads the same weights.


def all_of(model: nn.Module, name: str) -> list[nn.Module]:
    """The mixers of all blocks, by one of their attributes."""
    found = [block.mixer for blocks in model.stages for block in blocks]
    found = [mixer for mixer in found if hasattr(mixer, name)]
    assert found
    return found


def flip(name: str) -> Callable[[nn.Module], None]:
    """Turn a switch of the network, or of all blocks or mixers that have it."""

    def change(model: nn.Module) -> None:
        owners = [m for m in model.modules() if isinstance(getattr(m, name, None), bool)]
        assert owners
        for owner in owners:
            setattr(owner, name, not getattr(owner, name))

    return change


def rewrite(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[nn.Module], None]:
    """Replace an entry of all mixers that have it."""

    def apply(model: nn.Module) -> None:
        for mixer in all_of(model, name.split('.')[0]):
            entry = mixer.get_parameter(name)
            entry.data = change(entry.data).clone()

    return apply


def unshift(model: nn.Module) -> None:
    for mixer in all_of(model, 'shift'):
        mixer.shift = 0


def swap_rel(model: nn.Module) -> None:
    for mixer in all_of(model, 'height_rel'):
        mixer.height_rel, mixer.width_rel = mixer.width_rel, mixer.height_rel


def halves(weight: Tensor) -> Tensor:
    """Rows of keys of all heads, then values, as if they were in turn by head of 32 channels."""
    return weight.unflatten(0, (-1, 2, 32)).transpose(0, 1).flatten(0, 2)


def turned(weight: Tensor) -> Tensor:
    """Rows for 3 x 3 points, transposed."""
    return weight.unflatten(0, (-1, 3, 3)).transpose(1, 2).flatten(0, 2)


CONTROLS: dict[str, tuple[str, str, Callable[[nn.Module], None]]] = {
    'handed on un-normalised': ('dwconv', '', flip('chain_norms')),
    'handed on normalised': ('dwconv', '_det', flip('chain_norms')),
    'kernel transposed': ('dwconv', '', rewrite('dwconv.weight', lambda w: w.mT)),
    'positions stay': ('sra', '_det', flip('keep_position')),
    'positions go': ('sra', '', flip('keep_position')),
    'last rows seen': ('sra', '_det', flip('whole_map')),
    'values first': ('sra', '', rewrite('kv.weight', lambda w: w.roll(len(w) // 2, 0))),
    'no shift': ('window', '', unshift),
    'small maps whole': ('window', '_det', flip('small_map_rule')),
    'small maps shifted': ('window', '', flip('small_map_rule')),
    'window padding masked': ('window', '_det', flip('mask_padding')),
    'offsets transposed': (
        'window',
        '',
        rewrite(
            'relative_position_bias_table',
            lambda t: t.unflatten(0, (13, 13)).transpose(0, 1).flatten(0, 1),
        ),
    ),
    'rows for columns': ('halo', '', swap_rel),
    'scaled queries for positions': ('halo', '', rewrite('height_rel', lambda t: t * 32**-0.5)),
    'centred rows': ('halo', '', rewrite('width_rel', lambda t: t.roll(-3, 0))),
    'keys before values': ('halo', '', rewrite('kv.weight', halves)),
    'halo padding masked': ('halo', '_det', flip('mask_padding')),
    'row-major points': ('dcnv3', '', rewrite('attention_weights.weight', turned)),
    'y before x': (
        'dcnv3',
        '',
        rewrite('sampling_offsets.weight', lambda w: w.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', CONTROLS)
def test_control_fails(
    built: Callable, golden: Callable, golden_images: Callable, name: str
) -> None:
    mixer, ending, change = CONTROLS[name]
    recorded = golden(f'golden_{mixer}_micro{ending}', 'unified')
    size = '61x97' if '61x97_stage0_mean' in recorded else '224x224'
    model, _ = built(mixer, BOTH[bool(ending)], (224, 224))
    change(model)
    height, width = map(int, size.split('x'))
    with torch.no_grad():
        features = model(golden_images(len(recorded[f'{size}_stage0_mean']), height, width))
    off = [stage_deviation(recorded, size, i, feature) for i, feature in enumerate(features)]
    assert max(off) > 2 * TOLERANCE, off
