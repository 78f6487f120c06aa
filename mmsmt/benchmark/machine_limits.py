"""What the machine gives at most: square matrix products and copies of memory."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mmsmt.benchmark.jobs import DTYPES, Settings

PRODUCT, COPY = 'matrix product', 'copy'
SIDES = {'cpu': 2048, 'cuda': 8192}  # of the matrices: large enough to reach the full rate
COPIED = {'cpu': 2**28, 'cuda': 2**31}  # bytes, many times the caches


def limit_calls(settings: Settings) -> dict[str, Callable[[], Any]]:
    """What is timed beside the networks, by name."""
    dtype, device = DTYPES[settings.dtype], settings.device
    a, b, product = torch.rand(3, SIDES[device], SIDES[device], device=device).to(dtype)
    source = torch.zeros(COPIED[device], dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    return {PRODUCT: lambda: torch.mm(a, b, out=product), COPY: lambda: target.copy_(source)}


def limit_rates(seconds: Mapping[str, float], device: str) -> dict[str, float]:
    """From the seconds of `limit_calls` to rates.

    Returns:
        `flops`: operations a second, a multiply-accumulate being two; `bandwidth`: bytes a second
        read and written.
    """
    return {
        'flops': 2 * SIDES[device] ** 3 / seconds[PRODUCT],
        'bandwidth': 2 * COPIED[device] / seconds[COPY],
    }
