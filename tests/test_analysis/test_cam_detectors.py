"""Grad-CAM of the boxes of every family of detectors: scores are the host's own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.registry import init_default_scope
from small_detectors import CONFIGS, write_detector
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.analysis.cam.layers import Layer, find_layer
from mmsmt.analysis.cam.maps import enlarge, layer_cam
from mmsmt.analysis.cam.targets import Seen, find_targets
from mmsmt.errors import ConfigError
from mmsmt.hosts.model import load_model
from mmsmt.hosts.request import Request


def grad_cam(model: nn.Module, layer: Layer, score: Callable, image: Tensor) -> Tensor:
    return enlarge(layer_cam(model, layer, score, image), tuple(image.shape[2:]))


@pytest.fixture(scope='module')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Seen]]:
    """A detector that finds something, and an image of one size with a padded one."""
    folder = tmp_path_factory.mktemp('detectors')

    def load(family: str) -> tuple[Any, Seen]:
        from mmdet.structures import DetDataSample

        init_default_scope('mmdet')
        model: Any = load_model(Request(family, *write_detector(folder, family))).model
        pixels = torch.rand(3, 12, 15, generator=torch.Generator().manual_seed(1))
        pixels = F.interpolate(pixels[None], (90, 120))[0].mul(255).byte()
        info = dict(img_shape=(90, 120), ori_shape=(90, 120), scale_factor=(1.0, 1.0))
        sample = DetDataSample(metainfo=info)
        data = model.data_preprocessor({'inputs': [pixels], 'data_samples': [sample]})
        return model, Seen(data['inputs'], data['data_samples'])

    return load


@pytest.mark.slow
@pytest.mark.parametrize('family', CONFIGS)
def test_detectors_of_every_family(detector: Callable, family: str) -> None:
    """Scores of targets are the host's own, and their maps differ from box to box."""
    model, seen = detector(family)
    assert seen.image.shape == (1, 3, 96, 128)
    targets = find_targets(model, seen, 'abc')
    found = model.predict(seen.image, seen.samples, rescale=False)[0].pred_instances
    scores, order = found.scores.sort(descending=True, stable=True)
    assert len(targets) == 3
    maps = []
    for rank, target in enumerate(targets):
        score = target.score(seen.image)
        assert score.shape == (1,) and score.requires_grad
        torch.testing.assert_close(score[0], scores[rank])
        label = 'abc'[found.labels[order[rank]]]
        assert target.label == f'box {rank + 1}: {label}, score {scores[rank]:.2f}'
        torch.testing.assert_close(torch.tensor(target.box), found.bboxes[order[rank]].detach())
        maps.append(grad_cam(model, find_layer(model), target.score, seen.image))
        assert maps[-1].shape == (96, 128) and maps[-1].isfinite().all()
    assert any(map_.max() > 0 for map_ in maps)
    assert not torch.allclose(maps[0] / maps[0].sum(), maps[1] / maps[1].sum(), atol=1e-5)
    assert all(value.grad is None for value in model.parameters())
    index = int(found.labels[order[1]])
    same = find_targets(model, seen, 'abc', index)
    assert {target.label[7] for target in same} == {'abc'[index]}
    best = scores[found.labels[order] == index]
    assert [f'{float(score):.2f}' for score in best[:3]] == [t.label[-4:] for t in same]
    with pytest.raises(ConfigError, match='no box of d was found'):
        find_targets(model, seen, 'abcd', 3)
    (second,) = find_targets(model, seen, 'abc', box=2)
    assert second.label == targets[1].label
    with pytest.raises(ConfigError, match=rf'--box 999: the boxes are 1 to {len(scores)}'):
        find_targets(model, seen, 'abc', box=999)
    with pytest.raises(ConfigError, match='--box 0: the boxes are 1 to'):
        find_targets(model, seen, 'abc', box=0)


@pytest.mark.slow
def test_a_box_is_explained_by_its_own_logit(detector: Callable) -> None:
    """RetinaNet: the same map, but for a factor, as that of the logit found in the raw outputs."""
    model, seen = detector('retinanet')
    (target,) = find_targets(model, seen, 'abc', box=1)
    wanted = target.score(seen.image).logit()

    def logit(x: Tensor) -> Tensor:
        logits, _ = model(x, seen.samples, mode='tensor')
        every = torch.cat([level.flatten() for level in logits])
        return every[(every - wanted).abs().argmin()][None]

    layer = find_layer(model, 3)
    cam = grad_cam(model, layer, target.score, seen.image)
    direct = grad_cam(model, layer, logit, seen.image)
    assert direct.max() > 0
    torch.testing.assert_close(cam / cam.max(), direct / direct.max(), rtol=1e-3, atol=1e-4)
