"""SMT computes what the authors' released code computes (tests/golden/smt, see conftest).

Agreement is 1e-4 relative in float32 on a CPU: relative to the number itself or, where
that is smaller, to the root mean square of all numbers compared.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.backbones import SMT
from mmsmt.mixers import MultiHeadSelfAttention, ScaleAwareModulation

TOLERANCE = 1e-4
SIZES = ('224x224', '256x320', '61x97')
STAGES = range(4)


def errors(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    scale = np.maximum(abs(want), np.sqrt(np.mean(np.square(want))))
    return abs(got - want) / scale


def disagreement(what: str, got: np.ndarray, want: np.ndarray) -> str:
    """Where and how much numbers differ; empty where they agree."""
    if got.shape != want.shape:
        return f'{what}: shape {got.shape}, want {want.shape}'
    error = errors(got, want)
    worst = np.unravel_index(np.argmax(error), error.shape)
    if np.isfinite(got).all() and error[worst] <= TOLERANCE:
        return ''
    index = tuple(map(int, worst))
    return (
        f'{what}: worst at {index}, got {got[index]:.7g}, want {want[index]:.7g} '
        f'(off by {error[index]:.1e}, allowed {TOLERANCE:.0e}; '
        f'{np.mean(~(error <= TOLERANCE)):.0%} of {error.size} are off)'
    )


def stage_disagreement(recorded: dict, size: str, stage: int, feature: Tensor) -> str:
    """Compare one stage: shape, mean of every channel, sampled points."""
    name, what = f'{size}_stage{stage}', f'{size} stage {stage}'
    got = feature.numpy()
    if got.shape != (shape := tuple(recorded[f'{name}_shape'].tolist())):
        return f'{what}: shape {got.shape}, want {shape}'
    sample = got.reshape(-1)[recorded[f'{name}_idx']]
    return disagreement(
        f'{what} channel mean', got.mean((2, 3)), recorded[f'{name}_mean']
    ) or disagreement(f'{what} sample', sample, recorded[f'{name}_sample'])


@pytest.fixture(scope='module')
def recorded(golden: Callable) -> dict[str, np.ndarray]:
    return golden('golden_tiny')


@pytest.fixture(scope='module')
def model(released_state: Callable) -> SMT:
    model = SMT(arch='tiny').eval()
    model.load_state_dict(released_state('tiny'))
    return model


@pytest.fixture(scope='module')
def features(
    model: SMT, recorded: dict, golden_images: Callable
) -> Callable[[str], tuple[Tensor, ...]]:
    computed: dict[str, tuple[Tensor, ...]] = {}

    def compute(size: str) -> tuple[Tensor, ...]:
        if size not in computed:
            height, width = map(int, size.split('x'))
            batch = len(recorded[f'{size}_logits'])
            with torch.no_grad():
                computed[size] = model(golden_images(batch, height, width))
        return computed[size]

    return compute


def failing_stages(model: SMT, recorded: dict, images: Callable) -> list[int]:
    """Stages whose numbers at the small size the model misses."""
    with torch.no_grad():
        features = model(images(1, 61, 97))
    found = [stage_disagreement(recorded, '61x97', i, f) for i, f in enumerate(features)]
    return [i for i, message in enumerate(found) if message]


def test_all_recorded_sizes_are_compared(recorded: dict) -> None:
    assert {name.split('_')[0] for name in recorded} == set(SIZES)


@pytest.mark.parametrize('stage', STAGES)
@pytest.mark.parametrize('size', SIZES)
def test_stage_matches_released_code(
    recorded: dict, features: Callable, size: str, stage: int
) -> None:
    found = stage_disagreement(recorded, size, stage, features(size)[stage])
    assert not found, found


@pytest.mark.parametrize('size', SIZES)
def test_logits_match_released_code(
    recorded: dict, features: Callable, released_state: Callable, size: str
) -> None:
    state = released_state('tiny')
    pooled = features(size)[3].mean((2, 3))
    logits = F.linear(pooled, state['head.weight'], state['head.bias'])
    found = disagreement(f'{size} logits', logits.numpy(), recorded[f'{size}_logits'])
    assert not found, found


# Controls: each bug keeps every shape and loads the same weights.


def hooked(
    model: SMT, kind: type[nn.Module], register: Callable[[nn.Module], object]
) -> list[object]:
    return [register(m) for m in model.modules() if isinstance(m, kind)]


@pytest.mark.slow
def test_control_head_major_aggregation_fails(
    model: SMT, recorded: dict, golden_images: Callable
) -> None:
    def head_major(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return inputs[0].unflatten(1, (-1, 4)).transpose(1, 2).flatten(1, 2)

    handles = hooked(
        model, ScaleAwareModulation, lambda m: m.expand.register_forward_pre_hook(head_major)
    )
    try:
        assert failing_stages(model, recorded, golden_images) == [0, 1, 2, 3]
    finally:
        for handle in handles:
            handle.remove()
    assert len(handles) == 2 + 2 + 4


@pytest.mark.slow
def test_control_swapped_halves_of_kv_fail(
    model: SMT, recorded: dict, golden_images: Callable
) -> None:
    def swap(_: nn.Module, __: tuple[Tensor], kv: Tensor) -> Tensor:
        return kv.roll(kv.shape[-1] // 2, -1)

    handles = hooked(model, MultiHeadSelfAttention, lambda m: m.kv.register_forward_hook(swap))
    try:
        assert failing_stages(model, recorded, golden_images) == [2, 3]
    finally:
        for handle in handles:
            handle.remove()
    assert len(handles) == 4 + 1


@pytest.mark.slow
def test_control_approximate_gelu_fails(
    model: SMT, recorded: dict, golden_images: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(F, 'gelu', partial(F.gelu, approximate='tanh'))
    assert failing_stages(model, recorded, golden_images) == [0, 1, 2, 3]


@pytest.mark.slow
def test_control_halves_stacking_fails(
    released_state: Callable, recorded: dict, golden_images: Callable
) -> None:
    """The mixers of stage 3 in another order are another network, which the weights show."""
    with pytest.raises(RuntimeError, match=r'stages\.2\.1\.mixer\.'):
        SMT(arch='tiny', stacking='halves').load_state_dict(released_state('tiny'))


def test_disagreement_names_place_got_and_want() -> None:
    want = np.ones((2, 3), np.float32)
    got = want.copy()
    got[1, 2] = 1.5
    found = disagreement('61x97 stage 2', got, want)
    assert found.startswith('61x97 stage 2: worst at (1, 2), got 1.5, want 1 (off by 5.0e-01')
    assert 'shape (3,), want (2, 3)' in disagreement('x', got[0], want)
    assert disagreement('x', want * np.float32(np.nan), want) != ''
    assert disagreement('x', want * np.float32(1 + 0.9e-4), want) == ''


def test_layer_norm_epsilons(model: SMT) -> None:
    """Too small a difference for the numbers to tell, so it is read off."""
    eps = {n: m.eps for n, m in model.named_modules() if isinstance(m, nn.LayerNorm)}
    patch = {name for name in eps if name.startswith('patch_embeds.')}
    assert len(patch) == 4
    assert len(eps) == 4 + 2 * 13 + 4
    assert {eps[name] for name in patch} == {1e-5}
    assert {eps[name] for name in eps.keys() - patch} == {1e-6}
    assert {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-5}
