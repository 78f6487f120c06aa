"""Deformable convolution against its specification, one pixel, head and point at a time."""

import copy
import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.mixers import DeformableConvV3, dcnv3

Size = tuple[int, int]
SIZES = [(1, 1), (1, 7), (4, 5), (7, 3)]


def lively(dim: int = 6, heads: int = 2) -> DeformableConvV3:
    """Offsets of some pixels, so that many points are beyond small maps."""
    torch.manual_seed(0)
    mixer = DeformableConvV3(dim, heads)
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.7)
    return mixer.double()


def written_out(m: DeformableConvV3, x: Tensor) -> Tensor:
    """Of one image (H, W, C): the corners of every point weighed one by one."""
    (height, width, dim), g = x.shape, m.num_heads
    v, d = m.value_proj(x), dim // g
    filtered = F.conv2d(
        x.permute(2, 0, 1)[None], m.dw_conv.weight, m.dw_conv.bias, padding=1, groups=dim
    )
    hidden = F.layer_norm(filtered[0].permute(1, 2, 0), (dim,), m.norm.weight, m.norm.bias, 1e-5)
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    offsets = m.sampling_offsets(hidden).view(height, width, g, 9, 2)
    logits = m.attention_weights(hidden).view(height, width, g, 9)
    out = torch.zeros_like(x)
    for row, col, head in itertools.product(range(height), range(width), range(g)):
        part = slice(head * d, (head + 1) * d)
        share = logits[row, col, head].exp() / logits[row, col, head].exp().sum()
        for a, b in itertools.product(range(3), range(3)):
            moved = offsets[row, col, head, 3 * a + b]
            px, py = (col + a - 1 + moved[0]).item(), (row + b - 1 + moved[1]).item()
            for r, c in itertools.product(
                (math.floor(py), math.floor(py) + 1), (math.floor(px), math.floor(px) + 1)
            ):
                if 0 <= r < height and 0 <= c < width:
                    near = (1 - abs(py - r)) * (1 - abs(px - c))
                    out[row, col, part] += share[3 * a + b] * near * v[r, c, part]
    return m.output_proj(out)


@pytest.mark.parametrize('trains', [True, False], ids=['with gradients', 'without'])
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_formula(size: Size, trains: bool) -> None:
    """Both ways of sampling."""
    mixer = lively()
    x = torch.randn(2, *size, 6, dtype=torch.float64)
    with torch.set_grad_enabled(trains):
        got = mixer(x)
    for image in range(2):
        torch.testing.assert_close(got[image], written_out(mixer, x[image]))


def test_whole_and_far_offsets() -> None:
    """Points on pixels, on the border of the map, and farther out than integers reach."""
    mixer = lively()
    nn.init.zeros_(mixer.sampling_offsets.weight)
    x = torch.randn(1, 3, 4, 6, dtype=torch.float64)
    for offset in (0.0, 1.0, -2.0, 3.0, 4.0, -4.5, 1e12, -1e30):
        nn.init.constant_(mixer.sampling_offsets.bias, offset)
        with torch.no_grad():
            torch.testing.assert_close(mixer(x)[0], written_out(mixer, x[0]))


@pytest.mark.parametrize('trains', [True, False], ids=['with gradients', 'without'])
def test_nan_of_one_image_stays_in_it(trains: bool) -> None:
    mixer = lively()
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    want = mixer(x)[1]
    x[0] = torch.nan
    with torch.set_grad_enabled(trains):
        got = mixer(x)
    assert got[0].isnan().all()
    torch.testing.assert_close(got[1], want)


def test_initial_offsets_are_small_and_not_zero() -> None:
    """The last initialisation of the released models overrides the first."""
    torch.manual_seed(0)
    mixer = DeformableConvV3(64, 4)
    for layer in (mixer.sampling_offsets, mixer.attention_weights, mixer.dw_conv):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not layer.bias.any()
    assert mixer.norm.eps == 1e-5


@pytest.mark.parametrize('trains', [True, False], ids=['with gradients', 'without'])
def test_sampling_is_exact_under_mixed_precision(trains: bool) -> None:
    """From bfloat16's layers on, the rest is as in float32."""
    mixer = lively(64, 4).float()
    for layer in (mixer.sampling_offsets, mixer.attention_weights):
        nn.init.normal_(layer.weight, std=0.02)
    x = torch.randn(1, 40, 40, 64)
    want = copy.deepcopy(mixer).double()(x.double())
    seen = []
    mixer.output_proj.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.set_grad_enabled(trains), torch.autocast('cpu', torch.bfloat16):
        got = mixer(x)
    assert got.dtype == seen[0].dtype == torch.bfloat16
    # A point at column 39 has steps of a quarter pixel in bfloat16, which would show here.
    assert (got - want).abs().mean() < 0.0125 * want.abs().mean()
    half = copy.deepcopy(mixer).half()
    with torch.set_grad_enabled(trains):
        got = half(x.half())
    assert got.dtype == torch.float16
    assert (got - want).abs().mean() < 0.0016 * want.abs().mean()


@pytest.mark.parametrize(('device', 'trains'), [('cpu', True), ('meta', False)])
def test_bags_sample_on_a_cpu_without_gradients_only(
    device: str, trains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere their indices take much memory, or their backward pass much time."""
    monkeypatch.setattr(dcnv3, 'sample_by_bags', None)
    mixer = DeformableConvV3(8, 2).to(device).requires_grad_(trains)
    assert mixer(torch.ones(1, 3, 4, 8, device=device)).shape == (1, 3, 4, 8)
    if device == 'cpu':
        with torch.no_grad(), pytest.raises(TypeError):
            mixer(torch.ones(1, 3, 4, 8))


@pytest.mark.cuda
def test_memory_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 1 of 8 images of 800 x 1216 pixels; the choice of a CPU is none of a GPU."""
    monkeypatch.setattr(dcnv3, 'sample_by_bags', None)
    mixer = DeformableConvV3(64, 4).cuda()
    x = torch.randn(8, 200, 304, 64, device='cuda')

    def added(call: Callable[[], object]) -> float:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**30

    # The tensors that live at once take 3.1 and 4.1 GiB.
    with torch.inference_mode():
        assert added(lambda: mixer(x)) < 3.6
    assert added(lambda: mixer(x.requires_grad_()).sum().backward()) < 4.8
