"""What the zoo's configs train with is what the recipes say, read back from built objects.

The numbers are those of the released configurations and the papers (arXiv 2307.08579 for SMT,
2308.12216 for SG-Former); those of unified models are in `test_unified_recipes.py`.
"""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from torch import nn

from mmsmt.checks.recipe import read_recipe
from mmsmt.hosts.meta_device import build_on_meta

NORMS = (nn.LayerNorm, nn.BatchNorm2d, nn.GroupNorm)
CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ADAMW = {'optimizer': 'AdamW', 'betas': (0.9, 0.999), 'eps': 1e-8}
DROP_PATH = {
    'smt': {'t': 0.1, 's': 0.2, 'b': 0.3, 'l': 0.1},
    'sg_former': {'s': 0.1, 'm': 0.2, 'b': 0.4},
}
# Base batch, length, peak rate, decay, clipping of the gradient's norm.
CLS = {
    'smt_t_in1k': (1024, 300, 2e-3, 0.05, 5.0),
    'smt_s_in1k': (1024, 300, 2e-3, 0.05, 5.0),
    'smt_b_in1k': (1024, 300, 2e-3, 0.05, 5.0),
    'smt_l_in22k': (4096, 90, 1e-3, 0.05, 5.0),
    'smt_l_in22k_ft_in1k': (1024, 30, 2e-5, 0.05, 5.0),
    'smt_l_in22k_ft_in1k_384': (512, 30, 2e-5, 0.05, 5.0),
}
# First and last rate: those of 512 images (1e-7 and 1e-6, 1.25e-7 and 1.25e-6, ...) scaled.
CLS_ENDS = {
    'smt_l_in22k': (1e-6, 1e-5),
    'smt_l_in22k_ft_in1k': (2e-8, 2e-7),
    'smt_l_in22k_ft_in1k_384': (2e-8, 2e-7),
}
DET = {
    'mask_rcnn': (2e-4, 0.05, None),
    'cascade_mask_rcnn': (1e-4, 0.05, None),
    'retinanet': (1e-4, 0.05, None),
    'atss': (1e-4, 0.05, None),
    'sparse_rcnn': (2.5e-5, 1e-4, 1),
    'dino_4scale': (1e-4, 1e-4, 0.1),
    'ddq_4scale': (2e-4, 0.05, 0.1),
}
# First rate as a part of the peak, and iterations of warm-up, where they are not the usual ones.
WARM_UPS = {'ddq_4scale': (0.0001, 2000)}
LENGTHS = {
    '1x': (12, [8, 11]),
    '3x': (36, [27, 33]),
    # DINO's own steps, as mmdet has them: the recipe gives the number of epochs.
    '12e': (12, [11]),
    '36e': (36, [30]),
}


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """mmengine logs every parameter with a rule of its own."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


def read(task: str, name: str, **options: Any) -> tuple[dict[str, Any], Config]:
    """The recipe of a leaf, after the checks that all have in common."""
    cfg = Config.fromfile(CONFIGS / task / f'{name}.py')
    recipe = read_recipe(cfg, **options)
    assert {key: recipe[key] for key in ADAMW} == ADAMW
    family = 'sg_former' if 'sg_former_' in name else 'smt'
    variant = name.split(f'{family}_')[1][0]
    assert recipe['drop path'] == pytest.approx(DROP_PATH[family][variant])
    assert recipe['batch per process'] * 8 * recipe['accumulated batches'] == recipe['base batch']
    return recipe, cfg


def steps(cfg: Config) -> dict[str, dict]:
    """The transforms of a training pipeline by type, without a host's prefix."""
    return {
        step['type'].rpartition('.')[-1]: step for step in cfg.train_dataloader.dataset.pipeline
    }


@pytest.mark.parametrize('name', CLS)
def test_classification(name: str) -> None:
    recipe, cfg = read('cls', name, epoch_length=50)
    batch, epochs, rate, decay, clip = CLS[name]
    assert (recipe['base batch'], recipe['length'], recipe['clip']) == (batch, epochs, clip)
    first, last = CLS_ENDS.get(name, (2e-7, 2e-6))
    curve = recipe['rate']
    assert curve.first == pytest.approx(first)
    assert curve.peak == pytest.approx(rate)
    assert curve.warmup == pytest.approx(5 * 50, abs=1)
    # The last iteration is a hair above the minimum.
    assert curve.last == pytest.approx(last, rel=0.02) and not curve.drops
    assert recipe['mixed precision']
    assert set(recipe['decays']) == {decay, 0.0}
    flat = {name for name, p in build_on_meta(cfg).named_parameters() if p.ndim <= 1}
    assert flat == set(recipe['decays'][0.0])
    assert recipe['batch augmentation'] == [
        {'type': 'mmpretrain.Mixup', 'alpha': 0.2},
        {'type': 'mmpretrain.CutMix', 'alpha': 1.0},
    ]
    loss = cfg.model.head.loss
    assert loss.type == 'mmpretrain.LabelSmoothLoss'
    assert (loss.label_smooth_val, loss['mode']) == (0.1, 'original')


