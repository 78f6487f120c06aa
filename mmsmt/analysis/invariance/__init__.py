"""Invariance of predictions to shifts, rotations and scales."""
