"""Checkpoints of a run: atomic, complete, and the old one is kept until the new one exists."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from mmengine.runner import Runner
from torch import Tensor, nn

from mmsmt.checkpoints import read_container, write_atomically
from mmsmt.engine.patches import replace_types
from mmsmt.errors import CheckpointError


class Line(nn.Module):
    """The least that trains and predicts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(200))

    def train_step(self, data: Tensor, optim_wrapper: object) -> dict[str, Tensor]:
        loss = (self.weight.sum() - data).square().mean()
        optim_wrapper.update_params(loss)
        return {'loss': loss.detach()}

    def val_step(self, data: Tensor) -> list[Tensor]:
        return list(data)


@METRICS.register_module(force=True)
class Rising(BaseMetric):
    """Better every time."""

    def process(self, data_batch: object, data_samples: list) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        self.count = getattr(self, 'count', 0) + 1
        return {'score': float(self.count)}


LOADER = dict(
    batch_size=2,
    dataset=[0.0, 1.0],
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)
Train = Callable[..., Path]


@pytest.fixture
def train(make_runner: Callable[..., Runner]) -> Train:
    """Train some epochs; keywords go to the checkpoint hook. Gives the work dir."""

    def run(epochs: int = 4, **checkpoint: object) -> Path:
        runner = make_runner(
            model=Line(),
            train_dataloader=LOADER,
            val_dataloader=LOADER,
            val_evaluator=dict(type='Rising'),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            val_cfg={},
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-4)),
            default_hooks=dict(
                checkpoint=dict(type='mmsmt.AtomicCheckpointHook', interval=1, **checkpoint)
            ),
        )
        runner.train()
        return Path(runner.work_dir)

    return run


def weights_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob('*.pth')}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What happens to files: (what, name, weights in the folder after it)."""
    found = []

    def note(name: str) -> Callable:
        function = getattr(os, name)

        def noted(*paths: str | Path) -> None:
            function(*paths)
            path = Path(paths[-1])
            found.append((name, path.name, weights_in(path.parent)))

        return noted

    for name in ('replace', 'remove'):
        monkeypatch.setattr(os, name, note(name))
    return found


@pytest.mark.parametrize('kept', [1, 2])
def test_the_former_checkpoint_goes_after_the_next_has_come(
    train: Train, calls: list, kept: int
) -> None:
    folder = train(max_keep_ckpts=kept)
    assert weights_in(folder) == {f'epoch_{4 - i}.pth' for i in range(kept)}
    assert (folder / 'last_checkpoint').read_text() == str(folder / 'epoch_4.pth')
    last = 0
    for what, name, there in calls:
        if name == 'last_checkpoint':
            last += 1  # names a checkpoint that is there, with the predecessors still next to it
            assert {f'epoch_{i}.pth' for i in range(max(1, last - kept), last + 1)} <= there
        elif what == 'remove':
            assert name == f'epoch_{last - kept}.pth'
    assert last == 4 and not list(folder.glob('.*'))


def test_the_former_best_goes_after_the_next_has_come(train: Train, calls: list) -> None:
    folder = train(save_best='score', rule='greater', max_keep_ckpts=1)
    best = [call for call in calls if call[1].startswith('best_score_')]
    assert weights_in(folder) == {'epoch_4.pth', 'best_score_epoch_4.pth'}
    assert [what for what, _, _ in best] == ['replace'] + ['replace', 'remove'] * 3
    for what, name, there in best[1:]:
        both = {there_ for there_ in there if there_.startswith('best')}
        assert len(both) == (2 if what == 'replace' else 1), name


def test_what_a_kill_has_left_goes_on_resuming(train: Train, make_runner: Callable) -> None:
    """The outdated predecessor that was about to be removed, and a half-written file."""
    folder = train(epochs=2, max_keep_ckpts=1)
    assert read_container(folder / 'epoch_2.pth')['message_hub']['runtime_info'][
        'keep_ckpt_ids'
    ] == [1, 2]
    (folder / 'epoch_1.pth').touch()
    (folder / '.epoch_3.pth.123.unfinished').touch()
    resumed = make_runner(
        model=Line(),
        train_dataloader=LOADER,
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-4)),
        default_hooks=dict(
            checkpoint=dict(type='mmsmt.AtomicCheckpointHook', interval=1, max_keep_ckpts=1)
        ),
        load_from=str(folder / 'epoch_2.pth'),
        resume=True,
    )
    resumed.train()
    assert weights_in(folder) == {'epoch_2.pth'} and not list(folder.glob('.*'))


def test_a_full_disk_names_the_last_good_checkpoint(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(path: str | Path, content: bytes) -> None:
        if 'epoch_3' in str(path):
            raise CheckpointError(f'{path}: cannot be written (No space left on device)')
        written.append(path)
        write_atomically(path, content)

    monkeypatch.setattr('mmsmt.engine.patches.write_atomically', full)
    with pytest.raises(CheckpointError, match=r'on device\); the last good .* is .*epoch_2.pth$'):
        train(max_keep_ckpts=1)
    folder = Path(written[0]).parent
    assert weights_in(folder) == {'epoch_2.pth'}


@pytest.mark.parametrize(
    ('changes', 'want'),
    [
        ({}, dict(type='mmsmt.AtomicCheckpointHook', interval=1)),
        ({'default_hooks': {}}, dict(type='mmsmt.AtomicCheckpointHook', interval=1)),
        (
            {'default_hooks': {'checkpoint': dict(type='CheckpointHook', interval=7)}},
            dict(type='mmsmt.AtomicCheckpointHook', interval=7),
        ),
        ({'default_hooks': {'checkpoint': dict(type='MyHook')}}, dict(type='MyHook')),
        ({'default_hooks': {'checkpoint': None}}, None),
    ],
)
def test_configs_get_the_hook(changes: dict, want: dict | None) -> None:
    cfg = Config(changes)
    replace_types(cfg)
    assert cfg.default_hooks.checkpoint == want
