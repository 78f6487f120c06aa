"""Detections of fixed size: post-processing of mmdet's detectors that can be exported."""
