"""SMT, the scale-aware modulation transformer, as a backbone.

Paper: "Scale-Aware Modulation Meet Transformer", ICCV 2023, https://arxiv.org/abs/2307.08579.
Behaviour and weights are those of the authors' released classification code (MIT).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from torch import Tensor, nn

from mmsmt.backbones.base import FourStageBackbone
from mmsmt.checkpoints.smt import SMT_RELEASED
from mmsmt.layers import (
    ConvFFN,
    ConvStem,
    PatchEmbed,
    ResidualBlock,
    init_layer,
    linear_drop_path_rates,
)
from mmsmt.mixers import MixerSpec, build_mixer
from mmsmt.registry import MODELS

STACKINGS = ('alternate', 'halves')


@dataclass(frozen=True)
class SMTArch:
    """The fields of a variant; sequences have one entry per stage.

    Args:
        embed_dims: Channels.
        depths: Number of blocks.
        mlp_ratios: Hidden width of the feed-forward as a multiple of the channels.
        stem_kernel: Kernel of the first convolution.
        layer_scale_init_value: Initial layer scale, 0 for none.
        drop_path_rate: Stochastic-depth rate of the last block.
        sam_heads: Heads of SAM blocks.
        sam_expansion: Width of SAM's aggregation.
        msa_heads: Heads of attention blocks. Stages 1 and 2 have none in the paper; the
            table's entries keep the width of a head.
        mixers: Mixer of a stage, or several that `stacking` distributes.
        stacking: `alternate` repeats a stage's mixers in turn (the paper's choice),
            `halves` gives each a run of blocks (the paper's ablation).
    """

    embed_dims: Sequence[int]
    depths: Sequence[int]
    mlp_ratios: Sequence[float]
    stem_kernel: int = 3
    layer_scale_init_value: float = 0.0
    drop_path_rate: float = 0.0
    sam_heads: Sequence[int] = (4, 4, 4, 4)
    sam_expansion: int = 2
    msa_heads: Sequence[int] = (2, 4, 8, 16)
    mixers: Sequence[MixerSpec | Sequence[MixerSpec]] = ('sam', 'sam', ('sam', 'msa'), 'msa')
    stacking: str = 'alternate'


# Paper, table 1, and the released configurations; drop path is that of ImageNet-1K, for
# large of ImageNet-22K. `small` is the released one: published parameter counts are those
# of depths (3, 4, 18, 1), published FLOPs and the checkpoint those of (3, 4, 18, 2).
# `pico` is ours: for digits of 64 pixels and scenes of 256, 1.4 M parameters.
ARCHS = {
    'pico': SMTArch((32, 64, 128, 256), (1, 1, 2, 1), (4, 4, 4, 2), msa_heads=(1, 2, 4, 8)),
    'tiny': SMTArch((64, 128, 256, 512), (2, 2, 8, 1), (4, 4, 4, 2), drop_path_rate=0.1),
    'small': SMTArch((64, 128, 256, 512), (3, 4, 18, 2), (4, 4, 4, 2), drop_path_rate=0.2),
    'base': SMTArch(
        (64, 128, 256, 512), (4, 6, 28, 2), (8, 6, 4, 2), stem_kernel=7, drop_path_rate=0.3
    ),
    'large': SMTArch(
        (96, 192, 384, 768),
        (4, 6, 28, 4),
        (8, 6, 4, 2),
        stem_kernel=7,
        layer_scale_init_value=1e-4,
        drop_path_rate=0.1,
    ),
}


def resolve_arch(arch: str | dict[str, Any], overrides: dict[str, Any]) -> SMTArch:
    """The fields of a variant with some of them replaced.

    Args:
        arch: A name of `ARCHS`, or a dict of the fields of `SMTArch`.
        overrides: Fields to replace; None keeps the variant's.

    Returns:
        The complete fields.

    Raises:
        ValueError: If the name, a field or a length is wrong; it lists what is right.
    """
    known = {f.name for f in fields(SMTArch)}
    required = {'embed_dims', 'depths', 'mlp_ratios'}
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'unknown arch {arch!r}; known: {", ".join(ARCHS)}')
        resolved = ARCHS[arch]
    elif (given := set(arch)) - known or required - given:
        raise ValueError(
            f'arch needs {sorted(required)} and may have {sorted(known - required)}, '
            f'got {sorted(given)}'
        )
    else:
        resolved = SMTArch(**arch)
    resolved = replace(resolved, **{k: v for k, v in overrides.items() if v is not None})
    for name, value in asdict(resolved).items():
        if name in ('embed_dims', 'depths', 'mlp_ratios', 'sam_heads', 'msa_heads', 'mixers') and (
            isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 4
        ):
            raise ValueError(f'{name} needs one entry for each of the 4 stages, got {value!r}')
    if min(resolved.depths) < 1:
        raise ValueError(f'depths must be at least 1, got {tuple(resolved.depths)}')
    if resolved.stem_kernel < 1 or resolved.stem_kernel % 2 == 0:
        raise ValueError(f'stem_kernel must be odd, got {resolved.stem_kernel}')
    if resolved.stacking not in STACKINGS:
        raise ValueError(f'unknown stacking {resolved.stacking!r}; known: {", ".join(STACKINGS)}')
    return resolved


def stack_mixers(
    mixers: MixerSpec | Sequence[MixerSpec], depth: int, stacking: str
) -> list[MixerSpec]:
    """Distribute a stage's mixers over its blocks; a list of `depth` stays as it is."""
    choices: list[Any] = list(mixers) if isinstance(mixers, list | tuple) else [mixers]
    if stacking == 'halves':
        return [choices[block * len(choices) // depth] for block in range(depth)]
    return [choices[block % len(choices)] for block in range(depth)]


@MODELS.register_module()
class SMT(FourStageBackbone):
    """Scale-aware modulation transformer.

    Args:
        arch: `pico`, `tiny`, `small`, `base`, `large`, or a dict of the fields of `SMTArch`.
        in_channels: Channels of the image.
        drop_path_rate: Replaces the variant's.
        embed_dims, depths, mlp_ratios, stem_kernel, layer_scale_init_value, sam_heads,
            sam_expansion, msa_heads, mixers, stacking: Replace the variant's, see `SMTArch`.
            An entry of `mixers` is a name, a module class, a dict of `type` and arguments,
            or a list of these for the blocks of the stage.
        out_indices, frozen_stages, norm_eval, with_cp, init_cfg: See `FourStageBackbone`.

    Raises:
        ValueError: If a name, a length or a number of heads is wrong.

    Examples:
        >>> import torch
        >>> from mmsmt.backbones import SMT
        >>> [tuple(f.shape) for f in SMT(arch='tiny')(torch.rand(1, 3, 64, 64))]
        [(1, 64, 16, 16), (1, 128, 8, 8), (1, 256, 4, 4), (1, 512, 2, 2)]
    """

    dialects = (SMT_RELEASED,)

    def __init__(
        self,
        arch: str | dict[str, Any] = 'tiny',
        in_channels: int = 3,
        drop_path_rate: float | None = None,
        embed_dims: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        mlp_ratios: Sequence[float] | None = None,
        stem_kernel: int | None = None,
        layer_scale_init_value: float | None = None,
        sam_heads: Sequence[int] | None = None,
        sam_expansion: int | None = None,
        msa_heads: Sequence[int] | None = None,
        mixers: Sequence[MixerSpec | Sequence[MixerSpec]] | None = None,
        stacking: str | None = None,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        spec = resolve_arch(
            arch,
            dict(
                drop_path_rate=drop_path_rate,
                embed_dims=embed_dims,
                depths=depths,
                mlp_ratios=mlp_ratios,
                stem_kernel=stem_kernel,
                layer_scale_init_value=layer_scale_init_value,
                sam_heads=sam_heads,
                sam_expansion=sam_expansion,
                msa_heads=msa_heads,
                mixers=mixers,
                stacking=stacking,
            ),
        )
        dims = spec.embed_dims
        super().__init__(
            patch_embeds=[
                ConvStem(in_channels, dims[0], spec.stem_kernel),
                *(PatchEmbed(dims[i - 1], dims[i]) for i in range(1, 4)),
            ],
            stages=[self._stage(spec, i) for i in range(4)],
            norms=[nn.LayerNorm(dim, eps=1e-6) for dim in dims],
            embed_dims=dims,
            in_channels=in_channels,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            with_cp=with_cp,
            init_cfg=init_cfg,
        )
        self.arch = spec
        self.apply(init_layer)

    @staticmethod
    def _stage(spec: SMTArch, i: int) -> list[nn.Module]:
        """The blocks of stage i."""
        dim, depth = spec.embed_dims[i], spec.depths[i]
        options: dict[str, dict[str, Any]] = {
            'sam': dict(num_heads=spec.sam_heads[i], expansion=spec.sam_expansion),
            'msa': dict(num_heads=spec.msa_heads[i]),
        }
        rates = linear_drop_path_rates(spec.drop_path_rate, spec.depths)[i]
        return [
            ResidualBlock(
                dim,
                mixer=build_mixer(mixer, dim, options),
                ffn=ConvFFN(dim, spec.mlp_ratios[i]),
                drop_path=rate,
                layer_scale_init_value=spec.layer_scale_init_value,
            )
            for mixer, rate in zip(
                stack_mixers(spec.mixers[i], depth, spec.stacking), rates, strict=True
            )
        ]

    def _fit_hint(self, state: dict[str, Tensor]) -> str:
        found = infer_arch(state)
        if found is None:
            return 'The file holds no SMT backbone.'
        shape = {key: found[key] for key in ('embed_dims', 'depths', 'mlp_ratios')}
        names = [
            name
            for name, spec in ARCHS.items()
            if all(list(getattr(spec, key)) == value for key, value in shape.items())
        ]
        return f'The file holds SMT {", ".join(names) or "of no named variant"}: {found}.'


def infer_arch(state: dict[str, Tensor]) -> dict[str, Any] | None:
    """Read the variant's shape off a state dict.

    Args:
        state: Entries under our names, complete or not.

    Returns:
        `embed_dims`, `depths`, `mlp_ratios` as lists, `stem_kernel`, `layer_scale`; None
        where the entries are no complete SMT.
    """
    depths = [
        len({n.split('.')[2] for n in state if n.startswith(f'stages.{i}.')}) for i in range(4)
    ]
    try:
        widths = [state[f'stages.{i}.0.ffn.fc1.weight'].shape for i in range(4)]
        stem = state['patch_embeds.0.conv1.weight'].shape[-1]
    except KeyError:
        return None
    return {
        'embed_dims': [dim for _, dim in widths],
        'depths': depths,
        'mlp_ratios': [hidden // dim for hidden, dim in widths],
        'stem_kernel': stem,
        'layer_scale': 'stages.0.0.scale1.weight' in state,
    }