@pytest.mark.parametrize('name', CLS)
def test_augmentation_of_classification(name: str) -> None:
    _, cfg = read('cls', name)
    size = 384 if name.endswith('384') else 224
    found = steps(cfg)
    crop, augment = found['RandomResizedCrop'], found['RandAugment']
    assert (crop['scale'], crop['interpolation']) == (size, 'bicubic')
    assert found['RandomFlip']['prob'] == 0.5
    assert augment['policies'] == 'timm_increasing'
    assert (augment['num_policies'], augment['total_level']) == (2, 10)
    assert (augment['magnitude_level'], augment['magnitude_std']) == (9, 0.5)
    erasing = found['RandomErasing']
    assert (erasing['erase_prob'], erasing['mode']) == (0.25, 'rand')
    if cfg.val_dataloader is None:
        assert name == 'smt_l_in22k' and cfg.model.head.num_classes == 21841
        return
    test = {step['type']: step for step in cfg.val_dataloader.dataset.pipeline}
    if size == 384:
        assert test['Resize']['scale'] == 384 and 'CenterCrop' not in test
    else:
        assert (test['ResizeEdge']['scale'], test['ResizeEdge']['edge']) == (256, 'short')
        assert test['ResizeEdge']['interpolation'] == 'bicubic'
        assert test['CenterCrop']['crop_size'] == 224


@pytest.mark.parametrize('variant', ['s', 'm', 'b'])
def test_classification_of_sg_former(variant: str) -> None:
    recipe, cfg = read('cls', f'sg_former_{variant}_in1k', epoch_length=50)
    assert (recipe['base batch'], recipe['length'], recipe['clip']) == (1024, 300, None)
    curve = recipe['rate']
    assert (curve.first, curve.peak) == (pytest.approx(1e-6), pytest.approx(1e-3))
    assert curve.warmup == pytest.approx(20 * 50, abs=1)
    assert curve.last == pytest.approx(1e-5, rel=0.02) and not curve.drops
    assert set(recipe['decays']) == {0.05, 0.0} and recipe['mixed precision']
    mixup, cutmix = recipe['batch augmentation']
    assert (mixup['alpha'], cutmix['alpha']) == (0.8, 1.0)
    averaging = next(hook for hook in cfg.custom_hooks if hook.type == 'EMAHook')
    assert 1 - averaging.momentum == pytest.approx(0.99992)
    assert cfg.model.head.loss.label_smooth_val == 0.1
    found = steps(cfg)
    assert found['RandAugment']['magnitude_level'] == 9
    assert found['RandAugment']['magnitude_std'] == 0.5
    assert found['RandomErasing']['erase_prob'] == 0.25


@pytest.mark.parametrize(
    'name',
    sorted(
        path.stem
        for path in (CONFIGS / 'det').glob('*.py')
        if not re.search('unified|rtmdet|mask2former', path.stem)
    ),
)
def test_detection(name: str) -> None:
    method, _, variant_length = re.split('_(smt|sg_former)_', name)
    length = variant_length.split('_')[1]
    recipe, cfg = read('det', name)
    rate, decay, clip = DET[method]
    epochs, drops = LENGTHS[length]
    assert (recipe['base batch'], recipe['length'], recipe['clip']) == (16, epochs, clip)
    curve = recipe['rate']
    first, warm_up = WARM_UPS.get(method, (0.001, 500))
    assert curve.first == pytest.approx(rate * first)
    assert curve.peak == pytest.approx(rate) and curve.warmup == pytest.approx(warm_up, abs=1)
    assert list(curve.drops) == drops
    falling = [rate / 10 ** (k + 1) for k in range(len(drops))]
    assert list(curve.drops.values()) == pytest.approx(falling)
    if method == 'mask_rcnn':
        assert set(recipe['decays']) == {decay, 0.0}
        norms = [m for m in build_on_meta(cfg).modules() if isinstance(m, NORMS)]
        assert len(recipe['decays'][0.0]) == 2 * len(norms) > 0
    else:
        assert set(recipe['decays']) == {decay}
    slow = recipe['rate multipliers'] if method.endswith('_4scale') else {}
    assert sorted(recipe['rate multipliers']) == pytest.approx([0.1, 1.0] if slow else [1.0])
    for multiplier, names in slow.items():
        inside = [name.startswith('backbone.') for name in names]
        assert all(inside) if multiplier < 0.5 else not any(inside)
    _check_pixels(cfg)
    assert cfg.model.data_preprocessor.pad_size_divisor == 32
    assert steps(cfg)['RandomFlip']['prob'] == 0.5
    _check_scales(cfg, length, 4200 if method.endswith('_4scale') else 1333)


