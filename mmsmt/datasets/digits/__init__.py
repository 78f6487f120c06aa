"""Real data without a download: the digits and photographs bundled with scikit-learn.

Single digits on tiles for classification, and scenes of digits at very different scales with
boxes, masks and semantic labels. They are written as plain files (image folders, COCO JSON,
ADE20K-style label maps) for the standard data set classes of mmpretrain, mmdet and mmseg. Imports
no host library.
"""

from mmsmt.datasets.digits.photographs import load_photographs
from mmsmt.datasets.digits.prepare import Parameters, is_prepared, prepare_digits
from mmsmt.datasets.digits.scenes import Instance, Scene, compose_scene
from mmsmt.datasets.digits.source import CLASSES, Digits, load_split

__all__ = [
    'CLASSES',
    'Digits',
    'Instance',
    'Parameters',
    'Scene',
    'compose_scene',
    'is_prepared',
    'load_photographs',
    'load_split',
    'prepare_digits',
]
