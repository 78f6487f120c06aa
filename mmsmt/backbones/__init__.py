"""The backbones SMT, SG-Former and the unified architecture, registered as `mmsmt.<name>`."""

from mmsmt.backbones.base import FeatureInfo, FourStageBackbone
from mmsmt.backbones.conv_head import ConvHead
from mmsmt.backbones.sg_former import SGFormer
from mmsmt.backbones.smt import SMT
from mmsmt.backbones.unified import UnifiedBackbone

__all__ = ['SMT', 'ConvHead', 'FeatureInfo', 'FourStageBackbone', 'SGFormer', 'UnifiedBackbone']
