"""All backbones as timm models: `import mmsmt.apis.timm; timm.create_model('smt_tiny')`.

Names are `smt_<arch>`, `sg_former_<arch>` and `unified_<mixer>_<arch>`. Keywords unknown to timm
are arguments of the backbone (`depths=...`, `mixers=...`).

Examples:
    >>> import timm
    >>> import torch
    >>> import mmsmt.apis.timm
    >>> model = timm.create_model('smt_pico', num_classes=10).eval()
    >>> model(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 10])
"""

from collections.abc import Callable
from typing import Any

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from mmsmt.apis.names import read_index
from mmsmt.apis.timm_model import FIRST_CONVS, TimmClassifier
from mmsmt.backbones import (
    SMT,
    FourStageBackbone,
    SGFormer,
    UnifiedBackbone,
    sg_former_archs,
    smt_archs,
    unified_archs,
)

# Class and arguments of every model.
VARIANTS: dict[str, tuple[type[FourStageBackbone], dict[str, Any]]] = {
    **{f'smt_{arch}': (SMT, dict(arch=arch)) for arch in smt_archs.ARCHS},
    **{f'sg_former_{arch}': (SGFormer, dict(arch=arch)) for arch in sg_former_archs.ARCHS},
    **{
        f'unified_{mixer}_{arch}': (UnifiedBackbone, dict(mixer=mixer, arch=arch))
        for mixer, archs in unified_archs.ARCHS.items()
        for arch in archs
    },
}
_PAPERS = {
    SMT: ('2307.08579', 'Scale-Aware Modulation Meet Transformer'),
    SGFormer: ('2308.12216', 'SG-Former: Self-guided Transformer with Evolving Token Reallocation'),
    UnifiedBackbone: (
        '2211.05781',
        'Demystify Transformers & Convolutions in Modern Image Deep Networks',
    ),
}
# Our names of published weights by timm's tag; the first tag of a variant is its default.
_PUBLISHED = {
    'smt_tiny': {'in1k': 'smt_t_in1k'},
    'smt_small': {'in1k': 'smt_s_in1k'},
    'smt_base': {'in1k': 'smt_b_in1k'},
    'smt_large': {
        'in22k_ft_in1k': 'smt_l_in22k_ft_in1k',
        'in22k_ft_in1k_384': 'smt_l_in22k_ft_in1k_384',
        'in22k': 'smt_l_in22k',
    },
}


def _default_cfg(variant: str, tag: str = '', name: str = '') -> dict[str, Any]:
    """Return timm's description of a variant and of its published weights, if `name` has any."""
    network, _ = VARIANTS[variant]
    size = 64 if variant.endswith('_pico') else 224
    paper_id, paper = _PAPERS[network]
    cfg = dict(
        num_classes=1000,
        input_size=(3, size, size),
        pool_size=(size // 32, size // 32),
        crop_pct=0.875,
        interpolation='bicubic',
        mean=IMAGENET_DEFAULT_MEAN,
        std=IMAGENET_DEFAULT_STD,
        first_conv=FIRST_CONVS[network.network],
        classifier='head.fc',
        paper_ids=f'arXiv:{paper_id}',
        paper_name=paper,
    )
    if name:
        entry = read_index()[name]
        cfg |= dict(
            url=entry.weights,
            custom_load=True,
            license=entry.licence.lower(),
            origin_url=entry.origin.rpartition(' ')[2],
        )
    if tag.endswith('_384'):
        cfg |= dict(input_size=(3, 384, 384), pool_size=(12, 12), crop_pct=1.0, crop_mode='squash')
    if tag == 'in22k':
        cfg['num_classes'] = 21_841
    return cfg


default_cfgs = generate_default_cfgs(
    {
        f'{variant}.{tag}' if tag else variant: _default_cfg(variant, tag, name)
        for variant in VARIANTS
        for tag, name in _PUBLISHED.get(variant, {'': ''}).items()
    }
)


def _entrypoint(
    variant: str, network: type[FourStageBackbone], fields: dict[str, Any]
) -> Callable[..., nn.Module]:
    def build(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        return build_model_with_cfg(
            TimmClassifier,
            variant,
            pretrained,
            pretrained_filter_fn=lambda state, model: model.named_as_here(state),
            feature_cfg=dict(out_indices=(0, 1, 2, 3), feature_cls='getter'),
            network=network,
            **{**fields, **kwargs},
        )

    build.__name__ = build.__qualname__ = variant
    build.__doc__ = f'{network.network}, {fields}.'
    return build


for _variant, _built in VARIANTS.items():
    globals()[_variant] = register_model(_entrypoint(_variant, *_built))
