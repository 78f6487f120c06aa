"""SG-Former, the self-guided transformer, for images of any size.

Paper: "SG-Former: Self-guided Transformer with Evolving Token Reallocation", ICCV 2023,
https://arxiv.org/abs/2308.12216. At 224 x 224 the results and weights are those of the authors'
released classification code, which supports no other size.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from math import isqrt
from typing import Any

from torch import Tensor, nn

from mmsmt.backbones.base import FourStageBackbone
from mmsmt.backbones.sg_former_archs import infer, resolve_arch
from mmsmt.backbones.stages import Mixers, build_stages
from mmsmt.backbones.variants import Inferred, check_size
from mmsmt.checkpoints import Parts
from mmsmt.checkpoints.sg_former import SG_FORMER_RELEASED
from mmsmt.layers import ConvFFN, ConvNormStem, PositionTable, SeparablePatchEmbed, resample_table
from mmsmt.registry import MODELS

_TABLE = 'patch_embeds.0.position.table'


@MODELS.register_module()
class SGFormer(FourStageBackbone):
    """Self-guided transformer with evolving token reallocation.

    The function is not continuous: a tiny change of the input can swap two pixels in the order
    of significance, and so merge them into other tokens.

    Args:
        arch: `pico`, `small`, `medium`, `base`, or a dict of the fields of `SGFormerArch`.
        in_channels: Channels of the image.
        out_indices, frozen_stages, norm_eval, with_cp, init_cfg: See `FourStageBackbone`.
        recompute_activations: Recompute the wide maps of feed-forwards and of scale-aware
            modulation in the backward pass: less memory than the default, less time than
            `with_cp`. Hooks on the layers inside fire twice in training.
        embed_dims, depths, num_heads, mlp_ratios, reductions, runs, window, position_grid,
            layer_scale_init_value, drop_path_rate, mixers, stacking: Override a field of
            the variant, see `SGFormerArch`; None keeps it. An entry of `mixers` is a name, a
            module class, a dict of `type` and arguments, or a list of these for the blocks of a
            stage.

    Raises:
        ValueError: If a name, a length or a number of heads is wrong.

    Examples:
        >>> import torch
        >>> from mmsmt.backbones import SGFormer
        >>> model = SGFormer(arch='pico')
        >>> [tuple(f.shape) for f in model(torch.rand(1, 3, 64, 64))]
        [(1, 32, 16, 16), (1, 64, 8, 8), (1, 128, 4, 4), (1, 256, 2, 2)]
        >>> maps = model.significance(torch.rand(1, 3, 64, 64))
        >>> [[tuple(m.shape) for m in stage] for stage in maps]
        [[(1, 16, 16)], [(1, 8, 8)], [(1, 4, 4)], []]
    """

    dialects = (SG_FORMER_RELEASED,)
    network = 'SG-Former'

    def __init__(
        self,
        arch: str | dict[str, Any] = 'small',
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
        runs: Sequence[Sequence[int]] | None = None,
        window: int | None = None,
        position_grid: int | None = None,
        layer_scale_init_value: float | None = None,
        drop_path_rate: float | None = None,
        mixers: Mixers | None = None,
        stacking: str | None = None,
    ) -> None:
        check_size('in_channels', in_channels)
        overrides = dict(
            embed_dims=embed_dims,
            depths=depths,
            num_heads=num_heads,
            mlp_ratios=mlp_ratios,
            reductions=reductions,
            runs=runs,
            window=window,
            position_grid=position_grid,
            layer_scale_init_value=layer_scale_init_value,
            drop_path_rate=drop_path_rate,
            mixers=mixers,
            stacking=stacking,
        )
        spec = resolve_arch(arch, overrides)
        dims = spec.embed_dims
        stem = nn.Sequential(
            OrderedDict(
                stem=ConvNormStem(in_channels, dims[0]),
                position=PositionTable(dims[0], spec.position_grid),
            )
        )
        options: list[dict[str, dict[str, Any]]] = [
            {
                'hybrid_scale': dict(num_heads=heads, reduction=reduction, window=spec.window),
                'self_guided': dict(num_heads=heads, runs=runs),
                'msa': dict(num_heads=heads, local='input'),
            }
            for heads, reduction, runs in zip(
                spec.num_heads, spec.reductions, spec.runs, strict=True
            )
        ]
        super().__init__(
            patch_embeds=[stem, *(SeparablePatchEmbed(dims[i - 1], dims[i]) for i in range(1, 4))],
            stages=build_stages(spec, options, partial(ConvFFN, recompute=recompute_activations)),
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

    def translate(self, state: Mapping[str, Tensor]) -> Parts:
        """Split a state dict; a square position table is interpolated to this backbone's grid."""
        parts = super().translate(state)
        table = parts.backbone.get(_TABLE)
        if table is not None and table.ndim == 3 and table.shape[0] == 1:
            theirs, ours = isqrt(table.shape[1]), self.arch.position_grid
            if theirs**2 == table.shape[1] != ours**2:
                resampled = resample_table(table.float(), (theirs, theirs), (ours, ours))
                parts.backbone[_TABLE] = resampled.flatten(1, 2).to(table.dtype)
        return parts

    @classmethod
    def infer(cls, state: Mapping[str, Tensor]) -> Inferred | None:
        """Infer the SG-Former from the shapes in a state dict."""
        return infer(state)
