"""Floor 3: the networks, registered once and used by all hosts as `mmsmt.<name>`."""

from mmsmt.backbones.base import FeatureInfo, FourStageBackbone
from mmsmt.backbones.sg_former import SGFormer
from mmsmt.backbones.smt import SMT

__all__ = ['SMT', 'FeatureInfo', 'FourStageBackbone', 'SGFormer']
