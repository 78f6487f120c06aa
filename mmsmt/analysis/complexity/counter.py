"""Parameters and multiply-accumulates of any network, without running it.

The network is copied to PyTorch's meta device, where tensors have shapes but no values, so it needs
no memory, and about a second for a detector at full size. One multiply-accumulate (MAC) is a
multiplication and an addition; papers call it a FLOP.

Convolutions, linear layers and other matrix products are counted, including fused attention.
Biases, normalisations, activations, sums, resizing, and sampling at points (RoIAlign, deformable
attention) are not counted.
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
# Operators of convolutions and linear layers; a product of two feature tensors is a `bmm`.
MODULE_OPERATORS = (aten.convolution, aten.mm, aten.addmm)


class Complexity(NamedTuple):
    """Complexity of a network for one image.

    params: Number of parameters, including frozen ones.
        params: Parameters, frozen ones included.
        macs: Multiply-accumulates of all matrix products.
        macs_module_only: Multiply-accumulates of convolutions and linear layers, as papers report:
            without the two products of attention and convolutions with predicted kernels.
    """

    params: int
    macs: int
    macs_module_only: int


class _Counter(TorchDispatchMode):
    """Count PyTorch's FLOPs by operator, in half the time of `FlopCounterMode`.

    Integers created on the CPU stay there: deformable attention slices by sizes in a tensor.
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
    """Count a network's parameters and multiply-accumulates in inference.

    Classifiers and segmenters run from the image to logits, without auxiliary heads; detectors to
    the raw outputs of their heads, before boxes are selected. As in mmdet, two-stage detectors
    classify 1,000 proposals, or as many as they have learnt, and predict 100 masks.

    Args:
        model: A module that takes an image, on any device, or a host's model; it is not changed.
        input_shape: Shape of one image, (channels, height, width).

    Raises:
        ValueError: If the shape is not three positive numbers, or the network does not run on it
            without values: it is too small, or an operator does not support the meta device.

    Examples:
        >>> from mmsmt.analysis import count_complexity
        >>> from mmsmt.backbones import SMT
        >>> complexity = count_complexity(SMT(arch='tiny'), (3, 224, 224))
        >>> round(complexity.params / 1e6, 1), round(complexity.macs_module_only / 1e9, 1)
        (11.0, 2.4)
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ConfigError(f'input_shape must be (channels, height, width), got {input_shape}')
    # If weights need no gradient, PyTorch may turn a linear layer into a batched product.
    clone = copy.deepcopy(model).to('meta').requires_grad_(True)
    clone.eval()  # not chained: `eval` of some backbones of mmpretrain returns None
    images = torch.zeros(1, *input_shape, device='meta')
    with torch.no_grad(), _Counter() as counter:
        try:
            run_network(clone, images)
        except RuntimeError as error:
            raise ConfigError(
                f'the model does not run on the shape {input_shape} without values: {error}'
            ) from error
    return Complexity(
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=counter.flops.total() // 2,
        macs_module_only=sum(counter.flops[operator] for operator in MODULE_OPERATORS) // 2,
    )
