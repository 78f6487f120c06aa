"""SMT, the scale-aware modulation transformer.

Paper: "Scale-Aware Modulation Meet Transformer", ICCV 2023, https://arxiv.org/abs/2307.08579.
Results and weights are those of the authors' released classification code (MIT).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from mmsmt.backbones.base import FourStageBackbone
from mmsmt.backbones.smt_archs import infer, resolve_arch
from mmsmt.backbones.stages import Mixers, build_stages
from mmsmt.backbones.variants import Inferred, check_size
from mmsmt.checkpoints.smt import SMT_RELEASED, SMT_RELEASED_DENSE
from mmsmt.layers import ConvFFN, ConvStem, PatchEmbed
from mmsmt.registry import MODELS


@MODELS.register_module()
class SMT(FourStageBackbone):
    """Scale-aware modulation transformer.

    Args:
        arch: `pico`, `tiny`, `small`, `base`, `large`, or a dict of the fields of `SMTArch`.
        in_channels: Channels of the image.
        out_indices, frozen_stages, norm_eval, with_cp, init_cfg: See `FourStageBackbone`.
        recompute_activations: Recompute the wide maps of feed-forwards and of scale-aware
            modulation in the backward pass: less memory than the default, less time than
            `with_cp`. Hooks on the layers inside fire twice in training.
        embed_dims, depths, mlp_ratios, stem_kernel, layer_scale_init_value, drop_path_rate,
            sam_heads, sam_expansion, msa_heads, mixers, stacking: Override a field of the variant,
            see `SMTArch`; None keeps it. An entry of `mixers` is a name, a module class, a dict of
            `type` and arguments, or a list of these for the blocks of a stage.

    Raises:
        ValueError: If a name, a length or a number of heads is wrong.

    Examples:
        >>> import torch
        >>> from mmsmt.backbones import SMT
        >>> [tuple(f.shape) for f in SMT(arch='tiny')(torch.rand(1, 3, 64, 64))]
        [(1, 64, 16, 16), (1, 128, 8, 8), (1, 256, 4, 4), (1, 512, 2, 2)]
    """

    dialects = (SMT_RELEASED_DENSE, SMT_RELEASED)
    network = 'SMT'

    def __init__(
        self,
        arch: str | dict[str, Any] = 'tiny',
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
        mlp_ratios: Sequence[float] | None = None,
        stem_kernel: int | None = None,
        layer_scale_init_value: float | None = None,
        drop_path_rate: float | None = None,
        sam_heads: Sequence[int] | None = None,
        sam_expansion: int | None = None,
        msa_heads: Sequence[int] | None = None,
        mixers: Mixers | None = None,
        stacking: str | None = None,
    ) -> None:
        check_size('in_channels', in_channels)
        overrides = dict(
            embed_dims=embed_dims,
            depths=depths,
            mlp_ratios=mlp_ratios,
            stem_kernel=stem_kernel,
            layer_scale_init_value=layer_scale_init_value,
            drop_path_rate=drop_path_rate,
            sam_heads=sam_heads,
            sam_expansion=sam_expansion,
            msa_heads=msa_heads,
            mixers=mixers,
            stacking=stacking,
        )
        spec = resolve_arch(arch, overrides)
        dims = spec.embed_dims
        options: list[dict[str, dict[str, Any]]] = [
            {
                'sam': dict(
                    num_heads=spec.sam_heads[i],
                    expansion=spec.sam_expansion,
                    recompute=recompute_activations,
                ),
                'msa': dict(num_heads=spec.msa_heads[i]),
            }
            for i in range(4)
        ]
        super().__init__(
            patch_embeds=[
                ConvStem(in_channels, dims[0], spec.stem_kernel),
                *(PatchEmbed(dims[i - 1], dims[i]) for i in range(1, 4)),
            ],
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

    @classmethod
    def infer(cls, state: Mapping[str, Tensor]) -> Inferred | None:
        """Infer the SMT from the shapes in a state dict."""
        return infer(state)
