"""Good data pass; a config without data does not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config

from mmsmt.checks.data import Finding, check_data
from mmsmt.engine.data_root import move_data

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
Found = Callable[..., dict[str, list[str]]]


@pytest.mark.parametrize('name', ['cls_smt_pico', 'mask_rcnn_smt_pico', 'upernet_smt_pico'])
def test_prepared_digits_pass(prepared: Path, name: str, found: Found) -> None:
    cfg = move_data(Config.fromfile(CONFIGS / 'digits' / f'{name}.py'), prepared.parent)
    lines = found(cfg, full=name != 'cls_smt_pico')
    assert lines['error'] == lines['warning'] == []
    assert len(lines['note']) >= 2


def test_a_config_without_data_is_named() -> None:
    cfg = Config(dict(model=dict(type='X')))
    assert list(check_data(cfg)) == [
        Finding('error', 'config', 'has no train_dataloader, val_dataloader, test_dataloader')
    ]


def test_what_the_check_of_configs_finds_in_data(prepared: Path) -> None:
    """A misspelt transform fails when the first image is loaded, whatever the files are."""
    cfg = move_data(Config.fromfile(CONFIGS / 'digits/mask_rcnn_smt_pico.py'), prepared.parent)
    cfg.train_dataloader.dataset.pipeline[-1].type = 'PackDetInput'
    cfg.val_dataloader.dataset.ann_fil = cfg.val_dataloader.dataset.pop('ann_file')
    cfg.val_evaluator.metrics = 'bbox'
    before = cfg.pretty_text
    wrong = {f.where: f.right for f in check_data(cfg) if f.level == 'error'}
    step = f'train_dataloader.dataset.pipeline[{len(cfg.train_dataloader.dataset.pipeline) - 1}]'
    assert wrong == {
        f'{step}.type': "did you mean 'PackDetInputs'?",
        'val_dataloader.dataset.ann_fil': "did you mean 'ann_file'?",
        'val_evaluator.metrics': "did you mean 'metric'?",
    }
    assert cfg.pretty_text == before
