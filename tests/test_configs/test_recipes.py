"""What the zoo's configs train with is what the recipes say, read back from built objects.

The numbers are those of the released configurations and the papers (arXiv 2307.08579 for SMT,
2308.12216 for SG-Former); those of detectors are in `test_detection_recipes.py`, of
unified models in `test_unified_recipes.py`.
"""

import pytest
from mmengine.config import Config
from recipes import CONFIGS, read, steps

from mmsmt.hosts.meta_device import build_on_meta

pytestmark = pytest.mark.usefixtures('quiet')
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