def _check_pixels(cfg: Config) -> None:
    """Images as the published weights know them."""
    pixels = cfg.model.data_preprocessor
    assert pixels.mean == [123.675, 116.28, 103.53] and pixels.bgr_to_rgb
    assert pixels.std == [58.395, 57.12, 57.375]


@pytest.mark.parametrize('name', ['rtmdet_smt_s_300e', 'rtmdet_ins_smt_s_300e'])
def test_rtmdet(name: str) -> None:
    recipe, cfg = read('det', name, epoch_length=50)
    assert (recipe['base batch'], recipe['length'], recipe['clip']) == (256, 300, None)
    curve = recipe['rate']
    assert (curve.first, curve.peak) == (pytest.approx(2e-8), pytest.approx(2e-3))
    assert curve.warmup == pytest.approx(1000, abs=1)
    assert curve.last == pytest.approx(1e-4, rel=0.02) and not curve.drops
    assert set(recipe['decays']) == {0.05, 0.0}
    _check_pixels(cfg)
    hooks = {hook.type: hook for hook in cfg.custom_hooks}
    assert hooks['PipelineSwitchHook'].switch_epoch == 280 and 'EMAHook' in hooks


def test_mask2former() -> None:
    recipe, segmenter = read('seg', 'mask2former_smt_s_160k_ade20k')
    assert (recipe['base batch'], recipe['length'], recipe['clip']) == (16, 160000, 0.01)
    assert recipe['rate'].peak == recipe['rate'].first == pytest.approx(1e-4)
    assert set(recipe['decays']) == {0.05, 0.0}
    modules = dict(build_on_meta(segmenter).named_modules())
    norms = {name for name, module in modules.items() if isinstance(module, NORMS)}
    assert norms == {name.rpartition('.')[0] for name in recipe['decays'][0.0]} & norms
    assert not any(name.rpartition('.')[0] in norms for name in recipe['decays'][0.05])
    for multiplier, names in recipe['rate multipliers'].items():
        assert {name.startswith('backbone.') for name in names} == {multiplier < 0.5}
    for name in ('mask2former_smt_s_50e', 'mask2former_panoptic_smt_s_50e'):
        detector = Config.fromfile(CONFIGS / f'det/{name}.py')
        for key in ('optimizer', 'clip_grad', 'paramwise_cfg'):
            assert detector.optim_wrapper[key] == segmenter.optim_wrapper[key]
        assert detector.train_cfg.max_iters == 368750  # 50 epochs of 118,000 images by 16
        _check_pixels(detector)


def _check_scales(cfg: Config, length: str, longest_before_crop: int) -> None:
    """One scale for 1x; else two policies, the second with a crop in between."""
    found = steps(cfg)
    if length == '1x':
        assert found['Resize']['scale'] == (1333, 800) and 'RandomChoice' not in found
        return
    plain, cropped = found['RandomChoice']['transforms']
    scales = [(short, 1333) for short in range(480, 801, 32)]
    assert len(scales) == 11 and [step['scales'] for step in plain] == [scales]
    before, crop, after = cropped
    assert before['scales'] == [(short, longest_before_crop) for short in (400, 500, 600)]
    assert (crop['crop_type'], crop['crop_size']) == ('absolute_range', (384, 600))
    assert after['scales'] == scales


