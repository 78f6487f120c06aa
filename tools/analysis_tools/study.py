"""Train classifiers on the digits with several seeds, and compare them on one page.

Every step is an ordinary command; after an interruption, the same command continues.
"""

import argparse
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.runner import find_latest_checkpoint

from mmsmt.analysis.common.arguments import folder_parser
from mmsmt.engine.tool import quiet
from mmsmt.paths import carried, nearby
from mmsmt.study.page import Member, measure_speed, write_report
from mmsmt.study.steps import evaluate, run_step, step_result, train

TILE = 64  # side of the digits' tiles in pixels
SCENE = 224  # side of a scene in pixels, for receptive fields that exceed a tile


def label_of(config: Path) -> str:
    """Return the mixer in a config's name, or the backbone if there is none."""
    return re.sub(r'^cls_(unified_)?|_pico$', '', config.stem)


def train_all(args: argparse.Namespace, out: Path, log: Path) -> list[Member]:
    """Train and evaluate every config with every seed, `args.jobs` at a time."""
    alone = {'OMP_NUM_THREADS': '1'} if args.jobs > 1 else {}

    def train_one(run: tuple[int, Path]) -> tuple[float, float]:
        seed, config = run
        folder = out / 'runs' / f'{label_of(config)}_seed{seed}'
        title = folder.name.replace('_', ', ')
        options = [f'randomness.seed={seed}', f'train_cfg.max_epochs={args.epochs}']
        options += [f'param_scheduler.1.end={args.epochs}', 'default_hooks.checkpoint.interval=1']
        arguments = ['--no-validate', '--cfg-options', *options]
        seconds = train(title, str(config), folder, log, arguments, alone)
        result = evaluate(title, str(config), folder, log, environment=alone)
        return result['accuracy/top1'], seconds

    # All networks with one seed before the next seed, so that a stopped study is still balanced.
    runs = [(seed, config) for seed in range(args.seeds) for config in args.configs]
    pool = ThreadPoolExecutor(args.jobs)
    try:
        results = dict(zip(runs, pool.map(train_one, runs), strict=True))
    finally:  # after a failure or interruption, start no more
        pool.shutdown(cancel_futures=True)
    members = []
    for config in args.configs:
        scores, seconds = zip(*(results[seed, config] for seed in range(args.seeds)), strict=True)
        members.append(Member(label_of(config), str(config), list(scores), list(seconds)))
    return members


def main() -> None:
    """Run the remaining steps of the study."""
    parser = folder_parser(__doc__, 'study')
    parser.add_argument(
        'configs',
        nargs='*',
        type=Path,
        help='classifiers of digits (default: configs/digits/cls_unified_*_pico.py)',
    )
    jobs = os.cpu_count() or 1
    parser.add_argument('--seeds', type=int, default=3, help='trainings per config (3)')
    parser.add_argument('--epochs', type=int, default=3, help='epochs per training (3)')
    parser.add_argument(
        '--jobs', type=int, default=jobs, help='parallel trainings (number of cores)'
    )
    args = parser.parse_args()
    if min(args.seeds, args.epochs, args.jobs) < 1:
        sys.exit('error: --seeds, --epochs and --jobs must be at least 1')
    shipped = sorted((carried('configs') / 'digits').glob('cls_unified_*_pico.py'))
    args.configs = args.configs or [nearby(config) for config in shipped]
    missing = [str(config) for config in args.configs if not config.is_file()]
    if missing:
        sys.exit(f'error: no such config: {", ".join(missing)}')
    quiet()
    out, log = args.out, args.out / 'study.log'
    run_step('data', ['prepare', 'digits'], log)
    members = train_all(args, out, log)

    trained = [
        f'{m.label}={m.config},{find_latest_checkpoint(str(out / "runs" / f"{m.label}_seed0"))}'
        for m in members
    ]

    def show(what: str, images: str, *options: object) -> None:
        name = what.replace('-', '_')
        fields = ['--out', out / name, '--images', f'data/digits/{images}', *options]
        run_step(name.replace('_', ' '), ['show', what, *trained, *map(str, fields)], log)

    show('receptive-field', 'scenes/images/val', '--limit', 20, '--size', SCENE)
    # The released form also moves unshifted images.
    show('invariance', 'cls/val', '--limit', 60, '--size', TILE, '--form', 'corrected')
    configs = {member.label: member.config for member in members}
    step_result(out / 'speed.json', lambda: measure_speed(configs, TILE))
    minutes = sum(sum(member.seconds) for member in members) / 60
    facts = (
        f'{args.epochs} epochs on digits of {TILE} pixels, {args.seeds} seeds, 500 held-out '
        f'digits; {minutes:.0f} minutes of training, {args.jobs} at a time. Fields: half and 99 % '
        f'of the gradient of the centre of stage 3 lie in a square of this share of a scene of '
        f'{SCENE} pixels. Same under: predicted as the unchanged image, mean over strengths.'
    )
    print(write_report(out, members, facts, TILE))


if __name__ == '__main__':
    main()
