"""What a contender costs, counted on tensors without values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch

from mmsmt.analysis.complexity.counter import count_complexity
from mmsmt.benchmark.build import build, check_maps
from mmsmt.benchmark.contenders import Contender
from mmsmt.benchmark.jobs import Shape


def count(contender: Contender, shape: Shape) -> tuple[int, int]:
    """Parameters of a contender, and multiply-accumulates for one image of a shape.

    Raises:
        UsageError: If it cannot be built, or gives other maps than the rest.
        ValueError: If it does not run without values.
    """
    model = build(contender).to('meta')
    with _autocast_on_meta():
        with torch.no_grad():
            maps = model(torch.zeros(1, 3, shape.height, shape.width, device='meta'))
        check_maps(contender, maps, shape.height, shape.width)
        counted = count_complexity(model, (3, shape.height, shape.width))
    return counted.params, counted.macs


@contextmanager
def _autocast_on_meta() -> Iterator[None]:
    """Let networks that switch autocast off for a part do so: PyTorch refuses the meta device."""
    original = torch.autocast

    def autocast(device_type: str, *args: Any, **kwargs: Any) -> torch.autocast:
        return original('cpu' if device_type == 'meta' else device_type, *args, **kwargs)

    with patch.object(torch, 'autocast', autocast):
        yield
