"""Model cards, read as the Hugging Face Hub reads them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from mmengine.config import Config

from mmsmt.apis.hub import save_pretrained
from mmsmt.apis.hub.card import Facts, write_card
from mmsmt.apis.names import get_config
from mmsmt.hosts.meta_device import build_on_meta


@pytest.mark.parametrize(
    ('task', 'pipeline', 'tag', 'metric', 'kind'),
    [
        ('cls', 'image-classification', 'classifier', 'accuracy/top1', 'accuracy'),
        ('mask_rcnn', 'object-detection', 'instance-segmenter', 'coco/segm_mAP', 'mAP'),
        ('upernet', 'image-segmentation', 'segmenter', 'mIoU', 'mean_iou'),
    ],
)
def test_the_front_matter(
    network: Callable, tmp_path: Path, task: str, pipeline: str, tag: str, metric: str, kind: str
) -> None:
    net = network(task)
    options = dict(metrics={metric: 0.5, 'time': 3}, license='mit', name='mine')
    folder = save_pretrained(tmp_path / 'out', net.config, net.checkpoint, **options)
    card = ModelCard.load(folder / 'README.md')
    assert card.data.library_name == 'mmsmt' and card.data.license == 'mit'
    assert card.data.pipeline_tag == pipeline
    assert {'mmsmt', 'smt', tag} <= set(card.data.tags)
    (result,) = card.data.eval_results
    assert (result.task_type, result.metric_type) == (pipeline, kind)
    assert (result.metric_name, result.metric_value) == (metric, 0.5)
    assert card.data.model_name == 'mine' and '# mine\n' in card.text
    assert f'| {metric} | 0.5 |' in card.text


def test_facts_are_those_of_the_metafile() -> None:
    cfg = get_config('mask_rcnn_smt_s_3x')
    facts = Facts('mine', build_on_meta(cfg), cfg, ['person', 'a_b'], {'coco/bbox_mAP': 0.49}, '')
    card = ModelCard(write_card(facts))
    assert card.data.datasets == ['coco'] and card.data.license is None
    assert card.data.eval_results[0].dataset_name == 'COCO'
    assert (
        '[Scale-Aware Modulation Meet Transformer](https://arxiv.org/abs/2307.08579)' in card.text
    )
    assert 'https://github.com/AFeng-x/SMT/releases/tag/v1.0.0 (licence: MIT)' in card.text
    assert '| Epochs | 36 |' in card.text and '| Parameters | 42,188,976 |' in card.text
    assert 'Licence of the weights: not stated.' in card.text
    assert 'person, a\\_b\n' in card.text


def test_other_configs_and_no_results(network: Callable, tmp_path: Path) -> None:
    net = network('cls')
    shutil.copy(save_pretrained(tmp_path / 'a', net.config, net.checkpoint) / 'config.py', tmp_path)
    cfg = Config.fromfile(tmp_path / 'config.py')
    facts = Facts('x', build_on_meta(cfg), cfg, [f'class {i}' for i in range(1000)], {}, '')
    card = ModelCard(write_card(facts))
    assert card.data.eval_results is None and card.data.datasets is None
    assert '## Results' not in card.text and '## Recipe' not in card.text
    assert '1000: class 0, ' in card.text and card.text.endswith('class 99, ...\n')
