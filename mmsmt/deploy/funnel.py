"""What feed-forward and modulation have in common: widen, filter, narrow.

Its wide middle is several times as large as the map, and every channel of it is on its own until
the last layer sums them up. So a large one is computed in parts that stay in the cache, and whose
memory the allocator keeps: new pages cost more than the arithmetic on them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from torch import Tensor, nn

from mmsmt.deploy.packed import PackedConv, PackedLinear, runs_eagerly_on_cpu

PART_BYTES = 2**23
# Narrower matrices waste vector registers and threads.
MIN_WIDTH = 32


class Funnel(nn.Module):
    """Linear layer, convolutions without connections between parts of the channels, linear layer.

    Args:
        widen: C to D channels.
        convs: D to D, then D to D', ...; with groups of neighbouring channels.
        narrow: D' to C.
    """

    def __init__(self, widen: PackedLinear, convs: Sequence[PackedConv], narrow: PackedLinear):
        super().__init__()
        self.widen = widen
        self.convs: Iterable[PackedConv] = nn.ModuleList(convs)  # type: ignore[assignment]
        self.narrow = narrow
        self._parts: dict[int, list[tuple[nn.Module, ...]]] = {}

    def _apply(self, fn: Any, recurse: bool = True) -> 'Funnel':
        self._parts = {}
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._parts = {}
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {'_parts': {}}

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C).

        Args:
            x: The map.
            other: Added to the result.
        """
        count = self._count(x) if runs_eagerly_on_cpu(x) else 1
        if count not in self._parts:
            self._parts[count] = self._split(count)
        for widen, *convs, narrow in self._parts[count]:
            wide = widen(x).permute(0, 3, 1, 2)
            for conv in convs:
                wide = conv(wide)
            other = narrow(wide.permute(0, 2, 3, 1), other)
        return cast(Tensor, other)

    def _count(self, x: Tensor) -> int:
        """Into how many parts the channels go: a power of two, to keep them alike."""
        width = len(self.widen.weight)
        widest = max([width, *(len(conv.weight) for conv in self.convs)])
        size, count = x[..., 0].numel() * widest * x.element_size(), 1
        while size > count * PART_BYTES and not width % (2 * count * MIN_WIDTH):
            count *= 2
        return count

    def _split(self, count: int) -> list[tuple[nn.Module, ...]]:
        """The layers, in order, of every part."""
        if count == 1:
            return [(self.widen, *self.convs, self.narrow)]
        convs = [conv.split(count) for conv in self.convs]
        narrow = self.narrow.split_inputs(count)
        return list(zip(self.widen.split_outputs(count), *convs, narrow, strict=True))
