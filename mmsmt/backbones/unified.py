"""Unified architecture: one network for every spatial token mixer.

Paper: "Demystify Transformers & Convolutions in Modern Image Deep Networks", TPAMI 2025,
https://arxiv.org/abs/2211.05781. The authors released two networks under one name: that of their
classification code, for the pre-trained weights, and that of their detection code, for the
detectors. `UnifiedBackbone.behaviour` chooses between them.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from mmsmt.backbones.base import FourStageBackbone
from mmsmt.backbones.stages import Mixers, build_stages
from mmsmt.backbones.unified_archs import BEHAVIOURS, map_sizes, resolve_arch
from mmsmt.backbones.unified_weights import fit_tables, infer
from mmsmt.backbones.variants import Inferred, check_size
from mmsmt.checkpoints import Parts
from mmsmt.checkpoints.unified import UNIFIED_RELEASED
from mmsmt.errors import ConfigError
from mmsmt.layers import FFN, PatchEmbed, PositionMap, TwoStepStem, init_truncated
from mmsmt.mixers import MIXERS, SpatialReductionAttention
from mmsmt.registry import MODELS

# Epsilon of the norms in a block; other mixers, and all other norms, have 1e-6.
_NORM_EPS = {MIXERS[name]: 1e-5 for name in ('halo', 'sra', 'dcnv3')}


@MODELS.register_module()
class UnifiedBackbone(FourStageBackbone):
    """Four-stage network with any token mixer, plain feed-forwards and layer scale.

    `behaviour='classification'`, the default, is the network of the released weights, extended to
    images of any size: padding is masked, the last rows and columns are seen, position tables are
    interpolated.

    `behaviour='detection'` is the network of the published detectors. A stage passes its map on
    un-normalised, and the norms of the outputs are not pre-trained. `halo` and `window` attend to
    padding, `window` shifts even where the map is a single window. `sra` adds positions only in
    the first attention of a stage, and ignores last rows and columns that do not fill a reduction.

    Args:
        mixer: `halo`, `sra`, `window`, `dwconv`, `dcnv3` (published), `sam` or `msa`.
        arch: `pico`, `micro`, `tiny`, `small`, `base` (`large` for `dcnv3`), or a dict of the
            fields of `UnifiedArch`.
        behaviour: `classification` or `detection`.
        in_channels: Channels of the image.
        out_indices, frozen_stages, norm_eval, with_cp, init_cfg: See `FourStageBackbone`.
        recompute_activations: Recompute the wide maps of scale-aware modulation in the backward
            pass: less memory than the default, less time than `with_cp`. Hooks on the layers inside
            fire twice in training.
        embed_dims, depths, num_heads, mlp_ratios, reductions, window, sam_heads, image_size,
            layer_scale_init_value, drop_path_rate, mixers, stacking: Override a field of
            the variant, see `UnifiedArch`; None keeps it. An entry of `mixers` is a name, a
            module class, a dict of `type` and arguments, or a list of these for the blocks of a
            stage.

    Raises:
        ValueError: If a name, a length or a number of heads is wrong.

    Examples:
        >>> import torch
        >>> from mmsmt.backbones import UnifiedBackbone
        >>> model = UnifiedBackbone(mixer='dwconv', arch='micro')
        >>> [tuple(f.shape) for f in model(torch.rand(1, 3, 64, 64))]
        [(1, 32, 16, 16), (1, 64, 8, 8), (1, 128, 4, 4), (1, 256, 2, 2)]
    """

    dialects = (UNIFIED_RELEASED,)
    network = 'unified model'

    def __init__(
        self,
        mixer: str = 'halo',
        arch: str | dict[str, Any] = 'tiny',
        behaviour: str = 'classification',
        in_channels: int = 3,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool | Sequence[bool] = False,
        init_cfg: dict | list[dict] | None = None,
        recompute_activations: bool = False,
        *,
        embed_dims: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] | None = None,
        mlp_ratios: Sequence[float] | None = None,
        reductions: Sequence[int] | None = None,
        window: int | None = None,
        sam_heads: Sequence[int] | None = None,
        image_size: int | tuple[int, int] | None = None,
        layer_scale_init_value: float | None = None,
        drop_path_rate: float | None = None,
        mixers: Mixers | None = None,
        stacking: str | None = None,
    ) -> None:
        if behaviour not in BEHAVIOURS:
            raise ConfigError(f'unknown behaviour {behaviour!r}; known: {", ".join(BEHAVIOURS)}')
        check_size('in_channels', in_channels)
        overrides = dict(
            embed_dims=embed_dims,
            depths=depths,
            num_heads=num_heads,
            mlp_ratios=mlp_ratios,
            reductions=reductions,
            window=window,
            sam_heads=sam_heads,
            image_size=image_size,
            layer_scale_init_value=layer_scale_init_value,
            drop_path_rate=drop_path_rate,
            mixers=mixers,
            stacking=stacking,
        )
        spec = resolve_arch(mixer, arch, overrides)
        dims, detects = spec.embed_dims, behaviour == 'detection'
        masks = dict(mask_padding=not detects)
        options: list[dict[str, dict[str, Any]]] = [
            {
                'halo': dict(num_heads=heads, block=spec.window, **masks),
                'window': dict(
                    num_heads=heads, window=spec.window, small_map_rule=not detects, **masks
                ),
                'sra': dict(num_heads=heads, reduction=reduction, whole_map=not detects),
                'dcnv3': dict(num_heads=heads),
                'sam': dict(num_heads=sam_heads, recompute=recompute_activations),
                'msa': dict(num_heads=heads),
                'hybrid_scale': dict(num_heads=heads, reduction=reduction, window=spec.window),
                'self_guided': dict(num_heads=heads),
            }
            for heads, reduction, sam_heads in zip(
                spec.num_heads, spec.reductions, spec.sam_heads, strict=True
            )
        ]
        sizes = map_sizes(spec.image_size)

        def position(stage: int, mixer: nn.Module) -> nn.Module | None:
            has_one = isinstance(mixer, SpatialReductionAttention)
            return PositionMap(dims[stage], sizes[stage]) if has_one else None

        norms: list[nn.Module] = [nn.LayerNorm(dim, eps=1e-6) for dim in dims]
        if detects:  # named differently, so that a file shows which norms it has
            norms = [nn.Sequential(OrderedDict(out=norm)) for norm in norms]
        super().__init__(
            patch_embeds=[
                TwoStepStem(in_channels, dims[0]),
                *(
                    PatchEmbed(dims[i - 1], dims[i], bias=False, norm_eps=1e-6).apply(
                        init_truncated
                    )
                    for i in range(1, 4)
                ),
            ],
            stages=build_stages(spec, options, FFN, _NORM_EPS, position, keep_position=not detects),
            norms=norms,
            embed_dims=dims,
            chain_norms=not detects,
            in_channels=in_channels,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            with_cp=with_cp,
            init_cfg=init_cfg,
        )
        self.arch = spec
        self.mixer = mixer
        self.behaviour = behaviour

    def translate(self, state: Mapping[str, Tensor]) -> Parts:
        """Split a state dict; position tables are interpolated to this backbone's sizes.

        If this backbone is for detection, the stage norms of a classification network are dropped
        by name, and its own norms keep their values.
        """
        parts = super().translate(state)
        own = nn.Module.state_dict(self)
        fit_tables(parts.backbone, own)
        if self.behaviour == 'detection':
            stage_norms = {
                f'norms.{i}.{kind}' for i in range(4) for kind in ('weight', 'bias')
            } & parts.backbone.keys()
            for name in sorted(stage_norms):
                parts.dropped[name] = parts.backbone.pop(name)
            if stage_norms:
                parts.backbone |= {n: v for n, v in own.items() if n.startswith('norms.')}
                print_log(
                    'stage norms of a classification network are left out, the norms of the '
                    "outputs stay as they are: behaviour='detection' hands maps on un-normalised",
                    logger='current',
                )
        return parts

    @classmethod
    def infer(cls, state: Mapping[str, Tensor]) -> Inferred | None:
        """Infer the unified model from the shapes in a state dict."""
        return infer(state)
