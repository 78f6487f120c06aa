"""Inverted bottleneck: linear layer, convolutions, linear layer."""

from collections.abc import Sequence

from torch import Tensor, nn

from mmsmt.deploy.prepacked import PackedConv, PackedLinear


class InvertedBottleneck(nn.Module):
    """Linear layer, convolutions that keep height and width, linear layer.

    Args:
        widen: C to D channels.
        convs: D to D', then D' to D'', ...
        narrow: The last of these to C.

    Attributes:
        reach: How many rows further up and down a row of the result depends on.
        width: Channels of the widest map in it.
    """

    def __init__(self, widen: PackedLinear, convs: Sequence[PackedConv], narrow: PackedLinear):
        super().__init__()
        self.widen = widen
        self.convs = nn.Sequential(*convs)
        self.narrow = narrow
        self.reach = sum(conv.padding[0] for conv in convs)
        self.width = max(len(layer.weight) for layer in (widen, *convs))

    def forward(self, x: Tensor, other: Tensor | None, rows: slice) -> Tensor:
        """Map (B, H, W, C) to (B, H', W, C).

        Args:
            x: The map.
            other: Added to the result, if there is one.
            rows: Which H' rows of it; those within `reach` of a border count it as the map's.
        """
        wide = self.convs(self.widen(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.narrow(wide[:, rows], other)
