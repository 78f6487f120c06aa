"""Building blocks of the networks, on channels-last maps (B, H, W, C)."""

from mmsmt.layers.activation_checkpoint import checkpointed
from mmsmt.layers.attention import attend, split_heads
from mmsmt.layers.block import ResidualBlock, gives_significance, mix, takes_significance
from mmsmt.layers.constant_cache import cached_constant
from mmsmt.layers.conv import conv_channels_last
from mmsmt.layers.drop_path import DropPath, linear_drop_path_rates
from mmsmt.layers.ffn import FFN, ConvFFN
from mmsmt.layers.group_norm_embed import ConvNormStem, SeparablePatchEmbed
from mmsmt.layers.init import init_layer, init_truncated
from mmsmt.layers.layer_scale import LayerScale
from mmsmt.layers.lepe import LocalPosition
from mmsmt.layers.onednn import suits_onednn, use_onednn_linear
from mmsmt.layers.patch_embed import ConvStem, PatchEmbed, TwoStepStem
from mmsmt.layers.position import PositionMap, PositionTable, resample_table, stretch_map
from mmsmt.layers.significance import key_significance
from mmsmt.layers.windows import from_windows, pad_to_multiple, to_windows

__all__ = [
    'FFN',
    'ConvFFN',
    'ConvNormStem',
    'ConvStem',
    'DropPath',
    'LayerScale',
    'LocalPosition',
    'PatchEmbed',
    'PositionMap',
    'PositionTable',
    'ResidualBlock',
    'SeparablePatchEmbed',
    'TwoStepStem',
    'attend',
    'conv_channels_last',
    'from_windows',
    'gives_significance',
    'init_layer',
    'init_truncated',
    'linear_drop_path_rates',
    'mix',
    'pad_to_multiple',
    'key_significance',
    'checkpointed',
    'cached_constant',
    'resample_table',
    'split_heads',
    'stretch_map',
    'suits_onednn',
    'takes_significance',
    'to_windows',
    'use_onednn_linear',
]
