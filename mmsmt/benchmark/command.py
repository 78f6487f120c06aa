"""From the arguments of the benchmark to a plan, and from that to a report."""

import argparse
import json
import re
from pathlib import Path

import torch

from mmsmt.analysis.common.reports import whole_file
from mmsmt.benchmark.contenders import CONTENDERS, USUAL, find_contenders
from mmsmt.benchmark.jobs import DTYPES, STEPS, WAYS, Settings, Shape
from mmsmt.benchmark.plan import Plan, groups_of, run_plan
from mmsmt.benchmark.plot import plot_accuracy
from mmsmt.benchmark.table import choose_reference, tabulate
from mmsmt.errors import UsageError

SHAPES = ('8x224x224', '1x800x1216')  # a classifier's batch, an image of a detector
COMPILE_MODES = ('default', 'reduce-overhead', 'max-autotune', 'max-autotune-no-cudagraphs')


def add_benchmark_arguments(parser: argparse.ArgumentParser) -> None:
    """Networks, what is done with them, and where the report goes."""
    add = parser.add_argument
    named = 'a name (--list), or [LABEL=]CONFIG; SMT, its plain form and all peers by default'
    add('models', nargs='*', metavar='MODEL', help=named)
    add('--list', action='store_true', help='print the names and end')
    add('--shapes', nargs='+', default=SHAPES, help='batch x height x width (%(default)s)')
    add('--steps', nargs='+', choices=STEPS, default=STEPS, help='(%(default)s)')
    add('--ways', type=_ways, default=['eager'], help=f'of {",".join(WAYS)}, with commas (eager)')
    add('--reference', help='what ratios are of; the first plain one, else the first')
    add('--dtype', choices=DTYPES, default='float32', help='bfloat16 is autocast (float32)')
    add('--device', choices=('cpu', 'cuda'), default='cpu', help='(cpu)')
    add('--threads', type=int, default=torch.get_num_threads(), help='of the CPU (%(default)s)')
    add('--compile-mode', choices=COMPILE_MODES, default='default', help='(default)')
    add('--rounds', type=int, default=10, help='of timing (10)')
    add('--warmup', type=int, default=2, help='rounds before them (2)')
    add('--memory', action=argparse.BooleanOptionalAction, default=True, help='measure memory too')
    add('--out', type=Path, default=Path('work_dirs/benchmark'), help='folder (%(default)s)')


def _ways(text: str) -> list[str]:
    ways = text.split(',')
    wrong = [way for way in ways if way not in WAYS]
    if wrong:
        raise argparse.ArgumentTypeError(f'{wrong[0]!r} is no way; known are {", ".join(WAYS)}')
    return list(dict.fromkeys(ways))


def parse_shape(text: str) -> Shape:
    """Read `8x224x224`.

    Raises:
        UsageError: If it is not three positive numbers.
    """
    if not re.fullmatch(r'[1-9]\d*x[1-9]\d*x[1-9]\d*', text):
        raise UsageError(f'--shapes takes batch x height x width as in 8x224x224, got {text!r}')
    return Shape(*map(int, text.split('x')))


def read_plan(args: argparse.Namespace) -> Plan:
    """Check the arguments.

    Raises:
        UsageError: If one is wrong.
    """
    if args.rounds < 2 or args.warmup < 0 or args.threads < 1:
        raise UsageError(
            '--rounds must be at least 2, --warmup 0 and --threads 1, '
            f'got {args.rounds}, {args.warmup} and {args.threads}'
        )
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise UsageError('--device cuda: PyTorch finds no GPU here')
    plan = Plan(
        find_contenders(list(args.models) or list(USUAL)),
        list(dict.fromkeys(parse_shape(text) for text in args.shapes)),
        list(dict.fromkeys(args.steps)),
        args.ways,
        Settings(args.device, args.dtype, args.threads, args.compile_mode),
        args.rounds,
        args.warmup,
        args.memory,
    )
    if not any(groups_of(plan)):
        raise UsageError('nothing to measure: deploy forms exist for inference of our networks')
    return plan


def report_benchmark(args: argparse.Namespace) -> str:
    """Measure, and write `benchmark.json`, `benchmark.md` and `benchmark.png` into a folder.

    Returns:
        The table; with `--list` the names.

    Raises:
        UsageError: If an argument is wrong, or as `run_plan`.
    """
    if args.list:
        return '\n'.join(
            f'{c.name:20} {c.top1:5} {c.library:10} {c.source}' for c in CONTENDERS.values()
        )
    plan = read_plan(args)
    reference = choose_reference([c.name for c in plan.contenders], args.reference)
    groups = run_plan(plan, args.out)
    table = tabulate(groups, reference)
    for name, text in (('json', json.dumps(groups, indent=1) + '\n'), ('md', table)):
        with whole_file(args.out / f'benchmark.{name}') as partial:
            partial.write_text(text)
    plot_accuracy(groups, args.out / 'benchmark.png')
    return table
