"""Feed-forward networks, with a depth-wise convolution (SMT, SG-Former) and without.

Paper: https://arxiv.org/abs/2307.08579. As in the released code, the identity is
added to the convolution's output before the activation.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers.activation_checkpoint import checkpointed
from mmsmt.layers.conv import conv_channels_last
from mmsmt.layers.init import init_layer


class ConvFFN(nn.Module):
    """Apply a linear layer, a depth-wise 3x3 with identity, GELU (erf) and a linear layer.

    Args:
        dim: Number of channels C of input and output.
        mlp_ratio: Width of the hidden layer as a multiple of `dim`.
        recompute: Recompute the wide maps in the backward pass to save memory.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import ConvFFN
        >>> ConvFFN(32, mlp_ratio=4)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(self, dim: int, mlp_ratio: float = 4.0, recompute: bool = False) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.recompute = recompute
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.apply(init_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        return checkpointed(self._filter_and_narrow, self.fc1(x), when=self.recompute)

    def _filter_and_narrow(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(x + conv_channels_last(self.dwconv, x)))


class FFN(nn.Module):
    """Apply a linear layer, GELU (erf) and a linear layer (https://arxiv.org/abs/2211.05781).

    Args:
        dim: Number of channels C of input and output.
        mlp_ratio: Width of the hidden layer as a multiple of `dim`.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import FFN
        >>> FFN(32)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(self, dim: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.apply(init_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        return self.fc2(F.gelu(self.fc1(x)))
