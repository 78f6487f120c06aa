"""Trainings on broken data, through tools/train.py: the three tasks stop, or skip and count."""

import multiprocessing
import os
import runpy
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseModel
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from mmsmt.datasets.guarded_pipeline import journal_of_rank

TOOL = Path(__file__).resolve().parents[3] / 'tools/train.py'
CONFIG = """
default_scope = {scope!r}
model = dict(type='LooksAtNothing', head=dict(num_classes={classes}))
train_dataloader = dict(
    batch_size=2,
    num_workers={workers},
    dataset=dict(type='RepeatDataset', times=3, dataset=dict(**{entry!r}, pipeline={pipeline!r})),
    sampler=dict(type={sampler!r}, shuffle=False),
)
train_cfg = {loop!r}
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1.0))
default_hooks = dict(checkpoint=None)
"""
LOAD = dict(type='LoadImageFromFile')
TASKS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    'mmpretrain': ('write_folders', [LOAD, dict(type='PackInputs')]),
    'mmdet': (
        'write_coco',
        [LOAD, dict(type='LoadAnnotations', with_bbox=True), dict(type='PackDetInputs')],
    ),
    'mmseg': ('write_maps', [LOAD, dict(type='LoadAnnotations'), dict(type='PackSegInputs')]),
}
CLASSES = {'mmpretrain': 2, 'mmdet': 1, 'mmseg': 3}
EPOCHS, ITERATIONS = (
    dict(by_epoch=True, max_epochs=1),
    dict(type='IterBasedTrainLoop', max_iters=6),
)
Train = Callable[..., tuple[int, str, str]]


class LooksAtNothing(BaseModel):
    """Takes any batch; what is tested comes before it."""

    def __init__(self, head: dict[str, int], data_preprocessor: Any = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = '') -> dict[str, Any]:
        assert all(image.ndim == 3 for image in inputs)
        return dict(loss=self.weight.sum())


MODELS.register_module(module=LooksAtNothing, force=True)


@pytest.fixture
def train(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    corpus: SimpleNamespace,
) -> Train:
    """Train a task on good data and the given pictures: status, the last line of stderr, stdout."""
    monkeypatch.setattr(Runner, '_log_env', lambda *_: None)  # asks compilers for versions
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('MMSMT_TRACEBACK', raising=False)
    for manager in (DefaultScope, MessageHub, MMLogger, Visualizer):  # live in a process
        monkeypatch.setattr(manager, '_instance_dict', OrderedDict())

    def run(
        scope: str,
        pictures: dict[str, Any],
        *arguments: str,
        loop: dict[str, Any] = EPOCHS,
        workers: int = 0,
        damage: Callable[[Path], object] = lambda root: None,
    ) -> tuple[int, str, str]:
        writer, pipeline = TASKS[scope]
        entry = getattr(corpus, writer)(tmp_path / 'data', pictures)
        damage(tmp_path / 'data')
        sampler = 'DefaultSampler' if loop is EPOCHS else 'InfiniteSampler'
        values = dict(
            scope=scope,
            classes=CLASSES[scope],
            entry=entry,
            pipeline=pipeline,
            loop=loop,
            sampler=sampler,
        )
        (tmp_path / 'config.py').write_text(CONFIG.format(workers=workers, **values))
        given = [str(tmp_path / 'config.py'), '--work-dir', str(tmp_path / 'work'), *arguments]
        monkeypatch.setattr(sys, 'argv', [TOOL.name, *given])
        status = 0
        try:
            runpy.run_path(str(TOOL), run_name='__main__')
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        assert 'Traceback' not in said.err
        return status, (said.err.splitlines() or [''])[-1], said.out + said.err

    return run


@pytest.mark.parametrize('loop', [EPOCHS, ITERATIONS], ids=['epochs', 'iterations'])
@pytest.mark.parametrize('scope', TASKS)
def test_stops_at_a_picture(
    train: Train, corpus: SimpleNamespace, tmp_path: Path, scope: str, loop: dict[str, Any]
) -> None:
    pictures = {'html': corpus.damaged['html'][0]}
    workers = 1 if loop is ITERATIONS else 0
    status, last, _ = train(scope, pictures, loop=loop, workers=workers)
    folder = 'cat' if scope == 'mmpretrain' else 'images'
    says = f'error: {tmp_path}/data/{folder}/html.jpg (img_path): cannot be read as an image'
    assert status == 1
    assert last.startswith(says) and last.endswith('or train with --on-bad skip')


