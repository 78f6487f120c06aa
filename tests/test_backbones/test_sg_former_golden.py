"""SG-Former computes what the authors' released code computes (tests/golden/sg_former).

In float64, to 1e-9 of the root mean square: the sort makes the network discontinuous, float32
alone moves its outputs by several per cent with the recorded weights.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.backbones import SGFormer
from mmsmt.mixers import HybridScaleAttention, SelfGuidedAttention

TOLERANCE = 1e-9


def deviation(got: np.ndarray, want: np.ndarray) -> float:
    """Largest difference relative to the root mean square, infinite where a number is none."""
    assert got.shape == want.shape
    error = abs(got - want).max() / np.sqrt(np.mean(np.square(want)))
    return error if np.isfinite(error) else np.inf


def stage_deviation(recorded: dict, stage: int, feature: Tensor) -> float:
    """Of the mean of every channel and of the sampled points."""
    name, got = f'224x224_stage{stage}', feature.numpy()
    assert got.shape == tuple(recorded[f'{name}_shape'])
    sample = got.reshape(-1)[recorded[f'{name}_idx']]
    return max(
        deviation(got.mean((2, 3)), recorded[f'{name}_mean']),
        deviation(sample, recorded[f'{name}_sample']),
    )


@pytest.fixture(scope='module')
def recorded(golden: Callable) -> dict[str, np.ndarray]:
    return golden('golden_small', 'sg_former')


@pytest.fixture(scope='module')
def images(golden_images: Callable) -> Tensor:
    return golden_images(2, 224, 224).double()


@pytest.fixture(scope='module')
def model(released_state: Callable) -> SGFormer:
    model = SGFormer(arch='small').eval()
    model.load_state_dict(released_state('small', 'sg_former'))
    return model.double()


@pytest.fixture(scope='module')
def features(model: SGFormer, images: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return model(images)


@pytest.mark.parametrize('stage', range(4))
def test_stage_matches_released_code(recorded: dict, features: tuple, stage: int) -> None:
    assert stage_deviation(recorded, stage, features[stage]) < TOLERANCE


def test_logits_match_released_code(
    recorded: dict, features: tuple, released_state: Callable
) -> None:
    state = released_state('small', 'sg_former')
    head = (state[f'head.{name}'].double() for name in ('weight', 'bias'))
    logits = F.linear(features[3].mean((2, 3)), *head)
    assert deviation(logits.numpy(), recorded['224x224_logits']) < TOLERANCE


# Controls: each bug keeps every shape and loads the same weights; stage 1 shows it.


def broken(model: SGFormer, images: Tensor, recorded: dict) -> float:
    with torch.no_grad():
        features, _ = model.run_stages(images, 0)
    return stage_deviation(recorded, 0, features[0].permute(0, 3, 1, 2))


def of_kind(model: nn.Module, kind: type) -> list[nn.Module]:
    found = [module for module in model.stages[0].modules() if isinstance(module, kind)]
    assert found
    return found


@pytest.mark.slow
def test_control_descending_sort_fails(model: SGFormer, images: Tensor, recorded: dict) -> None:
    def negate(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return inputs[0], -inputs[1]

    handles = [m.register_forward_pre_hook(negate) for m in of_kind(model, SelfGuidedAttention)]
    try:
        assert broken(model, images, recorded) > 1e-3
    finally:
        for handle in handles:
            handle.remove()
    assert broken(model, images, recorded) < TOLERANCE


@pytest.mark.slow
def test_control_local_heads_first_fails(
    model: SGFormer, images: Tensor, recorded: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = ('_look_globally', '_look_locally')
    methods = [getattr(HybridScaleAttention, name) for name in looks]
    for name, method in zip(looks, reversed(methods), strict=True):
        monkeypatch.setattr(HybridScaleAttention, name, method)
    assert broken(model, images, recorded) > 1e-3


@pytest.mark.slow
def test_control_swapped_halves_of_heads_fail(
    model: SGFormer, images: Tensor, recorded: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and values of the second half of a self-guided block's heads for the first."""
    for mixer in of_kind(model, SelfGuidedAttention):
        first, second = mixer.kv1.forward, mixer.kv2.forward
        monkeypatch.setattr(mixer.kv1, 'forward', second)
        monkeypatch.setattr(mixer.kv2, 'forward', first)
    assert broken(model, images, recorded) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize('part', ['_look_globally', '_look_locally'])
def test_control_significance_of_one_kind_alone_fails(
    model: SGFormer, images: Tensor, recorded: dict, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    look = getattr(HybridScaleAttention, part)

    def blind(mixer: HybridScaleAttention, x: Tensor) -> tuple[Tensor, Tensor]:
        seen, significance = look(mixer, x)
        return seen, torch.zeros_like(significance)

    monkeypatch.setattr(HybridScaleAttention, part, blind)
    assert broken(model, images, recorded) > 1e-3


@pytest.mark.slow
def test_control_approximate_gelu_fails(
    model: SGFormer, images: Tensor, recorded: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(F, 'gelu', partial(F.gelu, approximate='tanh'))
    assert broken(model, images, recorded) > 1e-6


def test_norm_epsilons(model: SGFormer) -> None:
    norms = {n: m.eps for n, m in model.named_modules() if isinstance(m, nn.LayerNorm)}
    reduced = {n for n in norms if n.endswith('.mixer.norm')}
    assert len(reduced) == 1 + 2 + 8
    assert {norms[n] for n in reduced | {'patch_embeds.0.stem.norm'}} == {1e-5}
    assert {norms[n] for n in norms.keys() - reduced - {'patch_embeds.0.stem.norm'}} == {1e-6}
    groups = [m for m in model.modules() if isinstance(m, nn.GroupNorm)]
    assert len(groups) == 12
    assert {(m.eps, m.num_groups) for m in groups} == {(1e-5, 1)}
