"""Trainings in processes that can be killed."""

import os
import random
import runpy
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch.distributed.elastic.utils.distributed import get_free_port

from mmsmt.checkpoints.atomic import UNFINISHED

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = 4
# A few samples, an average of the weights and the best checkpoint: everything a state can contain.
CONFIG = """
_base_ = [{base!r}]
train_dataloader = dict(batch_size={batch}, dataset=dict(indices=8))
val_dataloader = dict(batch_size=4, dataset=dict(indices=4))
train_cfg = dict(max_epochs={epochs}, val_interval=1)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(save_best='auto'))
model = dict(backbone=dict(init_cfg=None))
custom_hooks = [*_base_.custom_hooks, dict(type='EMAHook', momentum=0.01)]
"""


@dataclass(frozen=True)
class Job:
    """A training of a digits config on a few samples.

    Args:
        config: Name of a config in configs/digits.
        home: Folder that has data/digits; configs, logs and work dirs go there.
        ranks: Number of processes.
        epochs: Length.
    """

    config: str
    home: Path
    ranks: int = 1
    epochs: int = EPOCHS

    def folder(self, name: str) -> Path:
        """Return the work dir of a run of the job."""
        return self.home / f'{self.config}_{self.ranks}' / name

    def final(self, name: str) -> Path:
        """Return the last checkpoint of a complete run."""
        return self.folder(name) / f'epoch_{self.epochs}.pth'

    def start(self, name: str, context: BaseContext) -> list[BaseProcess]:
        """Start or resume a run: `tools/train.py --resume` in one process per rank.

        Args:
            name: Name of the run.
            context: How to create processes; forked ones have the modules imported.
        """
        config = self.home / f'{self.config}_{self.ranks}.py'
        base = str(ROOT / 'configs/digits' / f'{self.config}.py')
        config.write_text(CONFIG.format(base=base, batch=4 // self.ranks, epochs=self.epochs))
        arguments = [str(config), '--resume', '--work-dir', str(self.folder(name))]
        arguments += ['--launcher', 'pytorch'] if self.ranks > 1 else []
        port, processes = get_free_port(), []
        for rank in range(self.ranks):
            # The variables that torchrun sets.
            told = {'RANK': rank, 'LOCAL_RANK': rank, 'WORLD_SIZE': self.ranks, 'MASTER_PORT': port}
            environment = {'MASTER_ADDR': '127.0.0.1', **{k: str(v) for k, v in told.items()}}
            log = self.home / f'{self.config}_{self.ranks}.{rank}.log'
            given = (arguments, self.home, log, environment if self.ranks > 1 else {})
            what: dict[str, Any] = dict(target=_train, args=given)
            process = context.Process(**what)  # type: ignore[attr-defined]
            process.start()
            processes.append(process)
        return processes


def _train(arguments: list[str], home: Path, log: Path, environment: dict[str, str]) -> None:
    os.chdir(home)
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.argv = ['tools/train.py', *arguments]
    with log.open('a') as file, redirect_stdout(file), redirect_stderr(file):
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')


def finish(processes: list[BaseProcess], job: Job) -> None:
    """Wait until a run ends by itself.

    Raises:
        RuntimeError: If it fails.
    """
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError(f'{job.config} failed, see {job.home}/{job.config}_{job.ranks}*.log')


def kill(
    processes: list[BaseProcess],
    job: Job,
    name: str,
    delay: float,
    writing: bool,
    chance: random.Random,
) -> bool:
    """Kill one process of a run, chosen by `chance`; the others follow, as under torchrun.

    It is killed after `delay` seconds or, if `writing`, at the next half-written checkpoint after
    that.

    Returns:
        Whether the run was still running.
    """
    end = time.monotonic() + delay
    victim = chance.choice(processes)
    while victim.is_alive():
        due = time.monotonic() >= end
        if due and (not writing or any(job.folder(name).glob(f'.*{UNFINISHED}'))):
            break
        time.sleep(0.0005 if due else 0.005)
    victim.kill()
    victim.join()
    survived = victim.exitcode == 0
    for process in processes:
        if not survived:
            process.kill()
        process.join()
    if victim.exitcode not in (0, -9):
        finish(processes, job)
    return not survived
