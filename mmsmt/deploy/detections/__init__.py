"""Exportable post-processing of mmdet's detectors, with detections of fixed size."""
