"""Speed of the five mixers beside plain forms of them, and of whole networks beside the hosts'.

Everything of one table row is timed in turn in one process; mixers and their plain forms must
agree. Writes mixers.json and mixers.md.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from plain_mixers import PLAIN
from torch import Tensor, nn

from mmsmt.backbones import UnifiedBackbone
from mmsmt.benchmark.timing import Timing, time_in_turn
from mmsmt.mixers import build_mixer

SHAPES = ((2, 56, 56), (1, 200, 304))  # stage 1 of a classifier at 224 and of a detector
STAGE1 = {  # of the tiny models: channels, arguments
    'halo': (96, {'num_heads': 3}),
    'sra': (64, {'num_heads': 1, 'reduction': 8}),
    'window': (96, {'num_heads': 3, 'shift': 3}),
    'dwconv': (96, {}),
    'dcnv3': (64, {'num_heads': 4}),
}
IMAGES = (8, 3, 224, 224)
Row = dict[str, object]


def forward(model: Callable[[Tensor], object], x: Tensor) -> object:
    with torch.no_grad():
        return model(x)


def both(model: Callable[[Tensor], object], x: Tensor) -> None:
    out = model(x.requires_grad_())
    sum(part.mean() for part in ((out,) if isinstance(out, Tensor) else out)).backward()


WAYS = {'forward': forward, 'forward and backward': both}


def row(what: str, way: str, timings: dict[str, Timing]) -> Iterator[Row]:
    for name, seconds in timings.items():
        ms = {field: round(1e3 * value, 2) for field, value in seconds._asdict().items()}
        print(f'{what}, {way}: {name}: {ms["median"]} ms', flush=True)
        yield {'what': what, 'way': way, 'name': name, **ms}


def time_mixers(rounds: int) -> Iterator[Row]:
    """Ours and the plain form of every mixer at every shape."""
    for kind, (dim, arguments) in STAGE1.items():
        torch.manual_seed(0)
        mixer = build_mixer({'type': kind, **arguments}, dim, {})
        for parameter in mixer.parameters():
            nn.init.normal_(parameter, std=0.1)
        models = {'ours': mixer, 'plain': lambda x, m=mixer, k=kind: PLAIN[k](m, x)}
        for shape in SHAPES:
            x = torch.randn(*shape, dim)
            torch.testing.assert_close(
                forward(mixer, x), forward(models['plain'], x), rtol=1e-3, atol=1e-4
            )
            for way, run in WAYS.items():
                calls = {name: lambda m=m, r=run, x=x: r(m, x) for name, m in models.items()}
                shown = f'{kind} {"x".join(map(str, shape))}x{dim}'
                yield from row(shown, way, time_in_turn(calls, rounds, warmup=1))


def relatives() -> dict[str, nn.Module]:
    """The hosts' networks of the size and kind of the tiny ones."""
    from mmdet.models import PyramidVisionTransformer
    from mmpretrain.models import ConvNeXt, SwinTransformer

    return {
        'Swin-T (mmpretrain)': SwinTransformer('tiny', out_indices=(0, 1, 2, 3)),
        'ConvNeXt-T (mmpretrain)': ConvNeXt(
            'tiny', out_indices=(0, 1, 2, 3), gap_before_final_norm=False
        ),
        'PVT-S (mmdet)': PyramidVisionTransformer(num_layers=[3, 4, 6, 3]),
    }


def time_networks(rounds: int) -> Iterator[Row]:
    """Unified tiny of every mixer and the relatives, all in turn."""
    models = {f'unified {kind} tiny': UnifiedBackbone(kind, 'tiny') for kind in STAGE1}
    models |= relatives()
    x = torch.randn(IMAGES)
    for way, run in WAYS.items():
        calls = {}
        for name, model in models.items():
            million = sum(p.numel() for p in model.parameters()) / 1e6
            model.train(way != 'forward')
            calls[f'{name}, {million:.1f} M'] = lambda m=model, r=run: r(m, x)
        shown = f'backbones {"x".join(map(str, IMAGES))}'
        yield from row(shown, way, time_in_turn(calls, rounds, warmup=1))


def table(rows: list[Row]) -> str:
    """Markdown: medians with quartiles."""
    lines = [
        f'PyTorch {torch.__version__}, {torch.get_num_threads()} threads, float32, milliseconds.',
        '',
        '| | | | median | quartiles |',
        '|---|---|---|---|---|',
    ]
    cells = '| {what} | {way} | {name} | {median} | {low} to {high} |'
    return '\n'.join(lines + [cells.format(**row) for row in rows]) + '\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=7, help='for mixers (7)')
    parser.add_argument('--network-rounds', type=int, default=3, help='for networks; 0: none (3)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/mixers'), help='(%(default)s)')
    args = parser.parse_args()
    rows = list(time_mixers(args.rounds))
    if args.network_rounds:
        rows += time_networks(args.network_rounds)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'mixers.json').write_text(json.dumps(rows, indent=1))
    (args.out / 'mixers.md').write_text(table(rows))


if __name__ == '__main__':
    main()
