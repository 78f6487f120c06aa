"""`--show-dir`: one folder with a picture for each image, whatever the task."""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import HOOKS, VISUALIZERS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from PIL import Image

from mmsmt.engine.arguments import apply_test_options

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
SIZE = 64


def classified() -> Any:
    return DataSample().set_pred_label(1).set_pred_score(torch.tensor([0.1, 0.9]))


def detected() -> Any:
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [20.0, 20.0, 60.0, 60.0]])
    found = InstanceData(bboxes=boxes, scores=torch.tensor([0.9, 0.2]), labels=torch.tensor([1, 0]))
    return DetDataSample(pred_instances=found)


def segmented() -> Any:
    labels = torch.zeros(1, SIZE, SIZE, dtype=torch.long)
    labels[:, 8:40, 8:40] = 1
    return SegDataSample(pred_sem_seg=PixelData(data=labels))


@pytest.mark.parametrize(
    ('config', 'predict'),
    [
        ('cls/smt_t_in1k.py', classified),
        ('det/retinanet_smt_t_1x.py', detected),
        ('seg/upernet_smt_t_160k_ade20k.py', segmented),
    ],
)
def test_draws_each_image_into_the_folder(config: str, predict: Any, tmp_path: Path) -> None:
    cfg = Config.fromfile(CONFIGS / config)
    folder = tmp_path / 'pictures'
    options = dict(checkpoint='some.pth', tta=False, deploy=False, out=None, precision='float32')
    apply_test_options(cfg, Namespace(**options, show_dir=str(folder)))
    init_default_scope(cfg.default_scope)
    hook = HOOKS.build(cfg.custom_hooks[-1])
    visualizer = VISUALIZERS.build(dict(cfg.visualizer, vis_backends=None, name=config))
    visualizer.dataset_meta = dict(classes=('cat', 'dog'), palette=[(255, 0, 0), (0, 0, 255)])
    samples = []
    for place in ('a', 'b'):  # images of one name
        image = tmp_path / place / 'image.jpg'
        image.parent.mkdir()
        Image.new('RGB', (SIZE, SIZE), 'gray').save(image)
        samples.append(predict())
        samples[-1].set_metainfo(dict(img_path=str(image)))
    hook.after_test_iter(SimpleNamespace(visualizer=visualizer), 0, None, samples)
    assert sorted(f.name for f in folder.rglob('*')) == ['image.png', 'image_2.png']
    picture = np.asarray(Image.open(folder / 'image.png').convert('RGB')).astype(int)
    assert np.ptp(picture) > 100  # something is drawn on a grey image
    if predict is detected:  # the box below the threshold is not
        assert np.ptp(picture[50:, 50:]) < 20