def test_heads_of_detectors() -> None:
    cascade = Config.fromfile(CONFIGS / 'det/cascade_mask_rcnn_smt_s_3x.py').model.roi_head
    assert len(cascade.bbox_head) == 3
    for head in cascade.bbox_head:
        assert (head.type, head.num_shared_convs, head.num_shared_fcs) == ('ConvFCBBoxHead', 4, 1)
        assert head.norm_cfg.type == 'SyncBN' and not head.reg_class_agnostic
        assert head.reg_decoded_bbox
        assert (head.loss_bbox.type, head.loss_bbox.loss_weight) == ('GIoULoss', 10.0)
    stds = [head.bbox_coder.target_stds[0] for head in cascade.bbox_head]
    assert stds == [0.1, 0.05, 0.033]
    retinanet = Config.fromfile(CONFIGS / 'det/retinanet_smt_s_3x.py').model.neck
    assert (retinanet.start_level, retinanet.add_extra_convs) == (1, 'on_input')
    atss = Config.fromfile(CONFIGS / 'det/atss_smt_s_3x.py').model.neck
    assert (atss.start_level, atss.add_extra_convs) == (1, 'on_output')
    sparse = Config.fromfile(CONFIGS / 'det/sparse_rcnn_smt_s_3x.py').model
    assert (sparse.rpn_head.num_proposals, len(sparse.roi_head.bbox_head)) == (300, 6)
    dino = Config.fromfile(CONFIGS / 'det/dino_4scale_smt_s_12e.py').model
    assert dino.backbone.out_indices == (1, 2, 3)
    assert (dino.neck.type, dino.neck.num_outs) == ('ChannelMapper', 4)


@pytest.mark.parametrize(
    'backbone', [*(f'smt_{v}' for v in 'tsb'), *(f'sg_former_{v}' for v in 'smb')]
)
def test_upernet(backbone: str) -> None:
    recipe, cfg = read('seg', f'upernet_{backbone}_160k_ade20k')
    assert (recipe['base batch'], recipe['length'], recipe['clip']) == (16, 160000, None)
    assert set(recipe['decays']) == {0.01}
    curve = recipe['rate']
    assert curve.first == pytest.approx(6e-5 * 1e-6)
    assert curve.peak == pytest.approx(6e-5) and curve.warmup == pytest.approx(1500, abs=1)
    assert curve.last == pytest.approx(0, abs=1e-9)
    assert {s['type']: s for s in cfg.param_scheduler}['PolyLR']['power'] == 1.0
    decode, auxiliary = cfg.model.decode_head, cfg.model.auxiliary_head
    assert (decode.channels, decode.norm_cfg.type) == (512, 'SyncBN')
    assert (auxiliary.type, auxiliary.in_index) == ('FCNHead', 2)
    assert auxiliary.loss_decode.loss_weight == 0.4


def test_scales_of_segmentation() -> None:
    cfg = Config.fromfile(CONFIGS / 'seg/upernet_smt_s_160k_ade20k.py')
    assert cfg.model.data_preprocessor.size == (512, 512)
    assert steps(cfg)['RandomCrop']['crop_size'] == (512, 512)
    assert cfg.model.test_cfg.mode == 'whole'
    test = {step['type']: step for step in cfg.test_dataloader.dataset.pipeline}
    assert test['Resize']['scale'] == (2048, 512) and test['Resize']['keep_ratio']
    resizes, flips, *_ = cfg.tta_pipeline[1].transforms
    ratios = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    assert [step.scale for step in resizes] == [(int(2048 * r), int(512 * r)) for r in ratios]
    assert [step.prob for step in flips] == [0.0, 1.0]


@pytest.mark.parametrize('backbone', ['smt_s', *(f'sg_former_{v}' for v in 'smb')])
def test_semantic_fpn(backbone: str) -> None:
    recipe, _ = read('seg', f'fpn_{backbone}_80k_ade20k')
    assert (recipe['base batch'], recipe['length']) == (16, 80000)
    assert recipe['rate'].peak == pytest.approx(1e-4) and set(recipe['decays']) == {1e-4}


def test_every_leaf_is_read_back() -> None:
    assert {path.stem for path in (CONFIGS / 'cls').glob('*.py') if 'unified' not in path.stem} == {
        *CLS,
        *(f'sg_former_{variant}_in1k' for variant in 'smb'),
    }
    assert {path.stem for path in (CONFIGS / 'seg').glob('*.py')} == {
        'fpn_smt_s_80k_ade20k',
        'mask2former_smt_s_160k_ade20k',
        *(f'upernet_smt_{variant}_160k_ade20k' for variant in 'tsb'),
        *(f'fpn_sg_former_{variant}_80k_ade20k' for variant in 'smb'),
        *(f'upernet_sg_former_{variant}_160k_ade20k' for variant in 'smb'),
    }
