"""The pre-norm block that every network here stacks, whatever its mixer."""

from typing import Any

from torch import Tensor, nn

from mmsmt.layers.drop_path import DropPath
from mmsmt.layers.layer_scale import LayerScale


def _as_tuple(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


class ResidualBlock(nn.Module):
    """Two residual branches on a channels-last map: token mixer, feed-forward.

    Args:
        dim: Number of channels C.
        mixer: Module on (B, H, W, C); it may take and give further tensors.
        ffn: Module on (B, H, W, C).
        drop_path: Stochastic-depth rate of both branches.
        layer_scale_init_value: Initial layer scale; 0 for none.
        norm_eps: Epsilon of both layer norms.

    `position` may be set to a module on (B, H, W, C) that adds positions to the block's input;
    they stay in the result, unless `keep_position` is set to False: then only the mixer sees
    them.
    """

    keep_position = True

    def __init__(
        self,
        dim: int,
        mixer: nn.Module,
        ffn: nn.Module,
        drop_path: float = 0.0,
        layer_scale_init_value: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()

        def scale() -> nn.Module:
            return (
                LayerScale(dim, layer_scale_init_value) if layer_scale_init_value else nn.Identity()
            )

        self.position: nn.Module = nn.Identity()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.mixer = mixer
        self.scale1 = scale()
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.ffn = ffn
        self.scale2 = scale()
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, *guides: Tensor) -> Any:
        """Map (B, H, W, C) to (B, H, W, C).

        Args:
            x: The map.
            *guides: What the mixer takes beside a map.

        Returns:
            The map; where the mixer gives more than one, a tuple of it and the rest.
        """
        placed = self.position(x)
        mixed, *rest = _as_tuple(self.mixer(self.norm1(placed), *guides))
        x = (placed if self.keep_position else x) + self.drop_path(self.scale1(mixed))
        x = x + self.drop_path(self.scale2(self.ffn(self.norm2(x))))
        return (x, *rest) if rest else x
