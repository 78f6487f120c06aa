"""Floor 1: building blocks that know nothing of a network. All maps are (B, H, W, C)."""

from mmsmt.layers.block import ResidualBlock
from mmsmt.layers.conv import conv_channels_last
from mmsmt.layers.drop_path import DropPath, linear_drop_path_rates
from mmsmt.layers.ffn import ConvFFN
from mmsmt.layers.init import init_layer
from mmsmt.layers.layer_scale import LayerScale
from mmsmt.layers.patch_embed import ConvStem, PatchEmbed

__all__ = [
    'ConvFFN',
    'ConvStem',
    'DropPath',
    'LayerScale',
    'PatchEmbed',
    'ResidualBlock',
    'conv_channels_last',
    'init_layer',
    'linear_drop_path_rates',
]
