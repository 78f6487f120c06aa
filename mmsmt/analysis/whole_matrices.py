"""SG-Former's attention with every matrix held whole, to compare with.

The package uses fused attention and sums its columns in chunks. Here one matrix of queries times
keys serves both, as its formula reads, and autograd keeps it until the backward pass.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from torch import Tensor, nn

from mmsmt.layers.attention import split_heads
from mmsmt.mixers import hybrid_scale, msa, self_guided


class WholeMatrices:
    """Stand-ins for `attend` and `received_attention`.

    Args:
        entries: Filled with the number of entries of every matrix.
    """

    def __init__(self) -> None:
        self.entries: list[int] = []
        self._last: Tensor | None = None

    def _matrix(self, q: Tensor, k: Tensor, num_heads: int, mask: Tensor | None) -> Tensor:
        scale = (q.shape[-1] // num_heads) ** -0.5
        scores = split_heads(q, num_heads) @ split_heads(k, num_heads).transpose(-2, -1) * scale
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        self.entries.append(scores.numel())
        return scores.softmax(-1)

    def received_attention(
        self, q: Tensor, k: Tensor, num_heads: int, valid: Tensor | None = None
    ) -> Tensor:
        """As `mmsmt.layers.received_attention`; `attend` is called with the same q, k next."""
        mask = None if valid is None else valid[:, None, None]
        self._last = self._matrix(q, k, num_heads, mask)
        given = self._last.detach()
        if valid is not None:
            given = given * valid[:, None, :, None]
        return given.sum((1, 2)) / num_heads

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, num_heads: int, mask: Tensor | None = None
    ) -> Tensor:
        """As `mmsmt.layers.attend`."""
        matrix, self._last = self._last, None
        if matrix is None:
            matrix = self._matrix(q, k, num_heads, mask)
        return (matrix @ split_heads(v, num_heads)).transpose(1, 2).reshape(q.shape)


@contextmanager
def whole_matrices() -> Iterator[WholeMatrices]:
    """Let the attentions of SG-Former, all three kinds, hold their matrices whole."""
    stand_ins = WholeMatrices()
    with ExitStack() as stack:
        for module in (hybrid_scale, self_guided, msa):
            stack.enter_context(patch.object(module, 'attend', stand_ins.attend))
        stack.enter_context(
            patch.object(hybrid_scale, 'received_attention', stand_ins.received_attention)
        )
        yield stand_ins


def count_matrix_bytes(backbone: nn.Module, side: int) -> tuple[int, int]:
    """Memory of the matrices of one square image in float32, by shapes alone.

    Args:
        backbone: On the meta device.
        side: Of the image, in pixels.

    Returns:
        Bytes of the largest matrix, and of all that autograd keeps.
    """
    with whole_matrices() as stand_ins, torch.no_grad():
        backbone(torch.empty(1, 3, side, side, device='meta'))
    return 4 * max(stand_ins.entries, default=0), 4 * sum(stand_ins.entries)
