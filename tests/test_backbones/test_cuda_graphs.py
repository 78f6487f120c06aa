"""CUDA graphs of networks replay what eager calls compute, also on new images."""

import copy
import gc
from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SMT, SGFormer, UnifiedBackbone
from mmsmt.deploy import deploy
from mmsmt.layers.constant_cache import KEPT

pytestmark = pytest.mark.cuda

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    'smt': lambda: SMT('pico'),
    'smt, deploy form': lambda: deploy(SMT('pico')),
    'sg_former': lambda: SGFormer('pico'),
    **{
        f'unified {kind}': lambda kind=kind: UnifiedBackbone(kind, 'pico')
        for kind in ('halo', 'window', 'sra', 'dwconv', 'dcnv3')
    },
}


@pytest.fixture(autouse=True)
def nothing_left_on_the_gpu() -> Iterator[None]:
    yield
    gc.collect()
    torch.cuda.empty_cache()


def assert_near(got: Iterable[Tensor], want: Iterable[Tensor]) -> None:
    """By root mean squares: rounding may swap two pixels that SG-Former sorts."""
    for a, b in zip(got, want, strict=True):
        assert ((a - b).square().mean() / b.square().mean()).sqrt().item() < 1e-3


def draw(seed: int, batch: int = 2, height: int = 61, width: int = 97) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, height, width, generator=generator).cuda()


@pytest.mark.parametrize('name', NETWORKS)
def test_replay_equals_eager(name: str) -> None:
    """Masks, which eager calls share in a cache, must outlive the cache in a graph."""
    torch.manual_seed(0)
    model = NETWORKS[name]().eval().cuda()
    images = draw(0)
    with torch.inference_mode():
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                model(images)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            maps = model(images)
        for seed in (1, 2):
            images.copy_(draw(seed))
            graph.replay()
            assert_near(maps, model(images))
        # Push everything out of the cache, and write over what it has freed.
        for size in range(KEPT + 1):
            model(draw(0, 1, 33 + 8 * size, 40 + 8 * size))
        torch.cuda.synchronize()
        sizes = [2**power for power in range(5, 19) for _ in range(32)]
        junk = [torch.full((size,), torch.nan, device='cuda') for size in sizes]
        images.copy_(draw(3))
        graph.replay()
        assert_near(maps, model(images))
        del junk


def test_a_graphed_training_step_has_the_gradients_of_an_eager_one() -> None:
    torch.manual_seed(0)
    model = SMT('pico', layer_scale_init_value=0.5, drop_path_rate=0.0).cuda()
    eager = copy.deepcopy(model)
    graphed = torch.cuda.make_graphed_callables(model, (draw(0),))
    images = draw(1)
    got, want = graphed(images), eager(images)
    assert_near(got, want)
    weights = [torch.randn_like(each) for each in want]
    torch.autograd.backward(got, weights)
    torch.autograd.backward(want, weights)
    gradients = [torch.cat([p.grad.flatten() for p in m.parameters()]) for m in (model, eager)]
    assert_near(gradients[:1], gradients[1:])
