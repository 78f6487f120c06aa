"""Released naming of the unified models (https://arxiv.org/abs/2211.05781).

One for all five mixers, classification and detection. The classifier's convolution becomes
`mmsmt.ConvHead`, the first neck of an mmpretrain classifier.
"""

from mmsmt.checkpoints.dialects import Dialect

_BLOCK = r'^(stages\.\d+\.\d+)'
UNIFIED_RELEASED = Dialect(
    name='released unified model',
    marker=r'downsample_layers\.|stage_norms\.|out_norm_\d|stages\.\d+\.\d+\.(attn|dw|pw|mlp)',
    rules=(
        (r'^conv_head\.0\.', 'neck.0.conv.'),
        (r'^conv_head\.1\.', 'neck.0.bn.'),
        (r'^downsample_layers\.0\.stem\.0\.', 'patch_embeds.0.step1.proj.'),
        (r'^downsample_layers\.0\.stem\.1\.', 'patch_embeds.0.step1.norm.'),
        (r'^downsample_layers\.0\.stem\.3\.', 'patch_embeds.0.step2.proj.'),
        (r'^downsample_layers\.0\.stem\.4\.', 'patch_embeds.0.step2.norm.'),
        (r'^downsample_layers\.(\d)\.reduction\.0\.', r'patch_embeds.\1.proj.'),
        (r'^downsample_layers\.(\d)\.reduction\.1\.', r'patch_embeds.\1.norm.'),
        (r'^stage_norms\.', 'norms.'),
        (r'^out_norm_(\d)\.', r'norms.\1.out.'),
        (rf'{_BLOCK}\.gamma_?([12])$', r'\1.scale\2.weight'),
        (rf'{_BLOCK}\.pos_embed$', r'\1.position.table'),
        (rf'{_BLOCK}\.dw_norm\.', r'\1.norm1.'),
        (rf'{_BLOCK}\.dw_input_proj\.', r'\1.mixer.input_proj.'),
        (rf'{_BLOCK}\.dwconv\.', r'\1.mixer.dwconv.'),
        (rf'{_BLOCK}\.dw_out_proj\.', r'\1.mixer.proj.'),
        (rf'{_BLOCK}\.pw_norm\.', r'\1.norm2.'),
        (rf'{_BLOCK}\.pwconv([12])\.', r'\1.ffn.fc\2.'),
        (rf'{_BLOCK}\.attn\.sr\.', r'\1.mixer.reduce.'),
        (rf'{_BLOCK}\.attn\.pos_embed\.', r'\1.mixer.'),
        (rf'{_BLOCK}\.attn\.dw_conv\.0\.', r'\1.mixer.dw_conv.'),
        (rf'{_BLOCK}\.attn\.dw_conv\.1\.norm\.', r'\1.mixer.norm.'),
        (rf'{_BLOCK}\.attn\.', r'\1.mixer.'),
        (rf'{_BLOCK}\.mlp\.', r'\1.ffn.'),
    ),
    derived=rf'{_BLOCK}\.(attn\.relative_position_index|attn_mask)$',
    # There, layer scale is (C,), (1, 1, 1, C) or (1, C, 1, 1), and some linear layers are 1x1
    # convolutions.
    squeezed=r'\.(scale[12]|mixer\.(kv|input_proj|proj))\.weight$',
)
