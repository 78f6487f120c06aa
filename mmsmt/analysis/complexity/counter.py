"""Parameters and multiply-accumulates of any network, without running it.

The network is copied onto PyTorch's meta device, where tensors have shapes and no values: no
memory, and a second or so for a detector at full size. One multiply-accumulate (MAC) is a
multiplication and an addition; papers call it a FLOP.

Counted are convolutions, linear layers and other matrix products, also those of fused attention.
Not counted are biases, normalisations, activations, sums, resizing, and sampling at points, as in
RoIAlign and deformable attention.
"""

import copy
from collections import Counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

from mmsmt.errors import ConfigError
from mmsmt.hosts.raw_outputs import run_network

aten: Any = torch.ops.aten
# What convolutions and linear layers come down to; a product of two feature tensors is a `bmm`.
MODULE_OPERATORS = (aten.convolution, aten.mm, aten.addmm)


class Complexity(NamedTuple):
    """What a network costs for one image.

    Args:
        params: Parameters, frozen ones included.
        macs: Multiply-accumulates of all matrix products.
        macs_module_only: Those of convolutions and linear layers, as papers report: without the
            two products of attention and convolutions with predicted kernels.
    """

    params: int
    macs: int
    macs_module_only: int


class _Counter(TorchDispatchMode):
    """Adds up PyTorch's formulas by operator, in half the time of `FlopCounterMode`.

    Integers that were made on the CPU stay there: deformable attention slices by sizes in a tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        moved = args[0] if func is aten._to_copy.default else None
        if moved is not None and not moved.is_meta and not moved.is_floating_point():
            return func(*args, **{**kwargs, 'device': torch.device('cpu')})
        if any(isinstance(x, Tensor) and x.is_meta for x in tree_leaves((args, kwargs))):
            args, kwargs = tree_map_only(Tensor, lambda x: x.to('meta'), (args, kwargs))
        result = func(*args, **kwargs)
        operator = func.overloadpacket
        if operator in flop_registry:
            self.flops[operator] += flop_registry[operator](*args, **kwargs, out_val=result)
        return result


def count_complexity(model: nn.Module, input_shape: tuple[int, int, int]) -> Complexity:
    """Count a network's parameters and multiply-accumulates in evaluation.

    Classifiers and segmenters run from the image to logits, auxiliary heads excluded; detectors
    to the raw outputs of their heads, before any box is chosen. Two-stage detectors classify
    1,000 proposals, or as many as they have learnt, and draw 100 masks: mmdet's convention.

    Args:
        model: A module that takes an image, on any device, or a host's model; is not changed.
        input_shape: Of one image, (channels, height, width).

    Raises:
        ValueError: If the shape is not three positive numbers, or if the network does not run on
            it without values: it is too small, or an operator has no form for the meta device.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ConfigError(f'input_shape must be (channels, height, width), got {input_shape}')
    # Where weights need no gradient, PyTorch may turn a linear layer into a batched product.
    clone = copy.deepcopy(model).to('meta').requires_grad_(True)
    clone.eval()  # of several backbones of mmpretrain it returns nothing
    images = torch.zeros(1, *input_shape, device='meta')
    with torch.no_grad(), _Counter() as counter:
        try:
            run_network(clone, images)
        except RuntimeError as error:
            raise ConfigError(f'does not run on the shape {input_shape} alone: {error}') from error
    return Complexity(
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=counter.flops.total() // 2,
        macs_module_only=sum(counter.flops[operator] for operator in MODULE_OPERATORS) // 2,
    )
