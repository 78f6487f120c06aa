"""Predictions on shifted, rotated and scaled images."""
