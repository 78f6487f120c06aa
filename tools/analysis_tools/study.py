"""Train every mixer on your images with several seeds, and compare them on a page.

Every step is an ordinary command. After an interruption the same command continues, and several
processes or machines with the same --out share the work.
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import torch

from mmsmt.analysis.common.arguments import folder_parser
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.paths import carried, nearby
from mmsmt.study.networks import NETWORKS, Network
from mmsmt.study.page import write_page
from mmsmt.study.protocol import Protocol, enough_epochs, read_base, settings_of
from mmsmt.study.runs import Run, Study, complete, copy_images, read_record
from mmsmt.study.steps import run_step, step_result

DIGITS = carried('configs') / 'digits/cls_smt_pico.py'


def read_networks(args: argparse.Namespace) -> dict[str, Network]:
    """Return the chosen networks, and those added by `--add`."""
    unknown = [name for name in args.networks or () if name not in NETWORKS]
    if unknown:
        raise UsageError(f'unknown network {unknown[0]!r}; known: {", ".join(NETWORKS)}')
    chosen = {name: NETWORKS[name] for name in args.networks or NETWORKS}
    for addition in args.add:
        label, _, file = addition.rpartition('=')
        label = label or Path(file).stem
        if label in NETWORKS or Path(label).name != label:
            raise UsageError(f'--add {addition}: choose another LABEL')
        backbone = read_config(file).model.backbone.to_dict()
        chosen[label] = Network(('network',), backbone)
    return chosen


def _saved_epochs(out: Path) -> int | None:
    """Return the epochs of a study that is continued."""
    path = out / 'settings.json'
    return json.loads(path.read_text())['epochs'] if path.exists() else None


def prepare(args: argparse.Namespace) -> tuple[Study, list[Run]]:
    """Validate the arguments, and prepare the folder of the study."""
    numbers = (args.seeds, args.epochs, args.jobs, args.batch_size)
    if any(number is not None and number < 1 for number in numbers):
        raise UsageError('--seeds, --epochs, --jobs and --batch-size must be at least 1')
    networks = read_networks(args)
    if args.data.resolve() == DIGITS:
        run_step('data', ['prepare', 'digits'], args.out / 'study.log')
    base = read_base(args.data)
    epochs = args.epochs or _saved_epochs(args.out) or enough_epochs(base, args.batch_size)
    protocol = Protocol(epochs, args.lr, args.batch_size, args.split)
    transfers = {Path(name).stem: read_config(name) for name in args.transfer}
    if len(transfers) < len(args.transfer) or 'classifier' in transfers:
        raise UsageError('--transfer: the configs need different names, and not classifier.py')
    settings = settings_of(protocol, base, transfers)
    kept = step_result(args.out / 'settings.json', lambda: settings)
    changed = [key for key in {**kept, **settings} if kept.get(key) != settings.get(key)]
    if changed:
        key = changed[0]
        before = f'{key} {kept.get(key)}' if key in Protocol._fields else f'other settings of {key}'
        raise UsageError(f'{args.out} has runs with {before}: choose another --out')
    # Trainings side by side have one core each.
    environment = {'OMP_NUM_THREADS': '1'} if args.jobs > 1 else {}
    study = Study(args.out, base, protocol, transfers, environment)
    # All networks with one seed before the next seed, so that a stopped study is still balanced.
    runs = [Run(*item, seed) for seed in range(args.seeds) for item in networks.items()]
    return study, runs


def run_all(study: Study, runs: list[Run], jobs: int, page_only: bool) -> None:
    """Do what is left of all runs, `jobs` at a time, and write the page."""
    if not page_only:
        copy_images(study, runs[0].network.backbone)
        failed = Event()

        def finish(run: Run) -> bool:
            """Do a run, unless another one has failed."""
            try:
                return not failed.is_set() and complete(run, study)
            except BaseException:
                failed.set()
                raise

        pool = ThreadPoolExecutor(jobs)
        try:
            finished = list(pool.map(finish, runs))
        finally:  # after an interruption, start no more
            pool.shutdown(cancel_futures=True)
        elsewhere = [run.name for run, done in zip(runs, finished, strict=True) if not done]
        if elsewhere:
            print(f'running elsewhere: {", ".join(elsewhere)}')
    records = [record for run in runs if (record := read_record(study.out, run)) is not None]
    if not records:
        raise UsageError(f'{study.out}: no finished run yet')
    print(write_page(study, records, len(runs)))


def main() -> None:
    """Run the remaining runs of the study and write its page."""
    parser = folder_parser(__doc__, 'study')
    jobs = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    parser.add_argument(
        'data',
        nargs='?',
        type=Path,
        default=nearby(DIGITS),
        help='folder with a folder of images per class, or the config of a classifier (the digits)',
    )
    parser.add_argument('--networks', nargs='+', metavar='NAME', help='some networks (all)')
    parser.add_argument(
        '--add', nargs='+', default=[], metavar='[LABEL=]FILE', help='configs with a `backbone`'
    )
    parser.add_argument(
        '--transfer',
        nargs='+',
        default=[],
        metavar='CONFIG',
        help='detectors and segmenters to train with every network, from its classifier',
    )
    parser.add_argument('--seeds', type=int, default=3, help='trainings per network (%(default)s)')
    parser.add_argument('--epochs', type=int, help='of the classifiers (1,800 iterations)')
    parser.add_argument('--lr', type=float, default=1e-3, help='learning rate (%(default)s)')
    parser.add_argument('--batch-size', type=int, default=64, help='(%(default)s)')
    parser.add_argument(
        '--split',
        choices=('test', 'val'),
        default='test',
        help='images of the evaluation; val for choosing the options above (%(default)s)',
    )
    parser.add_argument(
        '--jobs', type=int, default=jobs, help='parallel trainings (number of cores; 1 with a GPU)'
    )
    parser.add_argument('--page', action='store_true', help='train nothing, write the page')
    args = parser.parse_args()
    quiet()
    run_tool(lambda: prepare(args), lambda ready: run_all(*ready, args.jobs, args.page))


if __name__ == '__main__':
    main()
