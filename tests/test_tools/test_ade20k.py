"""The evaluation on ADE20K, from its official folders to mIoU, on two processes without GPUs."""

import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

from mmsmt.datasets.digits.photographs import load_photographs
from mmsmt.datasets.digits.source import load_split
from mmsmt.datasets.digits.writers import write_scenes

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/seg/upernet_smt_t_160k_ade20k.py'
CLASSES = 150
# ADE20K's numbers (1 to 150) of the eleven labels of a scene, first and last among them.
NUMBERS = np.array([0, 1, *range(10, 100, 10), CLASSES])
SIZES = [(160, 120), (120, 160), (160, 160), (96, 128), (160, 90)]  # widths and heights
# The config in full but for narrow heads and images an eighth as high.
OPTIONS = [
    'model.decode_head.channels=16',
    'model.auxiliary_head.channels=16',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
    'test_dataloader.dataset.pipeline.1.scale=(256,64)',
    *(
        f'tta_pipeline.1.transforms.0.{i}.scale=({int(256 * ratio)},{int(64 * ratio)})'
        for i, ratio in enumerate([0.5, 0.75, 1.0, 1.25, 1.5, 1.75])
    ),
]
Test = Callable[..., tuple[dict[str, float], list[dict]]]


@pytest.fixture(scope='module')
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ade/ADEChallengeData2016 and a checkpoint of random weights.

    Five images, so that two processes see one of them twice, of several shapes; the outermost
    pixels belong to no class.
    """
    home = tmp_path_factory.mktemp('ade')
    digits, photographs = load_split()['val'], load_photographs()['val']
    scenes = list(write_scenes(home / 'scenes', 'val', digits, photographs, len(SIZES), 160, 0))
    ade = home / 'data/ade/ADEChallengeData2016'
    for part in ('images', 'annotations'):
        (ade / part / 'validation').mkdir(parents=True)
    for i, (path, (width, height)) in enumerate(zip(scenes, SIZES), start=1):
        labels = np.asarray(Image.open(home / 'scenes/labels/val' / f'{path.stem}.png'))
        numbers = NUMBERS[labels[:height, :width]].astype(np.uint8)
        numbers[:, :4] = numbers[-4:] = 0
        name = f'validation/ADE_val_{i:08d}'
        Image.fromarray(numbers).save(ade / 'annotations' / f'{name}.png')
        Image.open(path).crop((0, 0, width, height)).save(ade / 'images' / f'{name}.jpg')
    save_checkpoint(home / 'random.pth')
    return home


def save_checkpoint(path: Path) -> None:
    """Random weights whose predictions vary among the classes of the scenes."""
    cfg = Config.fromfile(CONFIG)
    init_default_scope('mmseg')
    cfg.merge_from_dict({k: int(v) for k, v in (o.split('=') for o in OPTIONS[:2])})
    cfg.model.backbone.pop('init_cfg')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    model.decode_head.conv_seg.bias.data[NUMBERS[1:] - 1] += 100.0
    torch.save({'state_dict': model.state_dict()}, path)


@pytest.fixture
def evaluate(home: Path, tmp_path: Path) -> Test:
    """Run tools/dist_test.sh on two processes: its metrics and predictions."""

    def run(*arguments: str) -> tuple[dict[str, float], list[dict]]:
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = str(probe.getsockname()[1])
        places = ['--work-dir', str(tmp_path / 'work'), '--out', str(tmp_path / 'out.pkl')]
        said = subprocess.run(
            [ROOT / 'tools/dist_test.sh', CONFIG, 'random.pth', '2', *arguments, *places]
            + ['--cfg-options', *OPTIONS],
            cwd=home,
            env={**os.environ, 'PYTHON': sys.executable, 'MASTER_PORT': port},
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
        (log,) = (tmp_path / 'work').glob('*/*.json')
        return json.loads(log.read_text()), pickle.loads((tmp_path / 'out.pkl').read_bytes())

    return run


def measure(samples: list[dict], home: Path) -> dict[str, float]:
    """Percentages from one confusion matrix over all images."""
    confusion = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    for sample in samples:
        path = home / 'data/ade/ADEChallengeData2016/annotations/validation'
        truth = np.asarray(Image.open(path / f'{Path(sample["img_path"]).stem}.png')).astype(int)
        labels = sample['pred_sem_seg']['data'].squeeze().numpy()
        known = truth > 0
        np.add.at(confusion, (truth[known] - 1, labels[known]), 1)
    hits, truths, found = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    union = truths + found - hits
    return {
        'aAcc': 100 * hits.sum() / confusion.sum(),
        'mIoU': 100 * (hits[union > 0] / union[union > 0]).mean(),
        'mAcc': 100 * (hits[truths > 0] / truths[truths > 0]).mean(),
    }


@pytest.mark.parametrize('tta', [(), ('--tta',)], ids=['single', 'tta'])
def test_miou_equals_one_by_hand(tta: tuple[str, ...], evaluate: Test, home: Path) -> None:
    reported, samples = evaluate(*tta)
    # Every image once, although the processes have seen six.
    assert len({sample['img_path'] for sample in samples}) == len(samples) == len(SIZES)
    labels = [sample['pred_sem_seg']['data'].squeeze() for sample in samples]
    assert [tuple(label.shape[::-1]) for label in labels] == SIZES
    assert len(torch.cat([label.flatten() for label in labels]).unique()) > 5
    ours = measure(samples, home)
    assert ours['mIoU'] > 0.5  # a number that rounding leaves something of
    for metric, value in ours.items():
        assert reported[metric] == pytest.approx(value, abs=0.00501), metric
