"""Random networks and images, drawn by hypothesis: `Case` and the strategies that make it.

In CI the same cases every time, few of them; `--hypothesis-profile long` draws others, many.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from torch import Tensor

from mmsmt.backbones import SMT, FourStageBackbone, SGFormer, UnifiedBackbone
from mmsmt.backbones.unified_archs import ARCHS

# A case takes tens of milliseconds, but much more next to other processes.
_COMMON = dict(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
settings.register_profile('ci', derandomize=True, max_examples=12, database=None, **_COMMON)
settings.register_profile('long', max_examples=1000, **_COMMON)
settings.load_profile('ci')

NETWORKS: dict[str, type[FourStageBackbone]] = {
    'SMT': SMT,
    'SGFormer': SGFormer,
    'UnifiedBackbone': UnifiedBackbone,
}
# All of them the same numbers at other places of memory.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    'contiguous': lambda x: x,
    'channels last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'transposed': lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    'cropped': lambda x: torch.nn.functional.pad(x, (2, 3, 1, 4))[..., 1:-4, 2:-3],
    'every second': lambda x: x.repeat_interleave(2, dim=3)[..., ::2],
    'some channels': lambda x: torch.cat([x, x], dim=1)[:, : x.shape[1]],
    'unaligned': lambda x: torch.cat([x.new_zeros(1), x.flatten()])[1:].view_as(x),
    'channels outermost': lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
}


@dataclass(frozen=True)
class Case:
    """A network, and an image batch for it.

    Args:
        network: Name in `NETWORKS`.
        options: Arguments of its constructor.
        size: (B, C, H, W).
        dtype: Of weights and images.
        layout: Name in `LAYOUTS`.
        seed: Of weights and pixels.
    """

    network: str
    options: dict[str, Any] = field(hash=False)
    size: tuple[int, int, int, int]
    dtype: torch.dtype
    layout: str
    seed: int

    def build(self, **changes: object) -> FourStageBackbone:
        """The network with weights and statistics that all count; the same ones every time."""
        torch.manual_seed(self.seed)
        model = NETWORKS[self.network](**{**self.options, **changes})
        generator = torch.Generator().manual_seed(self.seed)
        with torch.no_grad():
            for name, value in model.state_dict().items():
                if value.is_floating_point():
                    noise = torch.empty_like(value).normal_(0, 0.1, generator=generator)
                    value.add_(noise.abs() if name.endswith('running_var') else noise)
        return model.to(self.dtype)

    def images(self) -> Tensor:
        """Contiguous noise; `laid_out` puts it where the case has it."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.size, generator=generator).to(self.dtype)

    def laid_out(self) -> Tensor:
        """The images in the case's memory layout."""
        return LAYOUTS[self.layout](self.images())

    @property
    def plain(self) -> dict[str, Any]:
        """What turns the network into one without options: all outputs, nothing frozen."""
        return dict(out_indices=(0, 1, 2, 3), frozen_stages=-1, norm_eval=False, with_cp=False)

    @property
    def guided(self) -> bool:
        """Whether pixels are sorted: there a last digit may change much, see `SGFormer`."""
        named = self.network == 'SGFormer' and self.options['arch'] == 'pico'
        return named or 'self_guided' in repr(self.options)

    def as_dtype(self, dtype: torch.dtype) -> 'Case':
        """The same in another precision."""
        return replace(self, dtype=dtype)


SIDES = st.sampled_from([3, 4, 5, 7, 13, 31, 32, 33, 61, 64]) | st.integers(3, 100)
SMALL = st.integers(1, 8)
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])
RUNS = st.lists(SMALL, min_size=2, max_size=3)
FLAG = st.booleans()


def _kind(name: str, **arguments: st.SearchStrategy) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({'type': st.just(name), **arguments})


