"""All four released variants: names, shapes, sizes, and both spellings of one layer."""

from collections.abc import Callable

import pytest
import torch

from mmsmt.backbones import SMT
from mmsmt.checkpoints import split_state_dict

# Millions of parameters with a linear layer to 1,000 classes, of the released code.
PARAMETERS = {'tiny': 11.507, 'small': 22.551, 'base': 32.037, 'large': 80.620}


def build_empty(**options: object) -> SMT:
    """A model without memory for its weights: names and shapes only."""
    with torch.device('meta'):
        return SMT(**options)


def as_detection_copy(name: str) -> str:
    """The name in the authors' detection and segmentation copies of the backbone."""
    return name.replace('.attn.local_conv.', '.attn.dw_conv.')


@pytest.mark.parametrize('spelling', ['local_conv', 'dw_conv'])
@pytest.mark.parametrize('arch', PARAMETERS)
def test_names_and_shapes(released_keys: Callable, arch: str, spelling: str) -> None:
    released = released_keys(arch)
    if spelling == 'dw_conv':
        renamed = {as_detection_copy(name): shape for name, shape in released.items()}
        assert renamed.keys() != released.keys()
        released = renamed
    state = {name: torch.empty(shape, device='meta') for name, shape in released.items()}
    parts = split_state_dict(state, SMT.dialects)
    assert set(parts.head) == {'weight', 'bias'}
    assert parts.other == {}
    assert len(parts.backbone) == len(released) - 2, 'two names became one'
    ours = build_empty(arch=arch).state_dict()
    assert {n: tuple(t.shape) for n, t in parts.backbone.items()} == {
        n: tuple(t.shape) for n, t in ours.items()
    }


@pytest.mark.parametrize('arch', PARAMETERS)
def test_parameter_count(released_keys: Callable, arch: str) -> None:
    count = sum(p.numel() for p in build_empty(arch=arch).parameters())
    head = released_keys(arch)['head.weight']
    assert head[0] == 1000
    assert round((count + head[0] * head[1] + head[0]) / 1e6, 3) == PARAMETERS[arch]


def test_published_count_of_small_is_that_of_a_shallower_last_stage() -> None:
    """20.5 M in the paper; depths (3, 4, 18, 1), which `depths` selects, have 20.43 M."""
    model = build_empty(arch='small', depths=(3, 4, 18, 1))
    assert [len(blocks) for blocks in model.stages] == [3, 4, 18, 1]
    count = sum(p.numel() for p in model.parameters()) + 1000 * 513
    assert count == 20_432_808
    assert abs(count / 1e6 - 20.5) < 0.1 < abs(PARAMETERS['small'] - 20.5)


@pytest.mark.parametrize('arch', PARAMETERS)
def test_mixers_of_the_paper(arch: str) -> None:
    kinds = [
        [type(block.mixer).__name__ for block in blocks] for blocks in build_empty(arch=arch).stages
    ]
    sam, msa = 'ScaleAwareModulation', 'MultiHeadSelfAttention'
    assert set(kinds[0] + kinds[1]) == {sam}
    assert kinds[2] == [sam, msa] * (len(kinds[2]) // 2)
    assert set(kinds[3]) == {msa}


@pytest.mark.parametrize('arch', PARAMETERS)
def test_heads_of_the_paper(arch: str) -> None:
    stages = build_empty(arch=arch).stages
    for i, blocks in enumerate(stages):
        for block in blocks:
            is_sam = hasattr(block.mixer, 'head_convs')
            assert block.mixer.num_heads == (4 if is_sam else {2: 8, 3: 16}[i])


@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.', 'module.backbone.'])
def test_both_spellings_load_the_same_weights(released_state: Callable, prefix: str) -> None:
    released = released_state('tiny')
    if 'backbone.' in prefix:  # a detector has no classifier in its backbone
        released = {n: v for n, v in released.items() if not n.startswith('head.')}
    first, second = SMT(arch='tiny'), SMT(arch='tiny')
    first.load_state_dict(released)
    second.load_state_dict({prefix + as_detection_copy(n): v for n, v in released.items()})
    want = {as_detection_copy(name): value for name, value in released.items()}
    loaded = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    for (name, one), other in loaded:
        assert torch.equal(one, other), name
    # One entry by hand, so that two equal mistakes do not pass for agreement.
    key = 'stages.2.1.mixer.dwconv.weight'
    assert torch.equal(second.state_dict()[key], want['block3.1.attn.dw_conv.weight'])


def test_nothing_is_dropped_in_silence(released_state: Callable) -> None:
    """The authors' copies load with `strict=False`; here an unknown spelling is an error."""
    state = {
        name.replace('.local_conv.', '.conv_local.'): value
        for name, value in released_state('tiny').items()
    }
    with pytest.raises(RuntimeError) as error:
        SMT(arch='tiny').load_state_dict(state)
    assert 'missing: stages.2.1.mixer.dwconv.weight' in str(error.value)
    assert 'unexpected: stages.2.1.mixer.conv_local.weight' in str(error.value)
