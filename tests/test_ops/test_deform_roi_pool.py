"""Deformable RoI pooling against its definition: compiled mmcv has no form of it for a CPU."""

from math import ceil, floor

import mmcv.ops
import pytest
import torch
from box_operators import check_halves, use_ours
from torch import Tensor

from mmsmt.ops import roi_bins


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_ours(monkeypatch)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


X = random(2, 2, 7, 8)
ROIS = torch.tensor(
    [
        [0, 1.2, 2.3, 6.9, 5.7],
        [1, 3.0, 3, 3, 3],
        [1, -6.0, -4.5, 5.3, 4.2],
        [0, 5.0, 4.5, 13, 11],
        [0, 40.0, 40, 48, 45],
        [1, 6.0, 5, 2, 3],
    ],
    dtype=torch.float64,
)
OFFSET = random(6, 2, 2, 3)


def sample(plane: Tensor, y: float, x: float) -> float:
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    total = 0.0
    for i in (floor(y), floor(y) + 1):
        for j in (floor(x), floor(x) + 1):
            share = (1 - abs(y - i)) * (1 - abs(x - j))
            total += share * float(plane[i, j]) if share else 0.0
    return total


def defined(
    x: Tensor, rois: Tensor, offset: Tensor | None, pooled: tuple[int, int],
    scale: float, ratio: int, gamma: float,
) -> Tensor:  # fmt: skip
    """Averages of samples in bins, each moved by its offset."""
    result = torch.zeros(len(rois), x.shape[1], *pooled, dtype=x.dtype)
    for r, (image, *box) in enumerate(rois.tolist()):
        left, top, right, bottom = (v * scale - 0.5 for v in box)
        roi_w, roi_h = right - left, bottom - top
        down = ratio or ceil(roi_h / pooled[0])
        across = ratio or ceil(roi_w / pooled[1])
        for i in range(pooled[0]):
            for j in range(pooled[1]):
                dx, dy = (0, 0) if offset is None else offset[r, :, i, j].tolist()
                for c in range(x.shape[1]):
                    total = 0.0
                    for a in range(down):
                        for b in range(across):
                            y = (
                                top
                                + gamma * roi_h * dy
                                + (i + (a + 0.5) / down) * roi_h / pooled[0]
                            )
                            u = (
                                left
                                + gamma * roi_w * dx
                                + (j + (b + 0.5) / across) * roi_w / pooled[1]
                            )
                            total += sample(x[int(image), c], y, u)
                    result[r, c, i, j] = total / max(down * across, 1)
    return result


@pytest.mark.parametrize('samples', [20, 1 << 20])
@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('scale', [1.0, 0.5])
@pytest.mark.parametrize('offset', [None, OFFSET])
def test_results_are_the_defined_ones(
    offset: Tensor | None, scale: float, ratio: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roi_bins, 'SAMPLES', samples)
    args = (offset, (2, 3), scale, ratio, 0.1)
    expected = defined(X, ROIS, *args)
    torch.testing.assert_close(mmcv.ops.deform_roi_pool(X, ROIS, *args), expected)
    single = mmcv.ops.deform_roi_pool(
        X.float(), ROIS.float(), None if offset is None else offset.float(), *args[1:]
    )
    torch.testing.assert_close(single, expected.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('samples', [20, 1 << 20])
@pytest.mark.parametrize('ratio', [0, 2])
def test_gradients_are_slopes(ratio: int, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roi_bins, 'SAMPLES', samples)
    x, offset = X[:, :1, :5, :6].clone().requires_grad_(), OFFSET.clone().requires_grad_()
    pool = mmcv.ops.deform_roi_pool
    options = ((2, 3), 1.0, ratio, 0.1)
    assert torch.autograd.gradcheck(lambda x, o: pool(x, ROIS, o, *options), (x, offset))
    assert torch.autograd.gradcheck(lambda x: pool(x, ROIS, None, *options), x)


def test_without_a_shift_it_is_roi_align() -> None:
    rois = ROIS[:5]
    found = mmcv.ops.deform_roi_pool(X, rois, torch.zeros(5, 2, 2, 2).double(), 2, 1.0, 2)
    torch.testing.assert_close(found, mmcv.ops.roi_align(X, rois, 2, 1.0, 2))


def test_half_types_are_rounded_once() -> None:
    check_halves('deform_roi_pool', [X, ROIS, OFFSET, (2, 3), 1.0, 2])


def test_the_packs_of_layers_learn() -> None:
    rois = ROIS[:5].float()
    for pack in (mmcv.ops.DeformRoIPoolPack, mmcv.ops.ModulatedDeformRoIPoolPack):
        layer = pack((3, 3), 2, deform_fc_channels=8)
        layer(X.float(), rois).square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
        assert layer.offset_fc[-1].weight.grad.abs().sum() > 0


def test_nothing_gives_nothing() -> None:
    none, no_offset = ROIS[:0], OFFSET[:0].clone().requires_grad_()
    pooled = mmcv.ops.deform_roi_pool(X.clone().requires_grad_(), none, no_offset, (2, 3))
    pooled.sum().backward()
    assert pooled.shape == (0, 2, 2, 3)


def test_types_shapes_and_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RuntimeError, match='expected'):
        mmcv.ops.deform_roi_pool(X, ROIS.float(), None, 2)
    with pytest.raises(RuntimeError, match='offset'):
        mmcv.ops.deform_roi_pool(X, ROIS, OFFSET, 2)
    with pytest.raises(RuntimeError, match='in a batch of 1'):
        mmcv.ops.deform_roi_pool(X[:1], ROIS, None, 2)
