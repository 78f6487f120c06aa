"""oneDNN for the linear layers of any model on a CPU, enabled for the whole process."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_plain_forward = nn.Linear.forward


def suits_onednn(x: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN can be used: eager mode, float32 on a CPU, not empty."""
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


def use_onednn_linear(enabled: bool = True) -> None:
    """Run `nn.Linear` as a 1x1 convolution, which uses oneDNN, where that is possible.

    PyTorch runs linear layers in float32 with BLAS, which on AMD cores takes about twice as long on
    the narrow matrices of these networks (25,088 x 64 -> 256: 20.1 ms with BLAS and 7.7 ms with
    oneDNN, forward and backward, torch 2.11). Modules keep their class, state dict and pickle;
    results differ by rounding. Compiled models, and models on a GPU or in another precision, are
    unaffected.

    Args:
        enabled: False to switch back.
    """
    nn.Linear.forward = _onednn_forward if enabled else _plain_forward  # type: ignore[method-assign]


def _onednn_forward(self, input: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    if torch.jit.is_scripting():  # TorchScript compiles this branch alone
        return F.linear(input, self.weight, self.bias)
    else:
        return _eager_forward(self, input)


def _eager_forward(self: nn.Linear, input: Tensor) -> Tensor:
    # Weights of another class (sharded, quantised) define their own product; for a wrong width
    # PyTorch raises the better error.
    plain = type(self.weight) is nn.Parameter and input.shape[-1] == self.in_features
    if not (plain and suits_onednn(input, self.weight)):
        return _plain_forward(self, input)
    pixels = input.reshape(1, 1, -1, self.in_features).permute(0, 3, 1, 2)
    pixels = F.conv2d(pixels, self.weight[:, :, None, None], self.bias)
    return pixels.permute(0, 2, 3, 1).reshape(*input.shape[:-1], self.out_features)
