"""Weight files of every kind, and small real models of the three hosts to load them into."""

import argparse
import os
import sys
import types
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from safetensors.torch import save_file

from mmsmt.datasets.digits import Parameters, prepare_digits
from mmsmt.engine.data_root import move_data
from mmsmt.engine.runner import build_runner

ROOT = Path(__file__).resolve().parents[2]
BACKBONE = dict(type='mmsmt.SMT', arch='tiny')
HOSTS = {
    'mmpretrain': dict(
        type='ImageClassifier',
        backbone=dict(**BACKBONE, out_indices=(3,)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=1000, in_channels=512),
    ),
    'mmdet': dict(
        type='RetinaNet',
        backbone=BACKBONE,
        neck=dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=8, num_outs=4),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=3,
            in_channels=8,
            feat_channels=8,
            stacked_convs=1,
            anchor_generator=dict(
                type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[4, 8, 16, 32]
            ),
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        ),
    ),
    'mmseg': dict(
        type='EncoderDecoder',
        backbone=BACKBONE,
        decode_head=dict(
            type='FCNHead', in_channels=512, channels=8, num_classes=3, num_convs=1, in_index=3
        ),
        train_cfg={},
        test_cfg=dict(mode='whole'),
    ),
}


class Calls:
    """Unpickled, runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def _yacs_node() -> Any:
    """An object like those of yacs, which cannot be imported when the file is read."""
    module = types.ModuleType('yacs.config')
    node_type = type('CfgNode', (dict,), {'__module__': 'yacs.config'})
    module.CfgNode = node_type  # type: ignore[attr-defined]
    sys.modules['yacs'], sys.modules['yacs.config'] = types.ModuleType('yacs'), module
    node = node_type(MODEL=node_type(NAME='smt'))
    node.__dict__['__immutable__'] = True
    return node


@pytest.fixture(scope='session')
def files(
    tmp_path_factory: pytest.TempPathFactory, released_state: Callable, released_keys: Callable
) -> dict[str, Path]:
    """One file of every kind, by name; `marker` exists only if a file ran its command."""
    folder = tmp_path_factory.mktemp('weights')
    marker = folder / 'marker'
    released = released_state('tiny')
    dense = {
        name.replace('.attn.local_conv.', '.attn.dw_conv.'): value
        for name, value in released.items()
        if not name.startswith('head.')
    }
    small = {name: torch.zeros(()).expand(shape) for name, shape in released_keys('small').items()}
    torch.save({'model': released, 'epoch': 299}, folder / 'local_conv.pth')
    torch.save({'state_dict': dense}, folder / 'dw_conv.pth')
    torch.save({'model': small}, folder / 'small.pth')
    torch.save({'model': released, 'x': Calls(f'touch {marker}')}, folder / 'malicious.pth')
    args = argparse.Namespace(cfg='smt.yaml', nested=argparse.Namespace(lr=0.1))
    torch.save({'model': released, 'config': _yacs_node(), 'args': args}, folder / 'yacs.pth')
    del sys.modules['yacs.config'], sys.modules['yacs']
    save_file(released, folder / 'local_conv.safetensors')
    whole = (folder / 'local_conv.pth').read_bytes()
    (folder / 'truncated.pth').write_bytes(whole[: len(whole) // 2])
    return {path.name: path for path in folder.iterdir()} | {'marker': marker}


@pytest.fixture
def host_model() -> Callable[..., dict[str, Any]]:
    """The config of a host's model; keywords go to its backbone."""

    def make(host: str, **backbone: Any) -> dict[str, Any]:
        config = deepcopy(HOSTS[host])
        config['backbone'] = {**config['backbone'], **backbone}
        return config

    return make


@pytest.fixture
def make_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Runner]:
    """A runner without data, or with what the keywords add."""
    monkeypatch.setattr(Runner, '_log_env', lambda *_: None)  # asks compilers for versions
    count = 0

    def make(**options: Any) -> Runner:
        nonlocal count
        count += 1
        return Runner(
            work_dir=str(tmp_path / 'work'),
            experiment_name=f'{tmp_path.name}_{count}',
            custom_hooks=[
                dict(type='mmsmt.StrictLoadHook', allow=options.pop('allow', ())),
                *options.pop('hooks', ()),
            ],
            cfg=Config(),
            **options,
        )

    return make


@pytest.fixture(scope='session')
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `data` with eight scenes and all tiles."""
    folder = tmp_path_factory.mktemp('few_digits') / 'data'
    prepare_digits(folder / 'digits', Parameters(8, 1, 192, 0))
    return folder


@pytest.fixture
def tiny_training(
    few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Runner]:
    """A runner of a digits config: epochs of two iterations, each of two images.

    Keywords are merged into the config.
    """
    monkeypatch.setattr(Runner, '_log_env', lambda *_: None)  # asks compilers for versions
    count = 0

    def make(config: str, **options: Any) -> Runner:
        nonlocal count
        count += 1
        cfg = Config.fromfile(ROOT / 'configs/digits' / f'{config}.py')
        move_data(cfg, few_digits)
        cfg.merge_from_dict(
            dict(
                train_dataloader=dict(batch_size=2, dataset=dict(indices=4)),
                train_cfg=dict(max_epochs=1),
                model=dict(backbone=dict(init_cfg=None)),
                default_hooks=dict(logger=dict(interval=1)),
                work_dir=str(tmp_path / f'run_{count}'),
                experiment_name=f'{tmp_path.name}_{count}',
                launcher='none',
            )
        )
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.merge_from_dict(options)
        return build_runner(cfg)

    return make
