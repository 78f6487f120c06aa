"""Released naming of SMT (https://arxiv.org/abs/2307.08579).

The depth-wise convolution of the attention is `local_conv` in the authors' classification code,
and `dw_conv` in their detection and segmentation code.
"""

from dataclasses import replace

from mmsmt.checkpoints.dialects import STAGE_RULES, Dialect

SMT_RELEASED = Dialect(
    name='released SMT',
    marker=r'(patch_embed|block)[1-4]\.',
    rules=(
        (r'^patch_embed1\.conv\.0\.', 'patch_embed1.conv1.'),
        (r'^patch_embed1\.conv\.1\.', 'patch_embed1.bn.'),
        (r'^patch_embed1\.conv\.3\.', 'patch_embed1.conv2.'),
        (r'\.attn\.v\.', '.mixer.value.'),
        (r'\.attn\.s\.', '.mixer.context.'),
        (r'\.attn\.local_conv_(\d+)\.', lambda m: f'.mixer.head_convs.{int(m.group(1)) - 1}.'),
        (r'\.attn\.proj0\.', '.mixer.expand.'),
        (r'\.attn\.proj1\.', '.mixer.reduce.'),
        (r'\.attn\.(?:local|dw)_conv\.', '.mixer.dwconv.'),
        (r'\.gamma_([12])$', r'.scale\1.weight'),
        *STAGE_RULES,
    ),
)
# Distinguished only for reports: the rules above know both names.
SMT_RELEASED_DENSE = replace(
    SMT_RELEASED, name='released SMT, dw_conv', marker=r'block[1-4]\.\d+\.attn\.dw_conv\.'
)
