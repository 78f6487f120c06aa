"""Pre-norm residual block: token mixer and feed-forward."""

from torch import Tensor, nn

from mmsmt.layers.drop_path import DropPath
from mmsmt.layers.layer_scale import LayerScale


def gives_significance(mixer: nn.Module) -> bool:
    """Return whether a mixer declares that it also returns a significance map (B, H, W)."""
    return bool(getattr(mixer, 'gives_significance', False))


def takes_significance(mixer: nn.Module) -> bool:
    """Return whether a mixer declares that it also takes a significance map (B, H, W)."""
    return bool(getattr(mixer, 'takes_significance', False))


def mix(mixer: nn.Module, x: Tensor, significance: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Call a mixer, and return its map and its significance, None if it gives none."""
    mixed = mixer(x, significance) if takes_significance(mixer) else mixer(x)
    return mixed if gives_significance(mixer) else (mixed, None)


class ResidualBlock(nn.Module):
    """Pre-norm residual block: token mixer, then feed-forward, on a channels-last map.

    Args:
        dim: Number of channels C.
        mixer: Module on (B, H, W, C). If its attribute `gives_significance` is true, it returns the
            map and a significance map (B, H, W); if `takes_significance` is true, it takes such a
            map as its second argument.
        ffn: Module on (B, H, W, C).
        drop_path: Stochastic-depth rate of both branches.
        layer_scale_init_value: Initial layer scale; 0 for none.
        norm_eps: Epsilon of both layer norms.
        position: Module on (B, H, W, C) that adds positions to the input, or None.
        keep_position: Whether positions stay in the result; if not, only the mixer sees them.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import FFN, ResidualBlock
        >>> from mmsmt.mixers import DepthwiseConv
        >>> block = ResidualBlock(32, DepthwiseConv(32), FFN(32), drop_path=0.1)
        >>> block(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(
        self,
        dim: int,
        mixer: nn.Module,
        ffn: nn.Module,
        drop_path: float = 0.0,
        layer_scale_init_value: float = 0.0,
        norm_eps: float = 1e-6,
        position: nn.Module | None = None,
        keep_position: bool = True,
    ) -> None:
        super().__init__()

        def scale() -> nn.Module:
            return (
                LayerScale(dim, layer_scale_init_value) if layer_scale_init_value else nn.Identity()
            )

        self.keep_position = keep_position
        self.position = position or nn.Identity()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.mixer = mixer
        self.scale1 = scale()
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.ffn = ffn
        self.scale2 = scale()
        self.drop_path = DropPath(drop_path)

    def forward(
        self, x: Tensor, significance: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Map (B, H, W, C) to (B, H, W, C).

        Args:
            x: The map.
            significance: Map (B, H, W) for a mixer that takes significance.

        Returns:
            The map; with a mixer that gives significance, the map and the significance.
        """
        placed = self.position(x)
        mixed, found = mix(self.mixer, self.norm1(placed), significance)
        x = (placed if self.keep_position else x) + self.drop_path(self.scale1(mixed))
        x = x + self.drop_path(self.scale2(self.ffn(self.norm2(x))))
        return x if found is None else (x, found)