HEADS, EVEN = st.sampled_from([1, 2, 4, 8]), st.sampled_from([2, 4, 8])
_WINDOWS = st.integers(1, 8).flatmap(lambda w: st.tuples(st.just(w), st.integers(0, w - 1)))
MIXERS = {
    'sam': _kind('sam', num_heads=HEADS, expansion=st.integers(1, 3)),
    'msa': _kind('msa', num_heads=HEADS, qkv_bias=FLAG, local=st.sampled_from(['values', 'input'])),
    'halo': _kind('halo', num_heads=HEADS, block=SMALL, halo=st.integers(0, 4), mask_padding=FLAG),
    'window': st.builds(
        lambda sides, **given: dict(type='window', window=sides[0], shift=sides[1], **given),
        _WINDOWS,
        num_heads=HEADS,
        mask_padding=FLAG,
        small_map_rule=FLAG,
    ),
    'sra': _kind('sra', num_heads=HEADS, reduction=SMALL, whole_map=FLAG),
    'dwconv': _kind('dwconv', kernel_size=st.sampled_from([1, 3, 5, 7])),
    'dcnv3': _kind('dcnv3', num_heads=HEADS),
    'hybrid_scale': _kind('hybrid_scale', num_heads=EVEN, reduction=SMALL, window=SMALL),
    'self_guided': _kind('self_guided', num_heads=EVEN, runs=RUNS),
}


@st.composite
def stage_mixers(draw: st.DrawFn, depth: int) -> list[dict[str, Any]]:
    """A mixer for every block; self-guided ones only after their guide."""
    found: list[dict[str, Any]] = []
    for _ in range(depth):
        guided = any(mixer['type'] == 'hybrid_scale' for mixer in found)
        names = [name for name in MIXERS if guided or name != 'self_guided']
        found.append(draw(MIXERS[draw(st.sampled_from(names))]))
    return found


@st.composite
def small_networks(draw: st.DrawFn, network: str) -> dict[str, Any]:
    """Few channels and blocks, any mixer in any block."""
    depths = [draw(st.integers(1, 2)) for _ in range(4)]
    options: dict[str, Any] = dict(
        embed_dims=[draw(st.sampled_from([8, 16, 24])) for _ in range(4)],
        depths=depths,
        mlp_ratios=[draw(st.sampled_from([1, 2, 0.5, 2.75])) for _ in range(4)],
        mixers=[draw(stage_mixers(depth)) for depth in depths],
        layer_scale_init_value=draw(st.sampled_from([0.0, 0.5])),
    )
    if network == 'SMT':
        options['stem_kernel'] = draw(st.sampled_from([1, 3, 7]))
    if network == 'SGFormer':
        options['position_grid'] = draw(st.integers(1, 9))
    arguments: dict[str, Any] = dict(arch=options, in_channels=draw(st.sampled_from([3, 1, 4])))
    if network == 'UnifiedBackbone':
        options['image_size'] = draw(st.tuples(SIDES, SIDES))
        arguments['behaviour'] = draw(st.sampled_from(['classification', 'detection']))
    return arguments


@st.composite
def networks(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A network's name and arguments: its smallest variant, or one nobody has thought of."""
    network = draw(st.sampled_from(list(NETWORKS)))
    if draw(st.integers(0, 3)):
        options = draw(small_networks(network))
    else:
        options = dict(arch='pico', in_channels=3, drop_path_rate=0.0)
        if network == 'UnifiedBackbone':
            options['mixer'] = draw(st.sampled_from(list(ARCHS)))
    options['out_indices'] = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True))
    options['frozen_stages'] = draw(st.integers(-1, 4))
    options['norm_eval'], options['with_cp'] = draw(FLAG), draw(FLAG)
    return network, options


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A network and images that it takes."""
    network, options = draw(networks())
    size = (draw(st.integers(1, 3)), options['in_channels'], draw(SIDES), draw(SIDES))
    layout = draw(st.sampled_from(list(LAYOUTS)))
    return Case(network, options, size, draw(DTYPES), layout, draw(st.integers(0, 2**31)))


@pytest.fixture(scope='session', name='cases')
def _cases() -> st.SearchStrategy[Case]:
    """Networks, each with images that it takes."""
    return cases()
