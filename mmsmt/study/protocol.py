"""Configs of a study: every network trained in the same way, then as a detector or segmenter."""

import math
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmsmt.engine.length import epoch_length
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.graft import graft
from mmsmt.hosts.request import fingerprint
from mmsmt.projects import new_project
from mmsmt.study.networks import SIDE

WARM_UP = 200  # iterations
ENOUGH = 1800  # iterations, after which seeds agree; see docs/models/study.md
LAST = (3,)  # stage of a classifier


class Protocol(NamedTuple):
    """How the networks of a study are trained and evaluated.

    Args:
        epochs: Length of the training.
        learning_rate: Of AdamW, for batches of `batch_size`.
        batch_size: Images per iteration.
        split: Images of the evaluation: `test`, or `val` for choosing the other fields.
    """

    epochs: int
    learning_rate: float
    batch_size: int = 64
    split: str = 'test'


def read_base(data: Path) -> Config:
    """Return the classifier config that all networks share except for the backbone.

    Args:
        data: A config, or a folder of images for which `mmsmt new cls` writes one.

    Raises:
        UsageError: If the config or the folder cannot be read, or it is not of a classifier.
    """
    if data.suffix == '.py':
        cfg = read_config(str(data))
        if cfg.get('default_scope') != 'mmpretrain' or 'train_dataloader' not in cfg:
            raise UsageError(f'{data}: not the config of a classifier training of mmpretrain')
        return cfg
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, 'base.py')
        size = (SIDE, SIDE)
        new_project('cls', data, 'classifier', 'smt_pico', written, image_size=size)
        return read_config(str(written))


def enough_epochs(base: Config, batch_size: int) -> int:
    """Return the fewest epochs whose iterations are `ENOUGH`."""
    cfg = deepcopy(base)
    cfg.train_dataloader.batch_size = batch_size
    return math.ceil(ENOUGH / epoch_length(cfg))


def classifier(base: Config, backbone: dict[str, Any], protocol: Protocol) -> Config:
    """Return the training config of a network."""
    cfg = graft(base, {**backbone, 'out_indices': LAST})
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=protocol.epochs)
    cfg.train_dataloader.batch_size = protocol.batch_size
    if protocol.split == 'val':
        cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    cfg.test_dataloader.batch_size = protocol.batch_size
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)  # one core for each training
    cfg.optim_wrapper = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=protocol.learning_rate, weight_decay=0.05),
        clip_grad=dict(max_norm=5.0),
        paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    )
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=WARM_UP),
        dict(type='CosineAnnealingLR', eta_min=1e-6, convert_to_iter_based=True),
    ]
    cfg.default_hooks.update(
        logger=dict(type='LoggerHook', interval=50),
        checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1),
    )
    return cfg


def transferred(cfg: Config, backbone: dict[str, Any], weights: str) -> Config:
    """Return a detector or segmenter with a network trained as a classifier.

    Args:
        cfg: Training config with any backbone.
        backbone: Config of the network.
        weights: Checkpoint of the classifier.

    Raises:
        UsageError: If the config does not accept the network.
    """
    start = dict(type='Pretrained', checkpoint=weights, prefix='backbone.')
    return graft(cfg, {**backbone, 'init_cfg': start})


def settings_of(
    protocol: Protocol, base: Config, transfers: dict[str, Config]
) -> dict[str, str | int | float]:
    """Return what has to be the same for all runs of a study, wherever the data are."""
    described: dict[str, str | int | float] = dict(protocol._asdict())
    for name, cfg in {'data': base, **transfers}.items():
        parts = [cfg.get(key) for key in ('model', 'train_dataloader', 'test_dataloader')]
        schedule = [cfg.get(key) for key in ('train_cfg', 'optim_wrapper', 'param_scheduler')]
        described[name] = fingerprint(_placeless([parts, schedule if name != 'data' else []]))
    return described


def _placeless(node: Any) -> Any:
    """Return a part of a config without the folder of its data."""
    if isinstance(node, dict):
        return {k: _placeless(v) for k, v in sorted(node.items()) if k != 'data_root'}
    return [_placeless(v) for v in node] if isinstance(node, list | tuple) else node
