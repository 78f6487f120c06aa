"""Tiling of large maps into pieces that fit the cache.

New pages and slow memory cost more than the arithmetic on wide maps, so a branch of a block runs
from its norm to its sum on some images, or on some rows of one, before it goes on to the next.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mmsmt.deploy.prepacked import runs_eagerly_on_cpu

# By measurement of SMT-T on two cores with 1 MiB of second-level cache each and 32 MiB of shared
# third-level cache; from 4 to 24 MiB all is within a tenth, whole maps took a fifth longer.
TILE_BYTES = 8 * 2**20


def run_in_tiles(
    step: Callable[[Tensor, Tensor, slice], Tensor],
    x: Tensor,
    other: Tensor,
    reach: int,
    width: int,
) -> Tensor:
    """Apply a function to (B, H, W, C), in eager inference on a CPU piece by piece.

    Args:
        step: From some rows of `x`, the rows of `other` that are wanted, and which of the rows
            of the former they are, to the result there.
        x: What the result is made of.
        other: What joins it, (B, H, W, C').
        reach: How many rows further up and down a row of the result depends on.
        width: Channels of the widest map in between.
    """
    batch, height = x.shape[:2]
    images, rows = _cut(x, reach, width) if runs_eagerly_on_cpu(x) else (batch, height)
    if images >= batch and rows >= height:
        return step(x, other, slice(None))
    pieces = []
    for some, theirs in zip(x.split(images), other.split(images), strict=True):
        for top in range(0, height, rows):
            first = max(top - reach, 0)
            seen = some[:, first : top + rows + reach]
            wanted = theirs[:, top : top + rows]
            inner = slice(top - first, top - first + wanted.shape[1])
            pieces.append(step(seen, wanted, inner))
    return torch.cat([piece.flatten(0, 2) for piece in pieces]).reshape(other.shape)


def _cut(x: Tensor, reach: int, width: int) -> tuple[int, int]:
    """How many images and rows are taken at once."""
    batch, height = x.shape[:2]
    row_bytes = x.shape[2] * width * x.element_size()
    if batch * height * row_bytes <= TILE_BYTES:
        return batch, height
    rows = max(TILE_BYTES // row_bytes, 4 * reach, 1)
    if rows >= height:
        return _evenly(batch, rows // height), height
    return 1, _evenly(height, rows)


def _evenly(total: int, most: int) -> int:
    """A size of pieces, of `most` at most, that leaves no small one at the end."""
    return -(-total // -(-total // most))
