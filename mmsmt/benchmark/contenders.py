"""Networks of the benchmark: names, published accuracy, construction, complexity.

All run without a classifier and return the four maps at strides 4, 8, 16 and 32 that detectors and
segmenters use. Weights are random.
"""

from collections.abc import Iterable
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

from mmsmt import backbones
from mmsmt.analysis import count_complexity
from mmsmt.benchmark.plain_smt import PlainSMT
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.model import backbone_of, load_model
from mmsmt.hosts.request import Request, parse_requests
from mmsmt.text import nearest

STAGES = (0, 1, 2, 3)
NCHW, CHANNELS_LAST = 'contiguous', 'channels-last'
BOTH = (NCHW, CHANNELS_LAST)  # for networks with convolutions
EXTRAS = {
    'mmpretrain': 'cls',
    'timm': 'benchmark',
}  # extras of this package for the libraries of peers


class Contender(NamedTuple):
    """A network in the benchmark."""

    name: str
    library: str  # `mmsmt`, `plain`, `mmpretrain`, `timm`, or `config` for a file
    kind: str  # class or model name in the library; the config file
    options: dict[str, Any]  # arguments; the type of a config's backbone
    top1: float | None = None  # %, published for ImageNet-1K at 224 x 224 without other data
    source: str = ''  # URL of the publication
    layouts: tuple[str, ...] = (NCHW,)  # memory formats to try; the faster one counts

    @property
    def deployable(self) -> bool:
        """Return whether it has a deploy form."""
        return self.library == 'mmsmt' or str(self.options.get('type')).startswith('mmsmt.')


SMT_PAPER = 'https://arxiv.org/abs/2307.08579'
UNIFIED_PAPER = 'https://arxiv.org/abs/2211.05781'
SWIN_PAPER = 'https://arxiv.org/abs/2103.14030'
CONVNEXT_PAPER = 'https://arxiv.org/abs/2201.03545'
RESNET_PAPER = 'https://arxiv.org/abs/2110.00476'  # recipe A1, the best of ResNet-50 at 224
MAMBAOUT_PAPER = 'https://arxiv.org/abs/2405.07992'  # quotes the value of SG-Former's authors


def _ours() -> Iterable[Contender]:
    for short, arch, top1 in (('T', 'tiny', 82.2), ('S', 'small', 83.7), ('B', 'base', 84.3)):
        rest = (dict(arch=arch), top1, SMT_PAPER)
        yield Contender(f'SMT-{short}', 'mmsmt', 'SMT', *rest)
        yield Contender(f'plain SMT-{short}', 'plain', 'PlainSMT', *rest)
    yield Contender('SG-Former-S', 'mmsmt', 'SGFormer', dict(arch='small'), 83.2, MAMBAOUT_PAPER)
    tops = dict(halo=83.0, window=82.3, sra=82.1, dwconv=82.2, dcnv3=83.3)
    for mixer, top1 in tops.items():
        rest = (dict(mixer=mixer, arch='tiny'), top1, UNIFIED_PAPER)
        yield Contender(f'unified {mixer} T', 'mmsmt', 'UnifiedBackbone', *rest)


def _peers() -> Iterable[Contender]:
    maps = dict(out_indices=STAGES)
    for short, size, top1 in (('T', 'tiny', 81.3), ('S', 'small', 83.0)):
        # mmpretrain's windows do not fit all sizes unless small maps are padded.
        options = dict(arch=size, pad_small_map=True, **maps)
        name, timm_name = f'Swin-{short}', f'swin_{size}_patch4_window7_224'
        yield Contender(name, 'mmpretrain', 'SwinTransformer', options, top1, SWIN_PAPER)
        options = dict(strict_img_size=False)
        yield Contender(f'{name} (timm)', 'timm', timm_name, options, top1, SWIN_PAPER)
    for short, size, top1 in (('T', 'tiny', 82.1), ('S', 'small', 83.1)):
        options = dict(arch=size, gap_before_final_norm=False, **maps)
        name, rest = f'ConvNeXt-{short}', (top1, CONVNEXT_PAPER, BOTH)
        yield Contender(name, 'mmpretrain', 'ConvNeXt', options, *rest)
        yield Contender(f'{name} (timm)', 'timm', f'convnext_{size}', {}, *rest)
    options = dict(depth=50, **maps)
    yield Contender('ResNet-50', 'mmpretrain', 'ResNet', options, 80.4, RESNET_PAPER, BOTH)
    for name, timm_name, top1, source in (
        ('PVTv2-B2', 'pvt_v2_b2', 82.0, 'https://arxiv.org/abs/2106.13797'),
        ('EfficientViT-B2', 'efficientvit_b2', 82.1, 'https://arxiv.org/abs/2205.14756'),
        ('CAFormer-S18', 'caformer_s18', 83.6, 'https://arxiv.org/abs/2210.13452'),
        ('MambaOut-T', 'mambaout_tiny', 82.7, MAMBAOUT_PAPER),
    ):
        yield Contender(name, 'timm', timm_name, {}, top1, source, BOTH)


