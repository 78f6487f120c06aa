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
