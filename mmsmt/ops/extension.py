"""Module that replaces `mmcv._ext` if mmcv has no compiled one (see `mmsmt_ops`)."""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
import torchvision

from mmsmt.ops.bbox import bbox_overlaps
from mmsmt.ops.carafe import (
    carafe_backward,
    carafe_forward,
    carafe_naive_backward,
    carafe_naive_forward,
)
from mmsmt.ops.deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
)
from mmsmt.ops.deform_roi_pool import deform_roi_pool_backward, deform_roi_pool_forward
from mmsmt.ops.focal_loss import (
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
    softmax_focal_loss_backward,
    softmax_focal_loss_forward,
)
from mmsmt.ops.masked_conv import masked_col2im_forward, masked_im2col_forward
from mmsmt.ops.modulated_deform_conv import (
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from mmsmt.ops.multi_scale_deform_attn import ms_deform_attn_backward, ms_deform_attn_forward
from mmsmt.ops.nms import nms, nms_match, softnms
from mmsmt.ops.psa_mask import psamask_backward, psamask_forward
from mmsmt.ops.roi_align import roi_align_backward, roi_align_forward
from mmsmt.ops.roi_align_rotated import roi_align_rotated_backward, roi_align_rotated_forward
from mmsmt.ops.roi_pool import roi_pool_backward, roi_pool_forward
from mmsmt.ops.rotated_boxes import box_iou_rotated, nms_rotated

__all__ = [
    'bbox_overlaps',
    'box_iou_rotated',
    'carafe_backward',
    'carafe_forward',
    'carafe_naive_backward',
    'carafe_naive_forward',
    'deform_conv_backward_input',
    'deform_conv_backward_parameters',
    'deform_conv_forward',
    'deform_roi_pool_backward',
    'deform_roi_pool_forward',
    'masked_col2im_forward',
    'masked_im2col_forward',
    'modulated_deform_conv_backward',
    'modulated_deform_conv_forward',
    'ms_deform_attn_backward',
    'ms_deform_attn_forward',
    'nms',
    'nms_match',
    'nms_rotated',
    'psamask_backward',
    'psamask_forward',
    'roi_align_backward',
    'roi_align_forward',
    'roi_align_rotated_backward',
    'roi_align_rotated_forward',
    'roi_pool_backward',
    'roi_pool_forward',
    'sigmoid_focal_loss_backward',
    'sigmoid_focal_loss_forward',
    'softmax_focal_loss_backward',
    'softmax_focal_loss_forward',
    'softnms',
]


def get_compiler_version() -> str:
    """Return the compiler of mmcv for mmengine's report of the environment."""
    return f'none, operators of mmsmt.ops on torchvision {torchvision.__version__}'


def get_compiling_cuda_version() -> str:
    """Return the CUDA version of mmcv for the same report: that of PyTorch."""
    return str(torch.version.cuda or 'not available')


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """Return a function for every other operator that raises when it is called.

    mmcv looks up the names of all its operators when it is imported.
    """
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f'{name} is not available in mmsmt.ops; install mmcv with compiled operators '
            'for it: https://mmcv.readthedocs.io/en/2.x/get_started/installation.html'
        )

    return missing
