"""Adaptation of configs for COCO, ADE20K or ImageNet to the digits, with their own pipelines."""

from collections.abc import Callable, Iterable
from typing import Any

from mmengine.config import Config, ConfigDict

from mmsmt.datasets.digits.source import CLASSES
from mmsmt.datasets.num_classes import count_classes, set_classes
from mmsmt.datasets.wrappers import entry_with_pipeline

# Keys of the hosts' transforms and preprocessors that hold sizes in pixels.
SIZE_KEYS = ('scale', 'scales', 'img_scale', 'crop_size', 'size')
# Keys for numbers of proposals and samples, which decide the time of heads.
COUNT_KEYS = ('num', 'nms_pre', 'max_per_img', 'num_points')
MANY = 100  # QueryInst has to return as many detections as it has queries
# Replaces mmdet's `LoadPanopticAnnotations`: the digits have masks and label maps instead.
LOAD_PANOPTIC = (
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, with_seg=True),
    dict(type='mmsmt.datasets.digits.annotations.BackgroundAsStuff'),
)


def put_on_digits(cfg: Config, data_root: str = 'data/digits', divisor: int = 1) -> Config:
    """Make a config of mmpretrain, mmdet or mmseg use the digits, in place.

    Data sets and numbers of classes change; pipelines stay, with smaller images if requested.
    Pre-trained weights are removed, and batches hold two images in training.

    Args:
        cfg: Training config.
        data_root: Folder written by `prepare_digits`.
        divisor: Factor by which image sizes and numbers of proposals shrink.

    Returns:
        The config.

    Raises:
        ValueError: If the config is of an unknown host.
    """
    scope = cfg.get('default_scope')
    hosts = sorted(_dataset('', ''))
    if scope not in hosts:
        raise ValueError(f'default_scope must be one of {hosts}, got {scope!r}')
    classes = len(CLASSES) + (scope == 'mmseg')  # a segmenter also has the background
    if count_classes(cfg) is not None:
        set_classes(cfg, classes, stuff=1)
    for name, split in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        loader = cfg.get(f'{name}_dataloader')
        if loader is None:
            continue
        dataset = _dataset(data_root, split)[scope]
        loader.dataset = _on_digits(entry_with_pipeline(loader), dataset)
        if scope == 'mmdet' and f'{name}_evaluator' in cfg:
            cfg[f'{name}_evaluator'] = _on_instances(cfg[f'{name}_evaluator'], data_root)
    return make_small(cfg, divisor)


def make_small(cfg: Config, divisor: int = 1) -> Config:
    """Remove pre-trained weights, set small batches, and shrink images, in place.

    Args:
        cfg: Training config.
        divisor: Factor by which image sizes and numbers of proposals shrink.

    Returns:
        The config.
    """

    def shrink(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(map(shrink, value))
        return value // divisor if isinstance(value, int) else value

    def shrink_many(value: Any) -> Any:
        return shrink(value) if isinstance(value, int) and value > MANY else value

    cfg.model.pop('pretrained', None)
    cfg.model.get('backbone', {}).pop('init_cfg', None)
    for name in {'data_preprocessor', 'train_cfg', 'test_cfg'} & set(cfg.model):
        sizes = name == 'data_preprocessor'
        keys, change = (SIZE_KEYS, shrink) if sizes else (COUNT_KEYS, shrink_many)
        cfg.model[name] = _change(cfg.model[name], keys, change)
    for name in ('train', 'val', 'test'):
        if loader := cfg.get(f'{name}_dataloader'):
            loader.dataset = _change(loader.dataset, SIZE_KEYS, shrink)
            batch_size = 2 if name == 'train' else 1
            loader.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
    return cfg


def _on_digits(entry: Any, dataset: dict[str, Any]) -> ConfigDict:
    """A data set with the pipelines of another one, which may mix images of a data set in it."""
    pipeline = _from_digits(entry.pipeline)
    if isinstance(entry.get('dataset'), dict):
        inner = _on_digits(entry_with_pipeline(entry.dataset), dataset)
        return ConfigDict(entry, dataset=inner, pipeline=pipeline)
    return ConfigDict(dataset, pipeline=pipeline)


def _from_digits(pipeline: Any) -> list[Any]:
    """A pipeline that reads masks as what the digits have: run lengths, and label maps of stuff."""
    steps: list[Any] = []
    for step in pipeline:
        if str(step.get('type')).endswith('LoadPanopticAnnotations'):
            steps += map(ConfigDict, LOAD_PANOPTIC)
        else:  # without `poly2mask` mmdet ignores every object that is no polygon
            steps.append(ConfigDict(step, poly2mask=True) if 'poly2mask' in step else step)
    return steps


def _on_instances(evaluator: Any, data_root: str) -> Any:
    """A detector's evaluator, on the digits; a metric of panoptic files is left out."""
    if isinstance(evaluator, list | tuple):
        kept = [metric for metric in evaluator if 'Panoptic' not in str(metric.get('type'))]
        return [_on_instances(metric, data_root) for metric in kept]
    if evaluator is not None:
        evaluator.ann_file = f'{data_root}/scenes/annotations/instances_val.json'
    return evaluator


def _dataset(data_root: str, split: str) -> dict[str, dict[str, Any]]:
    """Return the data set of a split, by host."""
    return dict(
        mmpretrain=dict(type='CustomDataset', data_prefix=f'{data_root}/cls/{split}'),
        mmdet=dict(
            type='CocoDataset',
            data_root=f'{data_root}/scenes/',
            metainfo=dict(classes=CLASSES),
            ann_file=f'annotations/instances_{split}.json',
            data_prefix=dict(img=f'images/{split}/', seg=f'labels/{split}/'),
            test_mode=split == 'val',
        ),
        mmseg=dict(
            type='BaseSegDataset',
            data_root=f'{data_root}/scenes/',
            metainfo=dict(classes=('background', *CLASSES)),
            reduce_zero_label=True,
            data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}'),
        ),
    )


def _change(node: Any, keys: Iterable[str], change: Callable[[Any], Any]) -> Any:
    """Copy a part of a config with the values of some keys changed, at any depth."""
    if isinstance(node, dict):
        return type(node)(
            {k: change(v) if k in keys else _change(v, keys, change) for k, v in node.items()}
        )
    if isinstance(node, list | tuple):
        return type(node)(_change(child, keys, change) for child in node)
    return node
