"""What a training leaves is plain: every safe reader and the hosts' inferencers take it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from mmsmt.engine.history import restore_history, to_plain


def test_history_goes_and_comes_back() -> None:
    buffer = HistoryBuffer([1.5, np.pi], [1, 2], max_length=7)
    hub = {'log_scalars': {'train/loss': buffer}, 'runtime_info': {'best': np.float32(0.5)}}
    plain = to_plain(hub)
    torch.testing.assert_close(plain['runtime_info']['best'], 0.5)
    assert type(plain['runtime_info']['best']) is float
    assert isinstance(hub['log_scalars']['train/loss'], HistoryBuffer), 'the run continues with it'
    restore_history(plain)
    back = plain['log_scalars']['train/loss']
    assert isinstance(back, HistoryBuffer) and back.max_length == 7
    for one, other in zip(back.data, buffer.data, strict=True):
        assert np.array_equal(one, other)
    restore_history(hub)  # a file of before holds buffers
    assert hub['log_scalars']['train/loss'] is buffer


def test_a_trained_checkpoint_is_safe_and_serves_the_host(
    tiny_training: Callable[..., Runner], tmp_path: Path
) -> None:
    from mmdet.apis import DetInferencer

    runner = tiny_training('mask_rcnn_smt_pico')
    runner.train()
    path = Path(runner.work_dir) / 'epoch_1.pth'
    state = torch.load(path, weights_only=True)
    assert state['message_hub']['log_scalars']['train/loss']['history']
    config = tmp_path / 'config.py'
    runner.cfg.dump(config)
    found = DetInferencer(str(config), str(path), device='cpu')(
        np.zeros((64, 64, 3), np.uint8), no_save_vis=True
    )
    assert 'bboxes' in found['predictions'][0]


def test_files_of_before_are_resumed(tiny_training: Callable[..., Runner]) -> None:
    first = tiny_training('cls_smt_pico')
    first.train()
    path = Path(first.work_dir) / 'epoch_1.pth'
    state = torch.load(path, weights_only=True)
    restore_history(state['message_hub'])
    torch.save(state, path)
    second = tiny_training(
        'cls_smt_pico', train_cfg=dict(max_epochs=2), load_from=str(path), resume=True
    )
    second.train()
    history = second.message_hub.log_scalars['train/loss'].data[0]
    assert len(history) == 4, 'two iterations an epoch'
