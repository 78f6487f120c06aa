"""Grad-CAM of classifiers, detectors and segmenters."""
