"""Window attention against its specification, one window and one pair of pixels at a time."""

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.mixers import ShiftedWindowAttention, window

Size = tuple[int, int]
SIZES = [(1, 1), (1, 9), (4, 4), (5, 4), (8, 12), (7, 11), (13, 2), (9, 10)]


def lively(
    dim: int = 6, heads: int = 2, window: int = 4, shift: int = 0, **options: bool
) -> ShiftedWindowAttention:
    torch.manual_seed(0)
    mixer = ShiftedWindowAttention(dim, heads, window, shift, **options)
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.7)
    return mixer.double()


def among(m: ShiftedWindowAttention, tokens: Tensor, places: list[Size], mask: Tensor) -> Tensor:
    """Attention among tokens (N, C) of one window, before the last layer."""
    d, out = tokens.shape[1] // m.num_heads, torch.zeros_like(tokens)
    q, k, v = (tokens @ m.qkv.weight.T + m.qkv.bias).split(tokens.shape[1], dim=1)
    side = m.window - 1
    rows = torch.tensor(
        [[(2 * side + 1) * (r - R + side) + c - S + side for R, S in places] for r, c in places]
    )
    for head in range(m.num_heads):
        part = slice(head * d, (head + 1) * d)
        bias = m.relative_position_bias_table[rows, head]
        out[:, part] = (q[:, part] @ k[:, part].T / d**0.5 + bias + mask).softmax(1) @ v[:, part]
    return out


def cut_by_lines(m: ShiftedWindowAttention, x: Tensor, window: int, shift: int) -> Tensor:
    """Sound behaviour of one image (H, W, C): shifting just moves the lines that cut the map."""
    out = torch.zeros_like(x)

    def bands(length: int) -> list[range]:
        lines = sorted({0, length, *range(shift, length, window)})
        return [range(a, b) for a, b in itertools.pairwise(lines)]

    for rows, columns in itertools.product(bands(x.shape[0]), bands(x.shape[1])):
        places = list(itertools.product(rows, columns))
        tokens = torch.stack([x[place] for place in places])
        mixed = among(m, tokens, places, torch.zeros(len(places), len(places)))
        for place, value in zip(places, mixed):
            out[place] = value
    return m.proj(out)


def padded_and_rolled(m: ShiftedWindowAttention, x: Tensor) -> Tensor:
    """Detection behaviour of one image: zeros take part, -100 between the regions."""
    (height, width, dim), w, s = x.shape, m.window, m.shift
    high, wide = -(-height // w) * w, -(-width // w) * w
    padded, out = x.new_zeros(high, wide, dim), x.new_zeros(high, wide, dim)
    padded[:height, :width] = x

    def region(place: int, length: int) -> int:
        return 0 if place < length - w else 1 if place < length - s else 2

    for top, left in itertools.product(range(0, high, w), range(0, wide, w)):
        rolled = list(itertools.product(range(top, top + w), range(left, left + w)))
        regions = [(region(r, high), region(c, wide)) if s else 0 for r, c in rolled]
        mask = torch.tensor([[0.0 if a == b else -100.0 for b in regions] for a in regions])
        source = [((r + s) % high, (c + s) % wide) for r, c in rolled]
        mixed = among(m, torch.stack([padded[place] for place in source]), rolled, mask)
        for place, value in zip(source, mixed):
            out[place] = value
    return m.proj(out)[:height, :width]


@pytest.mark.parametrize('shift', [0, 1, 2])
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_sound_behaviour_is_the_map_cut_by_lines(size: Size, shift: int) -> None:
    mixer = lively(shift=shift, small_map_rule=False)
    x = torch.randn(2, *size, 6, dtype=torch.float64)
    for got, image in zip(mixer(x), x):
        torch.testing.assert_close(got, cut_by_lines(mixer, image, 4, shift))


@pytest.mark.parametrize('shift', [0, 1, 2])
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_detection_behaviour_sees_its_padding(size: Size, shift: int) -> None:
    mixer = lively(shift=shift, mask_padding=False, small_map_rule=False)
    x = torch.randn(2, *size, 6, dtype=torch.float64)
    for got, image in zip(mixer(x), x):
        torch.testing.assert_close(got, padded_and_rolled(mixer, image))


@pytest.mark.parametrize('mask_padding', [True, False])
@pytest.mark.parametrize('size', [(1, 1), (3, 3), (4, 9), (9, 3), (1, 5)], ids=str)
def test_small_maps_have_small_windows_and_no_shift(size: Size, mask_padding: bool) -> None:
    mixer = lively(shift=2, mask_padding=mask_padding)
    x = torch.randn(1, *size, 6, dtype=torch.float64)
    if mask_padding or max(size) % min(size) == 0:
        torch.testing.assert_close(mixer(x)[0], cut_by_lines(mixer, x[0], min(size), 0))
    wide = copy.deepcopy(mixer)
    wide.small_map_rule = False
    if size != (1, 1):
        assert (wide(x) - mixer(x)).abs().max() > 1e-3


def test_both_behaviours_agree_where_nothing_is_padded() -> None:
    sound, released = lively(shift=2), lively(shift=2, mask_padding=False)
    x = torch.randn(1, 8, 12, 6, dtype=torch.float64)
    torch.testing.assert_close(sound(x), released(x))


@pytest.mark.parametrize('shift', [0, 2])
def test_every_entry_of_the_bias_table_gets_a_gradient(shift: int) -> None:
    mixer = lively(shift=shift)
    mixer(torch.randn(1, 9, 10, 6, dtype=torch.float64)).square().sum().backward()
    assert mixer.relative_position_bias_table.grad.all()


@pytest.mark.parametrize('window, shift', [(0, 0), (7, 7), (7, -1)])
def test_impossible_windows(window: int, shift: int) -> None:
    with pytest.raises(ValueError, match=f'0 to window - 1, got {shift} and {window}'):
        ShiftedWindowAttention(8, 2, window, shift)


def test_heads_beyond_the_rows_of_a_grid_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's CUDA kernels take 65,535 heads; windows of a masked map count with them."""
    torch.manual_seed(0)
    mixer, x = ShiftedWindowAttention(8, 2, window=3, shift=1), torch.randn(2, 11, 13, 8)
    want = mixer(x)
    calls: list[int] = []
    attend = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F,
        'scaled_dot_product_attention',
        lambda q, *rest: calls.append(q.shape[1]) or attend(q, *rest),
    )
    monkeypatch.setattr(window, 'MOST_HEADS', 7)
    assert torch.equal(mixer(x), want)
    assert len(calls) > 1 and max(calls) <= 7 and sum(calls) == 2 * 4 * 5
