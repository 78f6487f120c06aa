"""Linear layer that runs on oneDNN where that is faster."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def suits_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN can take an input and a weight: eager, in float32 on a CPU, not empty."""
    return (
        x.device.type == 'cpu'
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and not torch.is_autocast_enabled('cpu')
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )


class Linear(nn.Linear):
    """`nn.Linear`; eager and in float32 on a CPU it runs as a 1x1 convolution, which oneDNN takes.

    PyTorch gives float32 products of linear layers to BLAS. On the narrow matrices of these
    networks oneDNN takes a fifth less time on two AMD cores, forward and backward.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        fits = input.shape[-1] == self.in_features  # else the base class says what is wrong
        if not (fits and suits_onednn(input, self.weight)):
            return super().forward(input)
        pixels = input.reshape(1, 1, -1, self.in_features).permute(0, 3, 1, 2)
        pixels = F.conv2d(pixels, self.weight[:, :, None, None], self.bias)
        return pixels.permute(0, 2, 3, 1).reshape(*input.shape[:-1], self.out_features)
