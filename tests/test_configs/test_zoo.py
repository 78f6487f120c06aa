"""Every config of the zoo builds, and runs loss, backward and predict on real digits."""

import math
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmsmt.checks.trial import try_config

ROOT = Path(__file__).resolve().parents[2] / 'configs'
LEAVES = [path for task in ('cls', 'det', 'seg') for path in sorted((ROOT / task).glob('*.py'))]

SIZES = ('micro', 't', 's', 'm', 'b')


def smallest_of_each_kind() -> list[Path]:
    """The smallest of the configs that differ in size, mixer or schedule of a task alone.

    The others are built where their recipes are read, linted and counted; mixers run at any size
    in `test_backbones/test_unified.py`. All configs run by `mmsmt check trial configs/*/*.py`.
    """
    chosen: dict[str, Path] = {}
    size = f'_({"|".join(SIZES)})_'
    schedule = '_(1x|3x|12e|36e|50e|300e|80k|160k)(?=_|$)'

    def order(leaf: Path) -> tuple[int, str]:
        return SIZES.index((re.findall(size, leaf.stem) or 'b')[0]), leaf.stem

    for leaf in sorted(LEAVES, key=order):
        kind = re.sub(size, '_', re.sub('unified_(halo|sra|window)', 'unified', leaf.stem))
        kind = re.sub('unified_(dwconv|dcnv3)', 'unified_cnn', kind)
        chosen.setdefault(re.sub(schedule, '', kind), leaf)
    return sorted(chosen.values())


def divisor(leaf: Path) -> int:
    """How much smaller the images are than the config's, which would take minutes."""
    # DINO chooses 900 queries among the pixels of its maps: too few below 240 pixels.
    return 2 if leaf.parent.name == 'cls' or leaf.stem.startswith('dino') else 4


@pytest.mark.slow
@pytest.mark.parametrize('leaf', smallest_of_each_kind(), ids=lambda leaf: leaf.stem)
def test_runs_on_a_real_batch(
    leaf: Path, digits_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(digits_home)
    torch.manual_seed(0)
    trial = try_config(Config.fromfile(leaf), divisor=divisor(leaf))
    assert math.isfinite(trial.loss) and trial.loss > 0
    assert not trial.without_gradient
    assert len(trial.results) == 2
    for result in trial.results:
        _check_result(result)


def _check_result(result: object) -> None:
    """A prediction has the form that the host's evaluator reads."""
    if hasattr(result, 'pred_score'):
        torch.testing.assert_close(result.pred_score.sum(), torch.tensor(1.0))
    elif hasattr(result, 'pred_sem_seg'):
        labels = result.pred_sem_seg.data
        assert labels.shape[-2:] == result.ori_shape
        assert 0 <= labels.min() and labels.max() < 11
    else:
        found = result.pred_instances
        assert len(found.bboxes) == len(found.scores) == len(found.labels)
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        if 'masks' in found:
            assert found.masks.shape == (len(found), *result.ori_shape)
        if hasattr(result, 'pred_panoptic_seg'):
            assert result.pred_panoptic_seg.sem_seg.shape == (1, *result.ori_shape)


@pytest.mark.parametrize('leaf', LEAVES, ids=lambda leaf: leaf.stem)
def test_inherits_over_three_levels_of_ours_at_most(leaf: Path) -> None:
    assert _levels(leaf) <= 3


def _levels(file: Path) -> int:
    ours = [base for base in Config._get_base_files(str(file)) if '::' not in base]
    return 1 + max((_levels(file.parent / base) for base in ours), default=0)