@pytest.mark.parametrize('way', ['flag', 'option'])
@pytest.mark.parametrize('scope', TASKS)
def test_skips_and_counts(
    train: Train, corpus: SimpleNamespace, tmp_path: Path, scope: str, way: str
) -> None:
    pictures = {name: corpus.damaged[name][0] for name in ('html', 'zero_bytes')}
    arguments = ['--on-bad', 'skip'] if way == 'flag' else ['--cfg-options', 'on_bad=skip']
    loop, workers = (EPOCHS, 0) if way == 'flag' else (ITERATIONS, 2)
    status, _, said = train(scope, pictures, *arguments, loop=loop, workers=workers)
    assert status == 0, said
    lines = journal_of_rank(tmp_path / 'work/skipped_samples.txt', 0).read_text().splitlines()
    assert {line.partition(' (img_path): ')[0].rpartition('/')[2] for line in lines} == {
        'html.jpg',
        'zero_bytes.jpg',
    }
    (report,) = [line for line in said.splitlines() if 'was skipped' in line][-1:]
    if way == 'flag':  # without workers, which may load more than is trained on
        assert len(lines) >= 6
        assert f' {len(lines)} times a bad sample was skipped and replaced, 2 different' in report
    assert f'listed in {tmp_path}/work: ' in report and 'html.jpg (img_path)' in report


def test_nothing_to_skip_is_said(train: Train, tmp_path: Path) -> None:
    status, _, said = train('mmpretrain', {}, '--on-bad', 'skip')
    assert status == 0 and 'no sample was skipped' in said
    assert not list((tmp_path / 'work').glob('skipped*'))


def test_labels_of_no_class_are_named_before_a_loss_meets_them(
    train: Train, corpus: SimpleNamespace, tmp_path: Path
) -> None:
    def damage(root: Path) -> None:
        corpus.maps['no_class'][0](root / 'labels/good2.png')

    status, last, _ = train('mmseg', {}, damage=damage)
    says = f'error: {tmp_path}/data/labels/good2.png (seg_map_path): has pixels of class 3; the 3 '
    assert status == 1 and last.startswith(says)


@pytest.mark.parametrize(
    ('scope', 'damage', 'says'),
    [
        ('mmdet', lambda r: (r / 'boxes.json').write_text('{'), 'boxes.json: not valid JSON'),
        (
            'mmdet',
            lambda r: (r / 'boxes.json').write_text('{"images": [], "annotations": []}'),
            'boxes.json: has no list `categories`',
        ),
        (  # mmdet itself trains, every label behind the missing one shifted
            'mmdet',
            lambda r: (r / 'boxes.json').write_text(
                (r / 'boxes.json').read_text().replace('"cat"', '"cats"')
            ),
            "has no category 'cat', which is in metainfo.classes; the nearest one there is 'cats'",
        ),
        (
            'mmpretrain',
            lambda r: r.rename(r.with_name('moved')),
            'data/: no such folder',
        ),
    ],
)
def test_annotations_that_cannot_be_used(
    train: Train, tmp_path: Path, scope: str, damage: Callable, says: str
) -> None:
    status, last, _ = train(scope, {}, damage=damage)
    assert status == 1 and f'{tmp_path}/data' in last and says in last


def test_a_wrong_choice(train: Train) -> None:
    status, last, _ = train('mmpretrain', {}, '--cfg-options', 'on_bad=ignore')
    assert (status, last) == (1, "error: on_bad must be one of stop, skip, got 'ignore'")


def test_two_processes_count_together(
    train: Train, corpus: SimpleNamespace, tmp_path: Path
) -> None:
    pictures = {name: corpus.damaged[name][0] for name in ('html', 'zero_bytes')}
    status, _, _ = train('mmpretrain', pictures, '--on-bad', 'skip')
    assert status == 0
    before = len(journal_of_rank(tmp_path / 'work/skipped_samples.txt', 0).read_text().splitlines())
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    given = [*sys.argv, '--launcher', 'pytorch']
    context = multiprocessing.get_context('fork')  # the hosts are imported already
    ranks = [
        context.Process(target=_train, args=(given, rank, port, tmp_path / f'{rank}.log'))
        for rank in range(2)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    logs = [(tmp_path / f'{rank}.log').read_text() for rank in range(2)]
    assert [process.exitcode for process in ranks] == [0, 0], logs
    lines = [
        journal_of_rank(tmp_path / 'work/skipped_samples.txt', r).read_text().splitlines()
        for r in range(2)
    ]
    assert len(lines[1]) > 0 and len(lines[0]) > before
    total = len(lines[0]) + len(lines[1]) - before
    assert f' {total} times a bad sample was skipped and replaced, 2 different ones' in logs[0]
    assert 'was skipped' not in logs[1]


def _train(arguments: list[str], rank: int, port: int, log: Path) -> None:
    torch.set_num_threads(1)
    address = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2')
    os.environ.update(address, RANK=str(rank), LOCAL_RANK=str(rank))
    for manager in (DefaultScope, MessageHub, MMLogger, Visualizer):
        manager._instance_dict.clear()
    sys.argv = arguments
    with log.open('w') as file, redirect_stdout(file), redirect_stderr(file):
        runpy.run_path(str(TOOL), run_name='__main__')
