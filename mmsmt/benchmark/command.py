"""Command line of the benchmark, and its reports."""

import argparse
import re
from importlib.util import find_spec
from pathlib import Path

import torch

from mmsmt.analysis.common.reports import write_json, write_text
from mmsmt.benchmark.contenders import CONTENDERS, USUAL, find_contenders
from mmsmt.benchmark.end_to_end import report_end_to_end
from mmsmt.benchmark.groups import groups_of, measure_groups
from mmsmt.benchmark.jobs import (
    DTYPES,
    GRAPH,
    GRAPH_DEPLOY,
    STEPS,
    WAYS,
    Settings,
    Shape,
)
from mmsmt.benchmark.plots import plot_accuracy, plot_area
from mmsmt.benchmark.runtimes import RUNTIMES
from mmsmt.benchmark.table import choose_reference, tabulate
from mmsmt.datasets.root import data_root
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.errors import UsageError

SHAPES = ('8x224x224', '1x800x1216')  # a classifier's batch, an image of a detector
COMPILE_MODES = ('default', 'reduce-overhead', 'max-autotune', 'max-autotune-no-cudagraphs')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Measure speed and memory of networks in turn.')
    add = parser.add_argument
    named = 'name (see --list), or [LABEL=]CONFIG; SMT, its plain form and all peers by default'
    add('models', nargs='*', metavar='MODEL', help=named)
    add('--list', action='store_true', help='print the names and exit')
    add('--shapes', nargs='+', default=SHAPES, help='batch x height x width (%(default)s)')
    add('--steps', nargs='+', choices=STEPS, default=STEPS, help='(%(default)s)')
    add(
        '--ways',
        type=_ways,
        default=['eager'],
        help=f'comma-separated list of {",".join(WAYS)} (eager)',
    )
    add(
        '--reference', help='baseline of ratios; by default the first plain network, else the first'
    )
    add('--dtype', choices=DTYPES, default='float32', help='16 bits use autocast (float32)')
    add('--device', choices=('cpu', 'cuda'), default='cpu', help='(cpu)')
    add('--threads', type=int, default=torch.get_num_threads(), help='CPU threads (%(default)s)')
    add('--compile-mode', choices=COMPILE_MODES, default='default', help='(default)')
    add('--rounds', type=int, help='timed rounds (10; 3 with --end-to-end)')
    add('--warmup', type=int, default=2, help='untimed rounds (2)')
    add('--memory', action=argparse.BooleanOptionalAction, default=True, help='measure memory too')
    add('--out', type=Path, default=Path('work_dirs/benchmark'), help='output folder (%(default)s)')
    about = 'models are [LABEL=]CONFIG; --steps, --ways, --rounds, --threads apply too'
    add = parser.add_argument_group('whole detectors and segmenters', about).add_argument
    add('--end-to-end', action='store_true', help='training steps and tools/test.py on the digits')
    add('--data', type=Path, default=data_root() / 'digits', help='from mmsmt prepare digits')
    add('--batch', type=int, default=2, help='images per training step (2)')
    add('--images', type=int, default=8, help='images per test (8)')
    add('--divisor', type=int, default=1, help='shrink images by this factor (1)')
    args = parser.parse_args()
    if args.rounds is None:
        args.rounds = 3 if args.end_to_end else 10
    return args


def _ways(text: str) -> list[str]:
    ways = text.split(',')
    wrong = [way for way in ways if way not in WAYS]
    if wrong:
        raise argparse.ArgumentTypeError(f'unknown way {wrong[0]!r}; known: {", ".join(WAYS)}')
    return list(dict.fromkeys(ways))


def parse_shape(text: str) -> Shape:
    """Parse `8x224x224`.

    Raises:
        UsageError: If it is not three positive numbers.
    """
    if not re.fullmatch(r'[1-9]\d*x[1-9]\d*x[1-9]\d*', text):
        raise UsageError(f'--shapes must be batch x height x width as in 8x224x224, got {text!r}')
    return Shape(*map(int, text.split('x')))


def check_arguments(args: argparse.Namespace) -> None:
    """Raise UsageError if a number is too small, or a device or package is missing."""
    if args.rounds < 2 or args.warmup < 0 or args.threads < 1:
        raise UsageError(
            '--rounds must be at least 2, --warmup 0 and --threads 1, '
            f'got {args.rounds}, {args.warmup} and {args.threads}'
        )
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise UsageError('--device cuda: PyTorch finds no GPU')
    if args.device == 'cpu' and (args.dtype == 'tf32' or {GRAPH, GRAPH_DEPLOY} & {*args.ways}):
        raise UsageError('--dtype tf32 and CUDA graphs need --device cuda')
    for way in (way for way in args.ways if way in RUNTIMES):
        if (args.device, args.dtype) != ('cpu', 'float32'):
            raise UsageError(f'--ways {way} needs --dtype float32 and --device cpu')
        needs = RUNTIMES[way]
        if missing := ', '.join(name for name in needs.packages if not find_spec(name)):
            raise UsageError(f"--ways {way} needs {missing}: pip install 'mmsmt[{needs.extra}]'")


def report_benchmark(args: argparse.Namespace) -> str:
    """Measure, and write `benchmark.json`, `benchmark.md` and `benchmark.png` to a folder.

    `benchmark_area.png` is added if there are shapes of several areas at one batch size.

    Returns:
        The table; with `--list` the names of the networks.

    Raises:
        UsageError: If an argument is wrong, or a measurement fails, see `measure_groups`.
    """
    if args.list:
        return '\n'.join(
            f'{c.name:20} {c.top1:5} {c.library:10} {c.source}' for c in CONTENDERS.values()
        )
    check_arguments(args)
    if args.end_to_end:
        return report_end_to_end(args)
    contenders = find_contenders(list(args.models) or list(USUAL))
    shapes, steps = dict.fromkeys(map(parse_shape, args.shapes)), dict.fromkeys(args.steps)
    groups = list(groups_of(contenders, shapes, steps, args.ways))
    if not groups:
        reason = 'only our networks have deploy forms; these and runtimes only do inference'
        raise UsageError(f'nothing to measure: {reason}')
    reference = choose_reference([c.name for c in contenders], args.reference)
    settings = Settings(*(getattr(args, name) for name in Settings._fields))
    measured, table = [], ''
    for group in measure_groups(groups, settings, args.out):
        measured.append(group)
        table = tabulate(measured, reference)
        write_json(args.out / 'benchmark.json', measured)
        write_text(args.out / 'benchmark.md', table)
    plot_accuracy(measured, args.out / 'benchmark.png')
    plot_area(measured, args.out / 'benchmark_area.png')
    return table


def main() -> None:
    """Measure, write the report and print its table."""
    args = parse_args()
    quiet()
    run_tool(lambda: report_benchmark(args), print)
