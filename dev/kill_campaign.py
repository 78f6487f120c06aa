"""Kill trainings of every task at random times; the results must be bit-identical."""

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import time
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from killable_training import Job, finish, kill
from training_states import differences

from mmsmt.analysis.common.reports import write_json
from mmsmt.datasets.digits import Parameters, prepare_digits


class LostError(RuntimeError):
    """A killed training differs from the uninterrupted one."""


def run_campaign(
    job: Job, kills: int, report: Path, context: BaseContext, seed: int = 0
) -> dict[str, Any]:
    """Kill a training at random times, half of them while it writes a checkpoint.

    It is resumed after every kill. At its end its state is compared with the uninterrupted run's
    bit by bit, and it starts again. The report, a JSON file, is written after every kill, and
    continued if it has fewer kills.

    Returns:
        The report: `kills`, how many of them hit a half-written checkpoint (`writing`), the number
            of complete trainings that were compared (`runs`), seconds of an uninterrupted one.

    Raises:
        LostError: If any state differs.
        RuntimeError: If a run fails on its own.
    """
    facts: dict[str, Any] = {'kills': 0, 'writing': 0, 'runs': 0}
    if report.exists():
        facts = json.loads(report.read_text())
    if 'seconds' not in facts or not job.final('unbroken').exists():
        shutil.rmtree(job.folder('unbroken'), ignore_errors=True)  # for a complete timing
        first = context.Process()  # type: ignore[attr-defined]  # starts a server, if it needs one
        first.start()
        first.join()
        start = time.monotonic()
        finish(job.start('unbroken', context), job)
        facts['seconds'] = round(time.monotonic() - start, 2)
        write_json(report, facts)
    chance = random.Random(f'{seed} {facts["kills"]}')
    while facts['kills'] < kills or job.folder('killed').exists():
        processes = job.start('killed', context)
        writing, delay = chance.random() < 0.5, chance.uniform(0, facts['seconds'])
        if facts['kills'] < kills and kill(processes, job, 'killed', delay, writing, chance):
            facts['kills'] += 1
            facts['writing'] += writing
        else:
            finish(processes, job)
            lost = differences(job.final('unbroken'), job.final('killed'))
            if lost:
                raise LostError(f'{job.config}: {len(lost)} entries differ: {", ".join(lost[:8])}')
            shutil.rmtree(job.folder('killed'))
            facts['runs'] += 1
        write_json(report, facts)
    return facts


HOSTS = ('mmpretrain', 'mmdet', 'mmseg')
TASKS = ('cls_smt_pico', 'mask_rcnn_smt_pico', 'upernet_smt_pico')


def main() -> None:
    """Kill every task's training, on one and on two ranks; a second call continues."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--kills', type=int, default=200, help='number of kills per training (200)')
    out = Path('work_dirs/kill_campaign')
    parser.add_argument('--out', type=Path, default=out, help='output folder')
    parser.add_argument('--config', nargs='+', default=TASKS, help='configs in configs/digits')
    parser.add_argument('--ranks', type=int, nargs='+', default=[1, 2], help='processes (1 2)')
    args = parser.parse_args()
    home = args.out.absolute()
    if not (home / 'data/digits').exists():
        prepare_digits(home / 'data/digits', Parameters(8, 4, 192, 0))
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([*HOSTS, 'mmcv.ops', 'mmsmt.engine.runner'])
    for config in args.config:
        for ranks in args.ranks:
            report = home / f'{config}_{ranks}.json'
            try:
                facts = run_campaign(Job(config, home, ranks), args.kills, report, context)
            except RuntimeError as error:
                sys.exit(f'error: {error}')
            print(f'{config}, {ranks} processes: no differences: {facts}', flush=True)


if __name__ == '__main__':
    main()
