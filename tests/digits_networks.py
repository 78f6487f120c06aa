"""Small networks of the three hosts with random weights."""

from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config

from mmsmt.hosts.meta_device import build_model

ROOT = Path(__file__).resolve().parents[1]
DIGITS = tuple(f'digit {i}' for i in range(10))
CLASSES = {'cls': DIGITS, 'mask_rcnn': DIGITS, 'upernet': ('ground', *DIGITS)}


class Network(NamedTuple):
    """A network as the command line names it."""

    config: str
    checkpoint: str
    classes: tuple[str, ...]


def make_network(folder: Path, task: str, backbone: str = 'smt_pico') -> Network:
    """A digits network by its task, `cls`, `mask_rcnn` or `upernet`; made once a folder."""
    config, checkpoint = (
        ROOT / f'configs/digits/{task}_{backbone}.py',
        folder / f'{task}_{backbone}.pth',
    )
    if not checkpoint.exists():
        torch.manual_seed(0)
        cfg = Config.fromfile(config)
        cfg.model.backbone.pop('init_cfg', None)
        model = build_model(cfg)
        model.init_weights()
        with torch.no_grad():  # so that classes differ from pixel to pixel
            for name, value in model.named_parameters():
                if name.split('.')[-2] in ('conv_seg', 'fc_cls', 'fc', 'conv_logits'):
                    value.normal_(0, 0.3)
        meta = dict(dataset_meta=dict(classes=CLASSES[task]))
        torch.save(dict(state_dict=model.state_dict(), meta=meta), checkpoint)
    return Network(str(config), str(checkpoint), CLASSES[task])
