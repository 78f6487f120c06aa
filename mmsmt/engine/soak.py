"""Trainings that are killed again and again, beside unbroken ones."""

import json
import random
import shutil
import time
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from mmsmt.engine.killing import Job, finish, kill
from mmsmt.engine.states import differences
from mmsmt.engine.steps import remember


class LostError(RuntimeError):
    """A killed training has not become what the unbroken one is."""


def soak(job: Job, kills: int, report: Path, context: BaseContext, seed: int = 0) -> dict[str, Any]:
    """Kill a training at random instants, half of them while it writes a checkpoint.

    It is resumed after every kill; once it gets to its end, its state is compared with the
    unbroken run's bit by bit, and it starts anew.

    Args:
        job: What to train.
        kills: How many; a report of fewer goes on from there.
        report: JSON file, written after every kill.
        context: How processes are made.
        seed: Of the instants.

    Returns:
        The report: `kills`, how many of them fell on a half-written checkpoint (`writing`),
        complete trainings that were compared (`runs`), seconds of an unbroken one.

    Raises:
        LostError: If anything of a state differs.
        RuntimeError: If a run fails by itself.
    """
    facts: dict[str, Any] = {'kills': 0, 'writing': 0, 'runs': 0}
    if report.exists():
        facts = json.loads(report.read_text())
    if 'seconds' not in facts or not job.final('unbroken').exists():
        shutil.rmtree(job.folder('unbroken'), ignore_errors=True)  # one that is timed as a whole
        first = context.Process()  # type: ignore[attr-defined]  # starts a server, if it needs one
        first.start()
        first.join()
        start = time.monotonic()
        finish(job.start('unbroken', context), job)
        facts['seconds'] = round(time.monotonic() - start, 2)
        remember(report, facts)
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
        remember(report, facts)
    return facts
