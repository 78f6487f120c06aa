"""The checks of a config at the start of a training, before any data is read."""

import os
import sys

from mmengine.config import Config

from mmsmt.checks.config.check import check_before_run
from mmsmt.checks.config.learning_rate import KEY as RATE
from mmsmt.errors import UsageError

# Where launchers tell the number of processes, before these are connected.
VARIABLES = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}


def require_sound(cfg: Config) -> None:
    """Stop where a config is wrong; warn where its rate is for another batch.

    Args:
        cfg: Config of a training, all options applied, `launcher` among them.

    Raises:
        UsageError: If anything but the batch is wrong: names the key and what is right.
    """
    processes = int(os.environ.get(VARIABLES.get(cfg.launcher, ''), 1))
    findings = [f for f in check_before_run(cfg, processes) if not f.note]
    faults = [str(f) for f in findings if f.key != RATE]
    if faults:
        more = f' (and {len(faults) - 1} more: mmsmt check config)' if len(faults) > 1 else ''
        raise UsageError(f'{faults[0]}{more}; --no-check trains nevertheless')
    scaling = cfg.get('auto_scale_lr') or {}
    if scaling.get('base_batch_size') and not scaling.get('enable') and _is_first():
        for finding in findings:
            print(f'warning: {finding}; --auto-scale-lr does that', file=sys.stderr)


def _is_first() -> bool:
    """Whether this process speaks for all of a training."""
    names = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
    return not any(int(os.environ.get(name, 0)) for name in names)
