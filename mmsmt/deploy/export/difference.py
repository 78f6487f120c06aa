"""Relative difference of two results."""

from torch import Tensor


def relative_difference(value: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the RMS; infinite if shapes differ."""
    if value.shape != expected.shape:
        return float('inf')
    return ((value - expected).abs().max() / expected.square().mean().sqrt()).item()