CONTENDERS = MappingProxyType({c.name: c for c in (*_ours(), *_peers())})
# Measured by default.
USUAL = tuple(
    name for name in CONTENDERS if not name.startswith(('SG-', 'unified')) and '(timm)' not in name
)


def find_contenders(names: list[str]) -> list[Contender]:
    """Return the networks with these names; `[LABEL=]CONFIG` is the backbone of a config.

    Raises:
        UsageError: If a name is unknown or duplicated, or a config cannot be read.
    """
    found = []
    for name, (label, config, _) in zip(names, parse_requests(names), strict=True):
        if name in CONTENDERS:
            found.append(CONTENDERS[name])
        elif '::' in name or name.endswith('.py'):
            kind = read_config(config).model.get('backbone', {}).get('type')
            contender = Contender(label, 'config', config, dict(type=str(kind)))
            found.append(contender if contender.deployable else contender._replace(layouts=BOTH))
        else:
            near = nearest(name, CONTENDERS)
            hint = f'did you mean {near!r}? ' if near else ''
            known = f'known: {", ".join(CONTENDERS)}, and config files'
            raise UsageError(f'unknown network {name!r}; {hint}{known}')
    return found


def build(contender: Contender) -> nn.Module:
    """Build a network with random weights, in eval mode.

    Raises:
        UsageError: If its library is missing, or a config's model cannot be built.
    """
    torch.manual_seed(0)
    model: Any
    if contender.library == 'config':
        request = Request(contender.name, contender.kind)
        model = backbone_of(load_model(request, out_indices=STAGES).model)
    elif contender.library in EXTRAS:
        model = _build_peer(contender)
    else:
        kind = PlainSMT if contender.library == 'plain' else getattr(backbones, contender.kind)
        model = kind(**contender.options)
    model.eval()  # not chained: `eval` of some networks of mmpretrain returns None
    return model


def _build_peer(contender: Contender) -> Any:
    name, library, kind, options, *_ = contender
    try:
        import_module(library)
        peers = import_module(f'{library}.models')
    except ImportError as error:
        install = f"pip install 'mmsmt[{EXTRAS[library]}]'"
        raise UsageError(f'{name} is from {library}, which is not installed: {install}') from error
    if library == 'timm':
        # Only the getter returns (B, C, H, W) for networks that compute on (B, H, W, C).
        maps = dict(features_only=True, feature_cls='getter', out_indices=STAGES)
        return peers.create_model(kind, **maps, **options)
    model = getattr(peers, kind)(**options)
    model.init_weights()
    return model


def check_maps(contender: Contender, maps: Any, height: int, width: int) -> None:
    """Raise UsageError unless a network returns four maps at strides 4 to 32, like the others.

    Args:
        contender: The network, for the message.
        maps: Its outputs for images of `height` x `width` pixels.
        height: Height of the images; maps may round it up or down.
        width: Width of the images.
    """
    sizes = [tuple(x.shape[2:]) for x in maps if isinstance(x, Tensor) and x.ndim == 4]
    right = len(sizes) == len(maps) == len(STAGES) and all(
        abs(side - pixels / stride) < 1
        for size, stride in zip(sizes, (4, 8, 16, 32))
        for side, pixels in zip(size, (height, width))
    )
    if not right:
        raise UsageError(
            f'{contender.name}: the maps for {height} x {width} pixels are {sizes}; only '
            'backbones with four maps, at strides 4, 8, 16 and 32, can be compared'
        )


def count(contender: Contender, height: int, width: int) -> tuple[int, int]:
    """Count parameters, and multiply-accumulates for one image.

    Raises:
        UsageError: If it cannot be built, or returns other maps than the rest.
        ValueError: If it does not run without values.
    """
    model, original = build(contender).to('meta'), torch.autocast

    def autocast(device_type: str, *args: Any, **kwargs: Any) -> torch.autocast:
        return original('cpu' if device_type == 'meta' else device_type, *args, **kwargs)

    # Some networks disable autocast in a part, which fails on the meta device.
    with patch.object(torch, 'autocast', autocast), torch.no_grad():
        maps = model(torch.zeros(1, 3, height, width, device='meta'))
        check_maps(contender, maps, height, width)
        return count_complexity(model, (3, height, width))[:2]
