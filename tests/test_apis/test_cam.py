"""Grad-CAM pictures of the three hosts, against the hosts' own scores; bad input."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmsmt.apis.cam import Explainer, draw_cams
from mmsmt.apis.sources import Item
from mmsmt.errors import BadSampleError, UsageError, UserError
from mmsmt.hosts.request import Request

OWN = {
    'detector': """
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
model = dict(test_cfg=dict(score_thr=0.0))  # random weights find nothing else
steps = _base_.test_pipeline
steps[1]['scale'] = (160, 96)
test_dataloader = dict(dataset=dict(pipeline=steps))
""",
    'classifier': """
_base_ = 'mmpretrain::deit/deit-tiny_4xb256_in1k.py'
model = dict(head=dict(init_cfg=dict(type='Normal', layer='Linear', std=0.02)))  # not all 0
""",
}


def test_boxes_by_default_in_high_resolution(network: Callable, images: Path) -> None:
    net = network('mask_rcnn')
    cams = {}
    for method in (None, 'gradcam', 'hirescam'):
        explain = Explainer(net.config, net.checkpoint, stage=2, method=method, device='cpu')
        cams[method] = explain(read(explain, images / 'd.png'), box=1)[0]
    assert torch.equal(cams[None].cam, cams['hirescam'].cam)
    assert not torch.equal(cams[None].cam, cams['gradcam'].cam)
    assert cams[None].grid == (16, 32) and cams[None].cam.shape == (128, 256)


def read(explain: Explainer, file: Path):
    return explain.predictor.read(Item('x', 'x', str(file)))


@pytest.mark.parametrize('task', ['cls', 'mask_rcnn', 'upernet'])
def test_pictures_of_every_host(network: Callable, images: Path, tmp_path: Path, task: str) -> None:
    net = network(task)
    request, out = Request('net', net.config, net.checkpoint), tmp_path / 'out'
    drawn = draw_cams(request, [images / 'd.png', images / 'b/c.png'], out, stage=2, device='cpu')
    assert [d.path for d in drawn] == [out / 'd_cam.png', out / 'c_cam.png']
    assert sorted(f.name for f in out.iterdir()) == ['c_cam.png', 'd_cam.png']
    for picture in drawn:
        assert 1 <= len(picture.found) <= 3
        for found in picture.found:
            assert found.cam.ndim == 2 and (found.cam >= 0).all()
        with Image.open(picture.path) as image:
            pixels = np.asarray(image.convert('HSV'))
        assert (pixels[..., 1] > 100).mean() > 0.05  # colours of the map
    first = drawn[0].found[0]
    assert (first.inside is None) == (task == 'cls')
    if task == 'upernet':  # seen at 64 x 128, all of it in classes
        shares = [found.area for found in drawn[0].found]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1 + 1e-6


def test_a_classifier_explains_the_class_that_is_asked_for(network: Callable, images: Path) -> None:
    net = network('cls')
    explain = Explainer(net.config, net.checkpoint, stage=3, device='cpu')
    sample = read(explain, images / 'a.png')
    host = explain.predictor([sample])[0].pred_score
    (best,) = explain(sample)
    assert best.label == f'{net.classes[host.argmax()]}, score {host.max():.2f}'
    (other,) = explain(sample, 'digit 3')
    assert other.label == f'digit 3, score {host[3]:.2f}'
    logits = explain.model(torch.zeros(1, 3, 64, 64), mode='tensor')
    assert other.target.score(torch.zeros(1, 3, 64, 64)).item() == logits[0, 3].item()
    if host.argmax() != 3:
        assert not torch.equal(best.cam, other.cam)


def test_a_segmenter_explains_the_pixels_of_a_class(network: Callable, images: Path) -> None:
    net = network('upernet')
    explain = Explainer(net.config, net.checkpoint, device='cpu')
    sample = read(explain, images / 'd.png')
    labels = explain.predictor([sample])[0].pred_sem_seg.data[0]
    found = explain(sample)
    for each in found:
        index = net.classes.index(each.label.split(',')[0])
        assert torch.equal(each.target.region, labels == index)
        assert each.area == pytest.approx((labels == index).float().mean().item())
    absent = next(i for i in range(11) if not (labels == i).any())
    (nowhere,) = explain(sample, net.classes[absent])
    assert nowhere.label == f'{net.classes[absent]}, predicted nowhere, all pixels'
    assert nowhere.inside is None and nowhere.cam.shape == labels.shape


@pytest.mark.slow
@pytest.mark.parametrize('kind', OWN)
def test_configs_of_hosts_with_random_weights(kind: str, images: Path, tmp_path: Path) -> None:
    (tmp_path / f'{kind}.py').write_text(OWN[kind])
    request = Request('own', str(tmp_path / f'{kind}.py'))
    layer = 'backbone.layers.11.ln1' if kind == 'classifier' else None
    (drawn,) = draw_cams(request, [images / 'd.png'], tmp_path, layer=layer)
    assert len(drawn.found) == (3 if kind == 'detector' else 1) and drawn.path.is_file()
    assert all(found.cam.isfinite().all() for found in drawn.found)
    assert any(found.cam.max() > 0 for found in drawn.found)
    again = draw_cams(request, [images / 'd.png'], tmp_path, layer=layer)[0]
    assert torch.equal(again.found[0].cam, drawn.found[0].cam)  # equal weights each time


@pytest.mark.parametrize(
    ('task', 'options', 'message'),
    [
        ('cls', dict(class_name='digit  3'), "--class: .* no class 'digit  3'; did you mean digit"),
        ('cls', dict(box=1), '--box needs a detector; this is a classifier'),
        ('upernet', dict(box=1), '--box needs a detector; this is a segmenter'),
        ('mask_rcnn', dict(box=1000), r'a\.png: --box 1000: the boxes are 1 to \d+, best first'),
        ('mask_rcnn', dict(box=0), '--box 0: the boxes are 1 to'),
        ('cls', dict(stage=7), '--stage 7: unknown stage of SMT; it has 4'),
        ('cls', dict(layer='head.fcc'), "--layer: .* no module 'head.fcc'; did you mean head.fc?"),
        ('cls', dict(layer='head.fc', stage=1), '--stage and --layer cannot be combined'),
        ('cls', dict(layer='head.fc'), r'head.fc returns no map \(B, C, H, W\), but \(1, 10\)'),
    ],
    ids=str,
)
def test_choices_that_do_not_fit(
    network: Callable, images: Path, tmp_path: Path, task: str, options: dict, message: str
) -> None:
    net = network(task)
    request, out = Request('net', net.config, net.checkpoint), tmp_path / 'out'
    with pytest.raises(UserError, match=message):
        draw_cams(request, [images / 'a.png'], out, **options)
    assert not out.exists()


def test_files_that_cannot_be_used(network: Callable, images: Path, tmp_path: Path) -> None:
    net = network('cls')
    request = Request('net', net.config, net.checkpoint)
    with pytest.raises(BadSampleError, match='none.png: no such file'):
        draw_cams(request, [images / 'none.png'], tmp_path)
    shutil.copy(net.config, images / 'text.png')
    with pytest.raises(BadSampleError, match='text.png'):
        draw_cams(request, [images / 'text.png'], tmp_path)
    with pytest.raises(UsageError, match='two images are called a'):
        draw_cams(request, [images / 'a.png', images / 'b/a.png'], tmp_path)
    with pytest.raises(UsageError, match='x.onnx: an exported file has no gradients'):
        draw_cams(request._replace(file='x.onnx'), [images / 'a.png'], tmp_path)
