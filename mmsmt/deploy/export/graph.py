"""Exported graph: preprocessing, network, results of a task."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.deploy.export.tasks import Named, Task
from mmsmt.hosts.model import LoadedModel


class Graph(nn.Module):
    """Map uint8 images (B, H, W, 3), RGB, to the results of a task, in the order of `names`.

    Args:
        loaded: The network and its normalisation.
        task: The exported task.
    """

    def __init__(self, loaded: LoadedModel, task: Task) -> None:
        super().__init__()
        self.model = _exportable(deepcopy(loaded.model))
        self.task, self.bgr = task, loaded.bgr
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer('mean', torch.tensor(loaded.mean).view(-1, 1, 1))
        self.register_buffer('std', torch.tensor(loaded.std).view(-1, 1, 1))
        host = getattr(loaded.model, 'data_preprocessor', None) if task.pads else None
        self.divisor = getattr(host, 'pad_size_divisor', 1)
        self.filling = getattr(host, 'pad_value', 0)

    def named(self, images: Tensor) -> Named:
        """Return the results by name."""
        x = images.permute(0, 3, 1, 2).float()
        x = ((x.flip(1) if self.bgr else x) - self.mean) / self.std
        size = (x.shape[2], x.shape[3])
        if self.divisor > 1:
            rows, columns = (-side % self.divisor for side in x.shape[2:])
            x = F.pad(x, (0, columns, 0, rows), value=self.filling)
        return self.task.compute(self.model, x, size)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the results in order."""
        return tuple(self.named(images).values())


class MatrixPool(nn.Module):
    """`nn.AdaptiveAvgPool2d` as matrix products, which can be exported for any size.

    PyTorch 2.11's own export reads out of bounds for maps smaller than the traced one.

    Args:
        size: Rows and columns of the result.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, *size)."""
        rows, columns = (
            self._means(length, parts).to(x) for length, parts in zip(x.shape[2:], self.size)
        )
        return rows @ x @ columns.T

    @staticmethod
    def _means(length: int, parts: int) -> Tensor:
        """Return a matrix (parts, length) of means over parts, which may overlap."""
        place, part = torch.arange(length), torch.arange(parts)[:, None]
        inside = ((place + 1) * parts > part * length) & (place * parts < (part + 1) * length)
        return inside.float() / inside.float().sum(1, keepdim=True)


def _exportable(module: nn.Module) -> nn.Module:
    """Replace modules that cannot be exported for any size, in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d):
            size: Any = child.output_size
            rows, columns = (size, size) if isinstance(size, int) else size
            if rows and columns and (rows, columns) != (1, 1):
                setattr(module, name, MatrixPool((rows, columns)))
        elif type(child).__name__ == 'Upsample' and not isinstance(child, nn.Upsample):
            setattr(module, name, _by_factor(child))
        else:
            _exportable(child)
    return module


def _by_factor(upsample: Any) -> nn.Module:
    """Return PyTorch's own module for mmseg's `Upsample`, unless a size or fraction is given.

    mmseg computes the size as `int`, which export turns into that of the traced image.
    """
    factor = upsample.scale_factor
    if upsample.size or not isinstance(factor, float) or not factor.is_integer():
        return upsample
    return nn.Upsample(None, factor, upsample.mode, upsample.align_corners)
