"""Prediction with test-time augmentation: the mean of a model's predictions for the views."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import MODELS, init_default_scope

from mmsmt.apis.models import FoundModel
from mmsmt.apis.predict import predict
from mmsmt.apis.predictor import Predictor
from mmsmt.errors import UsageError


def test_scores_are_the_mean_of_the_views(network: Callable, images: Path, tmp_path: Path) -> None:
    from mmpretrain.apis import ImageClassificationInferencer

    net, out = network('cls'), tmp_path / 'out'
    predict(net.config, net.checkpoint, str(images), out, batch_size=4, tta=True, device='cpu')
    cfg, views = Config.fromfile(net.config), []
    for size in (56, 64, 72):  # of configs/digits/_base_/tiles.py
        steps = [s for s in cfg.test_dataloader.dataset.pipeline if 'Resize' not in s.type]
        steps.insert(1, dict(type='Resize', scale=size))
        one = Config(dict(cfg.to_dict()))
        one.test_dataloader.dataset.pipeline = steps
        views.append(ImageClassificationInferencer(one, pretrained=net.checkpoint, device='cpu'))
    with (out / 'scores.csv').open(newline='') as file:
        _, *rows = csv.reader(file)
    for name, _, _, *scores in rows:
        expected = np.mean([view(str(images / name))[0]['pred_scores'] for view in views], 0)
        np.testing.assert_allclose(np.array(scores, float), expected, rtol=1e-4)


@pytest.mark.parametrize('task', ['mask_rcnn', 'upernet'])
def test_predictions_are_those_of_a_test(
    network: Callable, images: Path, tmp_path: Path, task: str
) -> None:
    """As mmengine's runner makes them of one image."""
    net, out = network(task), tmp_path / 'out'
    predict(
        *(net.config, net.checkpoint, str(images), out),
        batch_size=3,
        tta=True,
        score_thr=0,
        device='cpu',
        pictures=False,
    )
    cfg = Config.fromfile(net.config)
    cfg.model.backbone.pop('init_cfg', None)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(dict(**cfg.tta_model, module=cfg.model)).eval()
    model.module.load_state_dict(torch.load(net.checkpoint)['state_dict'])
    branches = [steps for steps in cfg.tta_pipeline[1].transforms if 'Load' not in steps[0].type]
    pipeline = Compose([cfg.tta_pipeline[0], dict(type='TestTimeAug', transforms=branches)])
    data = pipeline(dict(img_path=str(images / 'd.png'), img_id=0, sample_idx=0))
    with torch.no_grad():
        found = model.test_step({key: [[v] for v in value] for key, value in data.items()})[0]
    if task == 'upernet':
        labels = cv2.imread(str(out / 'labels/d.png'), cv2.IMREAD_UNCHANGED)
        assert (labels == found.pred_sem_seg.data[0].numpy()).mean() > 0.999
    else:
        ours = [d for d in json.loads((out / 'detections.json').read_text()) if d['image_id'] == 3]
        expected = found.pred_instances
        assert len(ours) == len(expected) > 0
        np.testing.assert_allclose([d['score'] for d in ours], expected.scores, atol=1e-4)


def test_refuses(network: Callable, images: Path, tmp_path: Path) -> None:
    net = network('cls')
    cfg = Config.fromfile(net.config)
    session: Any = object()
    exported = FoundModel(net.config, cfg, 'net.onnx', {}, session)
    with pytest.raises(UsageError, match='net.onnx: exported files do not support --tta'):
        Predictor(exported, tta=True)
    cfg.pop('tta_model')
    cfg.dump(tmp_path / 'plain.py')
    with pytest.raises(UsageError, match='--tta needs `tta_model` and `tta_pipeline`'):
        predict(str(tmp_path / 'plain.py'), net.checkpoint, str(images), tmp_path / 'out', tta=True)
