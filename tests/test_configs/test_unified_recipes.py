"""What the unified models train with is what their recipes say, read back from built objects.

The numbers are those of the released configurations of arXiv 2211.05781.
"""

import pytest
from mmengine.config import Config
from recipes import CONFIGS

from mmsmt.checks.recipe import read_recipe
from mmsmt.hosts.meta_device import build_on_meta

pytestmark = pytest.mark.usefixtures('quiet')
SCALES = ('micro', 't', 's', 'b')
# Drop path: of ImageNet by mixer, of detection for all.
DROP_PATH = {
    'halo': (0, 0.2, 0.3, 0.5),
    'sra': (0, 0.1, 0.3, 0.5),
    'window': (0, 0.2, 0.3, 0.5),
    'dwconv': (0, 0.1, 0.4, 0.5),
    'dcnv3': (0, 0.1, 0.3, 0.5),
}
DETECTION_DROP_PATH = (0.1, 0.2, 0.2, 0.3)
# Batch, accumulated batches, first, peak and last rate.
TRANSFORMER = (1024, 1, 1e-6, 1e-3, 1e-5)
CNN = (4096, 4, 0, 4e-3, 1e-6)
RECIPE = dict.fromkeys(('halo', 'sra', 'window'), TRANSFORMER) | dict.fromkeys(
    ('dwconv', 'dcnv3'), CNN
)


def leaves(task: str) -> set[str]:
    return {path.stem for path in (CONFIGS / task).glob('*unified*.py')}


def test_every_leaf_is_read_back() -> None:
    names = [f'unified_{mixer}_{scale}' for mixer in DROP_PATH for scale in SCALES]
    assert leaves('cls') == {f'{name}_in1k' for name in names}
    assert leaves('det') == {f'mask_rcnn_{name}_1x' for name in names}
    assert leaves('seg') == set()


@pytest.mark.parametrize('mixer', DROP_PATH)
def test_drop_paths(mixer: str) -> None:
    for scale, wanted, detection in zip(SCALES, DROP_PATH[mixer], DETECTION_DROP_PATH, strict=True):
        model = build_on_meta(Config.fromfile(CONFIGS / f'cls/unified_{mixer}_{scale}_in1k.py'))
        assert model.backbone.stages[3][-1].drop_path.drop_prob == pytest.approx(wanted)
        assert model.backbone.behaviour == 'classification'
        cfg = Config.fromfile(CONFIGS / f'det/mask_rcnn_unified_{mixer}_{scale}_1x.py')
        assert cfg.model.backbone.drop_path_rate == detection
        assert cfg.model.backbone.behaviour == 'detection'


@pytest.mark.parametrize('mixer', DROP_PATH)
def test_classification(mixer: str) -> None:
    cfg = Config.fromfile(CONFIGS / f'cls/unified_{mixer}_micro_in1k.py')
    recipe = read_recipe(cfg, 50)
    batch, accumulated, first, peak, last = RECIPE[mixer]
    assert (recipe['base batch'], recipe['accumulated batches']) == (batch, accumulated)
    assert recipe['batch per process'] * 8 * accumulated == batch
    assert (recipe['length'], recipe['clip'], recipe['mixed precision']) == (300, 5.0, True)
    assert (recipe['optimizer'], recipe['betas'], recipe['eps']) == ('AdamW', (0.9, 0.999), 1e-8)
    curve = recipe['rate']
    assert (curve.first, curve.peak) == (pytest.approx(first, abs=1e-8), pytest.approx(peak))
    assert curve.warmup == pytest.approx(20 * 50, abs=1)
    assert curve.last == pytest.approx(last, rel=0.02) and not curve.drops
    flat = {
        name
        for name, p in build_on_meta(cfg).named_parameters()
        if (p.ndim == 1 or name.endswith('relative_position_bias_table'))
        and not (mixer in ('halo', 'dwconv') and '.scale' in name)
    }
    assert set(recipe['decays']) == {0.05, 0.0} and set(recipe['decays'][0.0]) == flat
    mixup, cutmix = recipe['batch augmentation']
    assert (mixup['alpha'], cutmix['alpha']) == (0.8, 1.0)
    assert cfg.model.head.loss.label_smooth_val == 0.1 and cfg.sync_bn == 'torch'
    averaging = next(hook for hook in cfg.custom_hooks if hook.type == 'EMAHook')
    assert 1 - averaging.momentum == pytest.approx(0.9999) and averaging.update_buffers
    steps = {step['type']: step for step in recipe['training pipeline']}
    augment = steps['RandAugment']
    assert (augment['magnitude_level'], augment['magnitude_std']) == (9, 0.5)
    assert steps['RandomErasing']['erase_prob'] == 0.25


@pytest.mark.parametrize('mixer', DROP_PATH)
def test_detection(mixer: str) -> None:
    recipe = read_recipe(Config.fromfile(CONFIGS / f'det/mask_rcnn_unified_{mixer}_micro_1x.py'))
    assert (recipe['base batch'], recipe['length'], recipe['clip']) == (16, 12, None)
    assert (recipe['optimizer'], recipe['betas']) == ('AdamW', (0.9, 0.999))
    assert not recipe['mixed precision']
    curve = recipe['rate']
    assert curve.peak == pytest.approx(1e-4) and curve.first == pytest.approx(1e-7)
    assert curve.warmup == pytest.approx(1000, abs=1)
    assert list(curve.drops) == [8, 11]
    assert list(curve.drops.values()) == pytest.approx([1e-5, 1e-6])
    spared = set(recipe['decays'][0.0])
    names = {name for members in recipe['decays'].values() for name in members}
    assert set(recipe['decays']) == {0.05, 0.0}
    assert spared == {
        name
        for name in names
        if not name.startswith('backbone.patch_embeds.')
        and ('norm' in name or name.endswith('relative_position_bias_table'))
    }
    assert any(name.startswith('backbone.norms.3.out.') for name in spared)
