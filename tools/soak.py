"""Kill trainings of every task at random instants; what they become must not differ by a bit."""

import argparse
import multiprocessing
import sys
from pathlib import Path

from mmsmt.datasets import Parameters, prepare_digits
from mmsmt.engine.killing import Job
from mmsmt.engine.soak import soak

TASKS = ('cls_smt_pico', 'mask_rcnn_smt_pico', 'upernet_smt_pico')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--kills', type=int, default=200, help='of every training (200)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/soak'), help='for all of it')
    parser.add_argument('--config', nargs='+', default=TASKS, help='in configs/digits')
    parser.add_argument('--ranks', type=int, nargs='+', default=[1, 2], help='processes (1 2)')
    return parser.parse_args()


def main() -> None:
    """Soak every task, alone and on two ranks; a second call goes on."""
    args = parse_args()
    home = args.out.absolute()
    if not (home / 'data/digits').exists():
        prepare_digits(home / 'data/digits', Parameters(8, 4, 192, 0))
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmsmt.engine', 'mmpretrain', 'mmdet', 'mmseg', 'mmcv.ops'])
    for config in args.config:
        for ranks in args.ranks:
            report = home / f'{config}_{ranks}.json'
            try:
                facts = soak(Job(config, home, ranks), args.kills, report, context)
            except RuntimeError as error:
                sys.exit(f'error: {error}')
            print(f'{config}, {ranks} processes: nothing lost: {facts}', flush=True)


if __name__ == '__main__':
    main()
