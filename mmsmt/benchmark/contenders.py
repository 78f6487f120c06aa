"""The networks of the benchmark by name: where each is from, and what was published of it.

All run without a classifier: they give the four maps at strides 4, 8, 16 and 32 that detectors and
segmenters take. Weights are random.
"""

import difflib
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, NamedTuple

from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.request import Request, parse_requests

STAGES = (0, 1, 2, 3)
NCHW, CHANNELS_LAST = 'contiguous', 'channels-last'


class Contender(NamedTuple):
    """A network of the benchmark.

    Args:
        name: In tables and on the command line.
        library: `mmsmt`, `plain`, `mmpretrain`, `timm`, or `config` for a file.
        kind: Class or model name in that library; the file.
        options: Arguments of the class or of the model.
        top1: Published top-1 accuracy on ImageNet-1K at 224 x 224 without other data, in percent;
            None where there is none.
        source: Where that stands.
        layouts: Memory formats to try; the faster counts.
        deployable: Whether it is of this suite, so that `mmsmt.deploy` knows it.
    """

    name: str
    library: str
    kind: str
    options: dict[str, Any]
    top1: float | None = None
    source: str = ''
    layouts: tuple[str, ...] = (NCHW,)
    deployable: bool = False


SMT_PAPER = 'https://arxiv.org/abs/2307.08579'
UNIFIED_PAPER = 'https://arxiv.org/abs/2211.05781'
SWIN_PAPER = 'https://arxiv.org/abs/2103.14030'
CONVNEXT_PAPER = 'https://arxiv.org/abs/2201.03545'
RESNET_PAPER = 'https://arxiv.org/abs/2110.00476'  # recipe A1, the best of ResNet-50 at 224
BOTH = (NCHW, CHANNELS_LAST)  # of networks with convolutions


def _ours() -> Iterable[Contender]:
    for short, arch, top1 in (('T', 'tiny', 82.2), ('S', 'small', 83.7), ('B', 'base', 84.3)):
        options = dict(arch=arch)
        yield Contender(f'SMT-{short}', 'mmsmt', 'SMT', options, top1, SMT_PAPER, deployable=True)
        yield Contender(f'plain SMT-{short}', 'plain', 'PlainSMT', options, top1, SMT_PAPER)
    # Its authors' figure as the paper on MambaOut quotes it.
    source = 'https://arxiv.org/abs/2405.07992'
    yield Contender(
        'SG-Former-S', 'mmsmt', 'SGFormer', dict(arch='small'), 83.2, source, deployable=True
    )
    tops = dict(halo=83.0, window=82.3, sra=82.1, dwconv=82.2, dcnv3=83.3)
    for mixer, top1 in tops.items():
        options = dict(mixer=mixer, arch='tiny')
        name = f'unified {mixer} T'
        yield Contender(
            name, 'mmsmt', 'UnifiedBackbone', options, top1, UNIFIED_PAPER, deployable=True
        )


def _peers() -> Iterable[Contender]:
    maps = dict(out_indices=STAGES)
    for short, size, top1 in (('T', 'tiny', 81.3), ('S', 'small', 83.0)):
        # mmpretrain's windows do not fit every size unless small maps are filled up.
        options = dict(arch=size, pad_small_map=True, **maps)
        name = f'Swin-{short}'
        yield Contender(name, 'mmpretrain', 'SwinTransformer', options, top1, SWIN_PAPER)
        timm_name = f'swin_{size}_patch4_window7_224'
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
        ('MambaOut-T', 'mambaout_tiny', 82.7, 'https://arxiv.org/abs/2405.07992'),
    ):
        yield Contender(name, 'timm', timm_name, {}, top1, source, BOTH)


CONTENDERS = MappingProxyType({c.name: c for c in (*_ours(), *_peers())})
# What runs where nothing is named: the networks that issues of speed are about.
USUAL = tuple(
    name for name in CONTENDERS if not name.startswith(('SG-', 'unified')) and '(timm)' not in name
)


def find_contenders(names: list[str]) -> list[Contender]:
    """The contenders of these names; `[LABEL=]CONFIG` is the backbone of a config.

    Raises:
        UsageError: If a name is unknown or given twice, or a config cannot be read.
    """
    found = []
    for name in names:
        if name in CONTENDERS:
            found.append(CONTENDERS[name])
        elif '::' in name or name.endswith('.py'):
            (request,) = parse_requests([name])
            backbone = read_config(request.config).model.get('backbone', {})
            ours = str(backbone.get('type')).startswith('mmsmt.')
            contender = Contender(request.label, 'config', request.config, {}, deployable=ours)
            found.append(contender._replace(layouts=(NCHW,) if ours else BOTH))
        else:
            raise UsageError(f'no contender is called {name!r}; {_known(name)}')
    labels = [contender.name for contender in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise UsageError(f'two contenders are called {twice[0]}')
    return found


def _known(name: str) -> str:
    near = difflib.get_close_matches(name, CONTENDERS, n=1)
    hint = f'did you mean {near[0]!r}? ' if near else ''
    return f'{hint}known are {", ".join(CONTENDERS)}, and files of configs'


def request_of(contender: Contender) -> Request:
    """A config's contender as the tools for looking at networks take it."""
    return Request(contender.name, contender.kind)
