"""1x1 convolution before the pooling of unified classifiers (https://arxiv.org/abs/2211.05781)."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers import init_truncated
from mmsmt.registry import MODELS


@MODELS.register_module()
class ConvHead(BaseModule):
    """Apply a 1x1 convolution, BatchNorm and GELU (erf) to the last map; a neck of a classifier.

    Args:
        in_channels: Channels of the last map.
        out_channels: Channels of the result, 1.5 times `in_channels` by default.
        init_cfg: As in mmengine.

    Examples:
        >>> import torch
        >>> from mmsmt.backbones import ConvHead
        >>> [tuple(m.shape) for m in ConvHead(256)((torch.rand(2, 256, 7, 7),))]
        [(2, 384, 7, 7)]
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        out_channels = out_channels or int(1.5 * in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.apply(init_truncated)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor]:
        """Map the last of several (B, C, H, W) to a tuple of one (B, C', H, W)."""
        return (F.gelu(self.bn(self.conv(maps[-1]))),)
