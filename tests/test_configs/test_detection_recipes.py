"""What the zoo's detectors train with is what the recipes say, read back from built objects.

Sources as in `test_recipes.py`; mmdet's own methods keep mmdet's schedules.
"""

import re

import pytest
from mmengine.config import Config
from recipes import CONFIGS, NORMS, check_pixels, read, steps

from mmsmt.hosts.meta_device import build_on_meta

pytestmark = pytest.mark.usefixtures('quiet')
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
    check_pixels(cfg)
    assert cfg.model.data_preprocessor.pad_size_divisor == 32
    assert steps(cfg)['RandomFlip']['prob'] == 0.5
    _check_scales(cfg, length, 4200 if method.endswith('_4scale') else 1333)


@pytest.mark.parametrize('name', ['rtmdet_smt_s_300e', 'rtmdet_ins_smt_s_300e'])
def test_rtmdet(name: str) -> None:
    recipe, cfg = read('det', name, epoch_length=50)
    assert (recipe['base batch'], recipe['length'], recipe['clip']) == (256, 300, None)
    curve = recipe['rate']
    assert (curve.first, curve.peak) == (pytest.approx(2e-8), pytest.approx(2e-3))
    assert curve.warmup == pytest.approx(1000, abs=1)
    assert curve.last == pytest.approx(1e-4, rel=0.02) and not curve.drops
    assert set(recipe['decays']) == {0.05, 0.0}
    check_pixels(cfg)
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
        check_pixels(detector)


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
