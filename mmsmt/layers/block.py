"""The pre-norm block that every network here stacks, whatever its mixer."""

from torch import Tensor, nn

from mmsmt.layers.drop_path import DropPath
from mmsmt.layers.layer_scale import LayerScale


class ResidualBlock(nn.Module):
    """Two residual branches on a channels-last map: token mixer, feed-forward.

    Args:
        dim: Number of channels C.
        mixer: Module on (B, H, W, C).
        ffn: Module on (B, H, W, C).
        drop_path: Stochastic-depth rate of both branches.
        layer_scale_init_value: Initial layer scale; 0 for none.
        norm_eps: Epsilon of both layer norms.
    """

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

        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.mixer = mixer
        self.scale1 = scale()
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.ffn = ffn
        self.scale2 = scale()
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        x = x + self.drop_path(self.scale1(self.mixer(self.norm1(x))))
        return x + self.drop_path(self.scale2(self.ffn(self.norm2(x))))
