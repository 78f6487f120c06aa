"""Distributed training on CPUs, which mmengine does not support."""

import os
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import distributed

from mmsmt.errors import ConfigError

# Variables in which launchers pass the number of processes.
_VARIABLES = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}


def planned_processes(launcher: str) -> int:
    """Return the number of processes that a launcher has started or is starting."""
    return int(os.environ.get(_VARIABLES.get(launcher, ''), 1))


def prepare_cpu_processes(cfg: Config) -> None:
    """Set a config up for distributed data parallel training over gloo, in place.

    Does nothing with a single process or a GPU. Otherwise it opens the process group (mmengine
    would need CUDA), wraps the model without device ids, and replaces SyncBN, which needs a GPU, by
    BN.

    Args:
        cfg: Training or test config; `launcher` and `model` are used.

    Raises:
        ConfigError: If the launcher is not torchrun.
    """
    if cfg.launcher == 'none' or torch.cuda.is_available():
        return
    if cfg.launcher != 'pytorch':
        raise ConfigError(f'launcher {cfg.launcher!r} needs GPUs; on CPUs use dist_train.sh')
    if not distributed.is_initialized():
        distributed.init_process_group('gloo')
    # Otherwise every process would use all cores.
    local_processes = int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // local_processes))
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    if cfg.get('strategy', {}).get('type') == 'FSDPStrategy':
        _shard_on_cpu(cfg.strategy)
    if _replace_sync_bn(cfg.model):
        print_log('SyncBN needs a GPU: replaced by BN', logger='current')


def _shard_on_cpu(strategy: dict[str, Any]) -> None:
    """Keep FSDP from using a GPU, and from a crash of PyTorch 2.11 on the CPU.

    PyTorch frees the memory of a gathered parameter that it also returns as "offloaded".
    """
    strategy.setdefault('model_wrapper', {})['device_id'] = torch.device('cpu')
    if strategy.get('state_dict_cfg') == 'full':
        options = dict(rank0_only=True, offload_to_cpu=False)
        strategy['state_dict_cfg'] = dict(
            state_dict_type='FULL_STATE_DICT',
            state_dict_config=dict(type='FullStateDictConfig', **options),
            optim_state_dict_config=dict(type='FullOptimStateDictConfig', **options),
        )


def _replace_sync_bn(node: Any) -> bool:
    """Replace every `type='SyncBN'` below a config node; return whether there was any."""
    found = False
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'], found = 'BN', True
        children = list(node.values())
    else:
        children = list(node) if isinstance(node, list | tuple) else []
    for child in children:
        found = _replace_sync_bn(child) or found
    return found
