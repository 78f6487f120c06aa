"""The position table: its recorded rows, its formula, its interpolation."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from mmsmt.layers import PositionMap, PositionTable, resample_table, stretch_map


def test_recorded_rows(golden: Callable) -> None:
    """What the released code initialises, to 1e-6."""
    recorded = golden('golden_small', 'sg_former')
    rows = torch.from_numpy(recorded['pos_embed_table_rows'])
    want = torch.from_numpy(recorded['pos_embed_table'])
    got = PositionTable(want.shape[1], 56).table[0, rows]
    torch.testing.assert_close(got, want, atol=1e-6, rtol=0)


@pytest.mark.parametrize('row, column', [(0, 0), (2, 5), (6, 1)])
def test_formula(row: int, column: int) -> None:
    entry = PositionTable(8, 7).table[0, row * 7 + column]
    angles = [(p, p / 100) for p in (column, row)]
    want = [f(a) for pair in angles for f in (math.sin, math.cos) for a in pair]
    torch.testing.assert_close(entry.tolist(), want, atol=1e-6, rtol=0)


def test_same_grid_is_exact() -> None:
    position = PositionTable(8, 5)
    torch.nn.init.normal_(position.table)
    x = torch.randn(2, 5, 5, 8)
    assert torch.equal(position(x), x + position.table.reshape(1, 5, 5, 8))


def cubic_weights(source: int, target: int) -> torch.Tensor:
    """Cubic convolution (Keys 1981, a = -0.75), pixel centres aligned, borders repeated."""
    weights = torch.zeros(target, source, dtype=torch.float64)
    for i in range(target):
        centre = (i + 0.5) * source / target - 0.5
        for j in range(math.floor(centre) - 1, math.floor(centre) + 3):
            d = abs(centre - j)
            near = 1.25 * d**3 - 2.25 * d**2 + 1
            far = -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
            weights[i, min(max(j, 0), source - 1)] += near if d <= 1 else far
    return weights


@pytest.mark.parametrize('target', [(10, 5), (5, 20), (3, 7), (1, 1)])
def test_other_grids_are_interpolated_bicubically(target: tuple[int, int]) -> None:
    table = torch.randn(1, 5 * 6, 4, dtype=torch.float64)
    rows, columns = (cubic_weights(n, m) for n, m in zip((5, 6), target, strict=True))
    want = torch.einsum('ij,kl,jlc->ikc', rows, columns, table[0].reshape(5, 6, 4))
    torch.testing.assert_close(resample_table(table, (5, 6), target)[0], want)


@pytest.mark.parametrize('size', [(1, 1), (3, 9), (8, 8)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_any_size_and_precision(size: tuple[int, int], dtype: torch.dtype) -> None:
    position = PositionTable(8, 4).to(dtype)
    out = position(torch.zeros(2, *size, 8, dtype=dtype))
    assert out.dtype == dtype
    assert out.shape == (2, *size, 8)
    out.square().sum().backward()
    assert position.table.grad.isfinite().all()


def test_map_is_added_as_it_is_or_stretched_corner_to_corner() -> None:
    position = PositionMap(2, (3, 5))
    x = torch.randn(2, 3, 5, 2)
    torch.testing.assert_close(position(x), x + position.table[0].permute(1, 2, 0))
    ramp = torch.linspace(0, 4, 5)[:, None] + torch.linspace(0, 8, 3)
    want = torch.linspace(0, 4, 9)[:, None] + torch.linspace(0, 8, 5)
    torch.testing.assert_close(stretch_map(ramp[None, None], (9, 5))[0, 0], want)


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (6, 2)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_map_of_any_size_and_precision(size: tuple[int, int], dtype: torch.dtype) -> None:
    position = PositionMap(4, (3, 5))
    out = position(torch.zeros(2, *size, 4, dtype=dtype))
    assert out.dtype == dtype and out.shape == (2, *size, 4)
    out.square().sum().backward()
    assert position.table.grad.isfinite().all()


def test_autocast_does_not_go_on_in_float32() -> None:
    assert PositionTable(8, 4)(torch.zeros(1, 6, 6, 8).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize('dim', [0, 6])
def test_channels_that_do_not_divide(dim: int) -> None:
    with pytest.raises(ValueError, match=f'must be a multiple of 4, got {dim}'):
        PositionTable(dim, 4)


@pytest.mark.parametrize('kind', ['table', 'map'])
def test_own_size_is_not_interpolated(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    layer = PositionTable(8, 5) if kind == 'table' else PositionMap(8, (5, 5))
    x = torch.randn(2, 5, 5, 8)
    want = layer(x[:, :5])
    monkeypatch.setattr(F, 'interpolate', lambda *_, **__: pytest.fail('interpolated'))
    assert torch.equal(layer(x), want)
    grid = layer.table.unflatten(1, (5, 5)) if kind == 'table' else layer.table.permute(0, 2, 3, 1)
    assert torch.equal(layer(x), x + grid)
