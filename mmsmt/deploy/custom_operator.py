"""Custom operator that runs a branch of a block inside a compiled graph.

Left to itself the compiler runs such a branch layer by layer over whole maps, and lays weights
out at every call: on a CPU that is slower than the eager form, which goes through in pieces.
"""

from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from mmsmt.deploy.prepacked import infers_on_cpu

_owners: WeakValueDictionary[int, 'BranchModule'] = WeakValueDictionary()
_numbers = count()


class BranchModule(nn.Module):
    """A module with branches; operators cannot take modules, so they know it by a number."""

    def __init__(self) -> None:
        super().__init__()
        self._register()

    def _register(self) -> None:
        self.number = next(_numbers)
        _owners[self.number] = self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._register()  # a copy is another one

    def run_branch(self, name: str, x: Tensor, source: Tensor) -> Tensor:
        """The branch of that name of `source`, joined with `x`; a new tensor of its shape."""
        raise NotImplementedError


@torch.library.custom_op('mmsmt::branch', mutates_args=())
def branch_operator(number: int, name: str, x: Tensor, source: Tensor) -> Tensor:
    """`BranchModule.run_branch` of the module of that number, contiguous."""
    return _owners[number].run_branch(name, x, source).contiguous()


@branch_operator.register_fake
def _(number: int, name: str, x: Tensor, source: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def compiles_for_cpu(x: Tensor) -> bool:
    """Whether `torch.compile` looks at plain float32 inference on a CPU; exporters do not count.

    (`torch.export` counts if it is strict, which is not its default: the graph is its caller's.)
    """
    compiling = torch.compiler.is_dynamo_compiling()
    return compiling and x.dtype == torch.float32 and infers_on_cpu(x)
