"""By how much two results that should be equal differ."""

from torch import Tensor


def relative_difference(value: Tensor, expected: Tensor) -> float:
    """Largest difference relative to the root mean square; infinite where shapes differ."""
    if value.shape != expected.shape:
        return float('inf')
    return ((value - expected).abs().max() / expected.square().mean().sqrt()).item()
