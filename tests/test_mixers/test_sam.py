"""Scale-aware modulation against its formula, channel by channel."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers import init_layer
from mmsmt.mixers import ScaleAwareModulation


def lively(mixer: nn.Module) -> nn.Module:
    """Double precision, statistics and biases away from where they start."""
    torch.manual_seed(0)
    mixer = mixer.apply(init_layer).double().eval()
    for name, value in mixer.state_dict().items():
        if name.endswith(('bias', 'running_mean')):
            value.normal_(0, 0.3)
        elif name.endswith('running_var'):
            value.uniform_(0.5, 2)
    return mixer


def written_out(sam: ScaleAwareModulation, x: Tensor, expansion: int) -> Tensor:
    """The specification, one channel and one output at a time, on (B, H, W, C)."""
    heads, dim = sam.num_heads, x.shape[-1]
    width = dim // heads
    context = x @ sam.context.weight.T + sam.context.bias
    filtered = [
        [
            F.conv2d(
                context[None, ..., head * width + group].transpose(0, 1),
                sam.head_convs[head].weight[group : group + 1],
                sam.head_convs[head].bias[group : group + 1],
                padding=1 + head,
            )[:, 0]
            for group in range(width)
        ]
        for head in range(heads)
    ]
    hidden = []
    for group in range(width):
        # Group g sees channel g of every head, in the order of the heads.
        for j in range(group * expansion * heads, (group + 1) * expansion * heads):
            value = sam.expand.bias[j]
            for head in range(heads):
                value = value + sam.expand.weight[j, head, 0, 0] * filtered[head][group]
            hidden.append(value)
    stacked = torch.stack(hidden, -1)
    stacked = (stacked - sam.bn.running_mean) / (sam.bn.running_var + 1e-5).sqrt()
    stacked = stacked * sam.bn.weight + sam.bn.bias
    active = stacked * 0.5 * (1 + torch.erf(stacked / 2**0.5))
    modulator = active @ sam.reduce.weight[:, :, 0, 0].T + sam.reduce.bias
    value = x @ sam.value.weight.T + sam.value.bias
    return (modulator * value) @ sam.proj.weight.T + sam.proj.bias


@pytest.mark.parametrize('heads, expansion', [(4, 2), (1, 2), (2, 3), (6, 1)])
def test_formula(heads: int, expansion: int) -> None:
    sam = lively(ScaleAwareModulation(12, heads, expansion))
    x = torch.randn(2, 6, 11, 12, dtype=torch.float64)
    torch.testing.assert_close(sam(x), written_out(sam, x, expansion))


def test_kernels_grow_by_two() -> None:
    sam = ScaleAwareModulation(30, num_heads=5)
    assert [conv.kernel_size for conv in sam.head_convs] == [(k, k) for k in (3, 5, 7, 9, 11)]
    assert sam.expand.groups == 6
