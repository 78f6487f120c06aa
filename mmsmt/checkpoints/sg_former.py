"""Released naming of SG-Former (https://arxiv.org/abs/2308.12216)."""

from mmsmt.checkpoints.dialects import STAGE_RULES, Dialect

SG_FORMER_RELEASED = Dialect(
    name='released SG-Former',
    # Every file has it, and parts of a file have blocks.
    marker=r'pos_embed$|(patch_embed|block)[1-4]\.',
    rules=(
        (r'^pos_embed$', 'patch_embeds.0.position.table'),
        (r'^patch_embed1\.', 'patch_embed1.stem.'),
        # Convolutions and activations alternate in the stem: 0, 2, 4.
        (r'(?<=stem)\.conv\.(\d)\.', lambda m: f'.conv{int(m[1]) // 2 + 1}.'),
        (r'^(patch_embed[1-4]\..*)\.c\.weight$', r'\1.conv.weight'),
        (r'^(patch_embed[1-4]\..*)\.bn\.', r'\1.norm.'),
        (r'\.attn\.sr\.', '.mixer.reduce.'),
        (r'\.attn\.f(\d)\.', lambda m: f'.mixer.merges.{int(m[1]) - 1}.'),
        (r'\.attn\.lepe_linear\.', '.mixer.lepe.linear.'),
        (r'\.attn\.lepe_conv\.', '.mixer.lepe.dwconv.'),
        *STAGE_RULES,
    ),
)
