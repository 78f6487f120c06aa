"""Windows of maps of any size, against slices."""

import pytest
import torch

from mmsmt.layers import from_windows, pad_to_multiple, to_windows


@pytest.mark.parametrize('size', [1, 3, 7])
@pytest.mark.parametrize('height, width', [(1, 1), (7, 14), (8, 13), (2, 20)])
def test_windows_are_slices_row_by_row(height: int, width: int, size: int) -> None:
    x = torch.randn(2, height, width, 3)
    windows = to_windows(x, size)
    rows, columns = -(-height // size), -(-width // size)
    assert windows.shape == (2 * rows * columns, size * size, 3)
    for image in range(2):
        for row in range(rows):
            for column in range(columns):
                got = windows[(image * rows + row) * columns + column].reshape(size, size, 3)
                piece = x[image, row * size : (row + 1) * size, column * size : (column + 1) * size]
                h, w = piece.shape[:2]
                assert torch.equal(got[:h, :w], piece)
                assert not got[h:].any() and not got[:, w:].any()
    assert torch.equal(from_windows(windows, size, height, width), x)


def test_padding_is_zero_below_and_on_the_right() -> None:
    x = torch.ones(1, 5, 8, 2)
    padded = pad_to_multiple(x, 4)
    assert padded.shape == (1, 8, 8, 2)
    assert (padded[:, :5] == 1).all() and not padded[:, 5:].any()
    assert torch.equal(pad_to_multiple(x, 1), x)
