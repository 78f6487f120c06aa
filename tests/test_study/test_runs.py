"""Runs of a study: done once, by one process, from what is left of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from own_data import write_folders

from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.meta_device import build_on_meta
from mmsmt.hosts.raw_outputs import run_network
from mmsmt.study import runs
from mmsmt.study.networks import NETWORKS
from mmsmt.study.protocol import (
    Protocol,
    enough_epochs,
    read_base,
    settings_of,
    transferred,
)
from mmsmt.study.runs import Run, Study, claimed, complete, copy_images, read_record

ROOT = Path(__file__).resolve().parents[2]
RUN = Run('sra', NETWORKS['sra'], 0)


def test_a_run_belongs_to_one_process(tmp_path: Path) -> None:
    with claimed(tmp_path / 'run') as first, claimed(tmp_path / 'run') as second:
        assert first is not None and second is None
    with claimed(tmp_path / 'run') as third:
        assert third is not None


def test_a_tool_that_outlives_its_study_keeps_the_run(tmp_path: Path) -> None:
    code = 'import sys; print("ready", flush=True); sys.stdin.readline()'
    with claimed(tmp_path) as handle:
        assert handle is not None
        tool = subprocess.Popen(
            [sys.executable, '-c', code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[handle],
        )
        assert tool.stdout is not None
        tool.stdout.readline()
    with claimed(tmp_path) as other:
        assert other is None
    tool.communicate(b'\n')
    with claimed(tmp_path) as other:
        assert other is not None


def test_a_killed_process_leaves_its_run_to_others(tmp_path: Path) -> None:
    code = (
        'import sys, time\nfrom pathlib import Path\nfrom mmsmt.study.runs import claimed\n'
        'with claimed(Path(sys.argv[1])):\n    print("ready", flush=True)\n    time.sleep(100)\n'
    )
    holder = subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b'ready\n'
    with claimed(tmp_path) as other:
        assert other is None
    holder.kill()
    holder.wait()
    with claimed(tmp_path) as other:
        assert other is not None


@pytest.fixture
def study(tmp_path: Path) -> Study:
    base = read_base(ROOT / 'configs/digits/cls_smt_pico.py')
    cells = Config.fromfile(ROOT / 'configs/digits/retinanet_smt_pico.py')
    return Study(tmp_path, base, Protocol(1, 1e-3), {'cells': cells}, {'OMP_NUM_THREADS': '1'})


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the tools by a record of their configs, and plausible results."""
    made: list[str] = []

    def train(title: str, config: str, folder: Path, *_: Any, **options: Any) -> float:
        made.append(f'train {folder.name}')
        os.fstat(options['keep'][0])  # the lock is open
        folder.mkdir(parents=True)
        (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
        return 60.0

    def evaluate(title: str, config: str, folder: Path, *_: Any, **options: Any) -> dict:
        made.append(f'test {folder.name}')
        return {'coco/bbox_mAP': 0.25} if folder.name == 'cells' else {'accuracy/top1': 90.0}

    def run_step(title: str, arguments: list[str], *_: Any) -> float:
        made.append(arguments[1])
        out = Path(arguments[arguments.index('--out') + 1])
        out.mkdir()
        row = {'kind': 'blur', 'strength': 1.0, 'top1': 0.5, 'loss': 1.0}
        content = {'rows': [row], 'stages': [{}, {}, {'ratios': [], 'held': [1.0]}, {}]}
        (out / 'sra.json').write_text(json.dumps(content))
        return 1.0

    for tool in (train, evaluate, run_step):
        monkeypatch.setattr(runs, tool.__name__, tool)
    return made


def test_a_run_goes_from_training_to_its_record(study: Study, calls: list[str]) -> None:
    assert complete(RUN, study)
    steps = ['train classifier', 'test classifier', 'invariance', 'receptive-field']
    assert calls == [*steps, 'train cells', 'test cells']
    record = read_record(study.out, RUN)
    assert record is not None
    assert record['top1'] == 90 and record['transfers']['cells'] == {'coco/bbox_mAP': 0.25}
    assert record['invariance'] == [{'kind': 'blur', 'strength': 1.0, 'top1': 0.5}]
    detector = Config.fromfile(study.out / 'runs/sra_seed0/cells.py').model
    weights = detector.backbone.init_cfg.checkpoint
    assert weights.endswith('runs/sra_seed0/classifier/epoch_1.pth')
    assert detector.neck.in_channels == [24, 48, 96, 192]
    assert complete(RUN, study) and len(calls) == 6  # and never again


def test_a_run_of_somebody_else_is_left_alone(study: Study, calls: list[str]) -> None:
    with claimed(study.out / 'runs/sra_seed0'):
        assert not complete(RUN, study)
    assert not calls


def test_a_record_of_another_network_is_refused(study: Study, calls: list[str]) -> None:
    complete(RUN, study)
    with pytest.raises(UsageError, match='sra_seed0.json: is of another network'):
        read_record(study.out, Run('sra', NETWORKS['halo'], 0))


def test_classifiers_differ_in_the_backbone_only(study: Study) -> None:
    configs = [
        runs.classifier(study.base, NETWORKS[name].backbone, study.protocol)
        for name in ('sra', 'resnet')
    ]
    for cfg in configs:
        cfg.model.pop('backbone')
        cfg.model.head.pop('in_channels')
    assert configs[0].to_dict() == configs[1].to_dict()
    assert configs[0].optim_wrapper.optimizer.lr == 1e-3 and configs[0].train_cfg.max_epochs == 1


def test_settings_are_those_of_the_training_not_of_the_place(study: Study) -> None:
    settings = settings_of(study.protocol, study.base, dict(study.transfers))
    moved = Config(json.loads(json.dumps(study.base.to_dict())))
    moved.train_dataloader.dataset.data_root = '/elsewhere/'
    assert settings_of(study.protocol, moved, dict(study.transfers)) == settings
    moved.train_dataloader.dataset.pipeline.pop(1)
    assert settings_of(study.protocol, moved, dict(study.transfers))['data'] != settings['data']


def test_images_of_every_class_are_copied(study: Study, tmp_path: Path) -> None:
    root = write_folders(tmp_path / 'pets')
    copy_images(study._replace(base=read_base(root)), RUN.network.backbone)
    copied = sorted(path.relative_to(study.out) for path in study.out.glob('images/*/*'))
    evaluated = sorted((root / 'val').glob('*/*'))
    assert len(copied) == len(evaluated) > 2
    assert {str(path.parent) for path in copied} == {'images/0000', 'images/0001'}
    for path, original in zip(copied, evaluated, strict=True):
        assert (study.out / path).read_bytes() == original.read_bytes()


def test_few_images_are_trained_longer(tmp_path: Path) -> None:
    root = write_folders(tmp_path / 'pets')
    images = len(list((root / 'train').glob('*/*')))
    base = read_base(root)
    for batch_size in (1, images // 2):
        each = round(images / batch_size)  # iterations
        epochs = enough_epochs(base, batch_size)
        assert (epochs - 1) * each < 1800 <= epochs * each
    assert base.train_dataloader.batch_size != 1  # is one of the settings


@pytest.mark.parametrize('label', ['sra', 'self_guided', 'sg_former_pico', 'swin', 'convnext'])
@pytest.mark.parametrize('example', ['cells', 'scenes'])
def test_networks_fit_the_examples(label: str, example: str) -> None:
    cfg = read_config(str(ROOT / f'examples/study/{example}.py'))
    model = build_on_meta(transferred(cfg, NETWORKS[label].backbone, 'classifier.pth'))
    model.eval()
    kind = type(model.backbone)
    assert kind.__name__ == NETWORKS[label].backbone['type'].rpartition('.')[2]
    run_network(model, torch.empty(1, 3, 64, 96, device='meta'))
