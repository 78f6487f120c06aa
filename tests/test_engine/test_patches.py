"""mmengine still has each fault that `mmsmt.engine.patches` works around.

A test here that fails says that its change can go.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytest
import torch
from mmengine.config import Config, utils
from mmengine.dataset import Compose
from mmengine.fileio import LocalBackend
from mmengine.logging import HistoryBuffer
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner.checkpoint import load_from_local
from torch import nn


def test_own_checkpoints_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / 'epoch_1.pth'
    torch.save({'message_hub': {'log_scalars': {'train/loss': HistoryBuffer([1.0], [1])}}}, path)
    with pytest.raises(UnpicklingError):
        load_from_local(str(path), 'cpu')


def test_a_failed_write_destroys_the_file(tmp_path: Path) -> None:
    path = tmp_path / 'last_checkpoint'
    path.write_text('epoch_1.pth')
    with pytest.raises(TypeError):
        LocalBackend().put('not bytes', path)  # type: ignore[arg-type]
    assert path.read_text() == ''


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_mixed_precision_refuses_a_cpu() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(AssertionError, match='only available training on gpu'):
        AmpOptimWrapper(optimizer=optimizer)


def test_clipping_knows_no_other_process() -> None:
    assert '_clip_grad' in vars(OptimWrapper)
    assert 'all_reduce' not in OptimWrapper._clip_grad.__code__.co_names


def test_a_failing_sample_is_not_named() -> None:
    def load(sample: dict[str, Any]) -> dict[str, Any]:
        raise OSError('broken')

    with pytest.raises(OSError, match='^broken$'):
        Compose([load])({'img_path': 'cat.jpg'})


def test_metafiles_are_read_at_every_inheritance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    load = utils.load
    monkeypatch.setattr(utils, 'load', lambda path, *a, **k: read.append(str(path)) or load(path))
    path = tmp_path / 'config.py'
    path.write_text("_base_ = 'mmdet::_base_/default_runtime.py'")
    for _ in range(2):
        Config.fromfile(path)
    assert len(read) > 1 and read[: len(read) // 2] == read[len(read) // 2 :]
