"""Operators of the hosts get maps in a layout that they read correctly."""

import torch
from mmcv.ops import RoIAlign
from torchvision.ops import roi_align

from mmsmt.backbones import SMT


def test_roi_align_of_mmcv_agrees_with_torchvision() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        features = SMT('pico').eval()(torch.rand(2, 3, 96, 128))
    rois = torch.tensor([[0, 4.0, 8.0, 60.0, 70.0], [1, 30.0, 2.0, 120.0, 90.0]])
    for feature, stride in zip(features, SMT.strides, strict=True):
        got = RoIAlign(7, 1 / stride, 2, aligned=True)(feature, rois)
        want = roi_align(feature, rois, 7, 1 / stride, 2, aligned=True)
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
