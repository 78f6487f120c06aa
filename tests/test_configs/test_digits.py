"""Every digits config trains two iterations and validates, with the real hosts."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmsmt.backbones import SMT, SGFormer, UnifiedBackbone
from mmsmt.backbones.unified_archs import ARCHS
from mmsmt.checkpoints import load_checkpoint

NETWORKS = {'smt': SMT, 'sg_former': SGFormer, 'unified': UnifiedBackbone}
METRICS = {
    **{f'cls_unified_{mixer}_pico': ['accuracy/top1'] for mixer in ARCHS},
    'cls_sg_former_pico': ['accuracy/top1'],
    'cls_smt_pico': ['accuracy/top1'],
    'mask_rcnn_sg_former_pico': ['coco/bbox_mAP', 'coco/segm_mAP'],
    'mask_rcnn_smt_pico': ['coco/bbox_mAP', 'coco/segm_mAP'],
    'mask_rcnn_unified_halo_pico': ['coco/bbox_mAP', 'coco/segm_mAP'],
    'retinanet_smt_pico': ['coco/bbox_mAP'],
    'upernet_sg_former_pico': ['mIoU'],
    'upernet_smt_pico': ['mIoU'],
    'upernet_unified_halo_pico': ['mIoU'],
}
# After two iterations no score is above the usual threshold; nothing found is not evaluated.
OPTIONS = {'retinanet_smt_pico': {'model.test_cfg.score_thr': 0.0}}


def family(name: str) -> str:
    return next(key for key in NETWORKS if f'_{key}_' in name)


def test_every_digits_config_is_tested() -> None:
    configs = Path(__file__).resolve().parents[2] / 'configs' / 'digits'
    assert {path.stem for path in configs.glob('*.py')} == set(METRICS)


@pytest.mark.parametrize('name', METRICS)
def test_trains_two_iterations_and_validates(name: str, small_runner: Callable) -> None:
    runner = small_runner(name, **OPTIONS.get(name, {}))
    model = runner.model
    assert type(model.backbone) is NETWORKS[family(name)]
    before = {key: value.clone() for key, value in model.named_parameters()}
    runner.train()
    assert runner.iter == 2
    unchanged = [key for key, value in model.named_parameters() if torch.equal(value, before[key])]
    assert not [key for key in unchanged if key.startswith('backbone.')], unchanged
    scalars = runner.message_hub.log_scalars
    for metric in METRICS[name]:
        value = scalars[f'val/{metric}'].current()
        # -1 is how the COCO evaluator says that there was nothing to find.
        assert math.isfinite(value) and -1 <= value <= 100, (metric, value)
    assert (Path(runner.work_dir) / 'epoch_1.pth').is_file()


@pytest.mark.parametrize('name', [name for name in METRICS if 'cls' not in name])
def test_starts_from_what_was_trained_before(
    name: str, small_runner: Callable, digits_home: Path
) -> None:
    runner = small_runner(name)
    runner.model.init_weights()
    network = name[name.index(family(name)) :]
    before = f'mask_rcnn_{network}/epoch_2' if 'upernet' in name else f'cls_{network}/epoch_6'
    trained = load_checkpoint(digits_home / f'work_dirs/{before}.pth')
    for key, value in runner.model.backbone.state_dict().items():
        assert torch.equal(value, trained[f'backbone.{key}']), key
