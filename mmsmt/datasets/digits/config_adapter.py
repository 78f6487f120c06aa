"""Turn a config for COCO, ADE20K or ImageNet into one for the digits, its pipelines kept."""

from typing import Any

from mmengine.config import Config, ConfigDict

DIGITS = tuple('0123456789')
# Keys under which the hosts' transforms and preprocessors keep sizes in pixels.
SIZE_KEYS = ('scale', 'scales', 'crop_size', 'size')
# Numbers of proposals and samples, on which the time of two-stage heads depends.
COUNT_KEYS = ('num', 'nms_pre', 'max_per_img')


def put_on_digits(cfg: Config, data_root: str = 'data/digits', divisor: int = 1) -> Config:
    """Let a config of mmpretrain, mmdet or mmseg read the digits, in place.

    Data sets and numbers of classes change; pipelines stay, on smaller images if asked.
    Pre-trained weights are not asked for, batches hold two images.

    Args:
        cfg: Config of a run.
        data_root: Folder that `prepare_digits` wrote.
        divisor: By which image sizes and numbers of proposals shrink.

    Returns:
        The config.

    Raises:
        ValueError: If the config is of another host.
    """
    makers = {'mmpretrain': _tiles, 'mmdet': _instances, 'mmseg': _semantics}
    scope = cfg.get('default_scope')
    if scope not in makers:
        raise ValueError(f'default_scope must be one of {sorted(makers)}, got {scope!r}')
    classes = 11 if scope == 'mmseg' else 10  # a segmenter has the background beside the digits
    for part in (cfg.model, cfg.get('data_preprocessor', {})):
        _set_classes(part, classes)
    for name, keys in (
        ('data_preprocessor', SIZE_KEYS),
        ('train_cfg', COUNT_KEYS),
        ('test_cfg', COUNT_KEYS),
    ):
        if name in cfg.model:
            cfg.model[name] = _shrink(cfg.model[name], divisor, keys)
    cfg.model.pop('pretrained', None)
    cfg.model.backbone.pop('init_cfg', None)
    for name, split in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        loader = cfg.get(f'{name}_dataloader')
        if loader is None:
            continue
        pipeline = _shrink(loader.dataset.pipeline, divisor)
        loader.dataset = ConfigDict(makers[scope](data_root, split), pipeline=pipeline)
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        evaluator = cfg.get(f'{name}_evaluator')
        if scope == 'mmdet' and evaluator is not None:
            evaluator.ann_file = f'{data_root}/scenes/annotations/instances_val.json'
    return cfg


def _tiles(data_root: str, split: str) -> dict[str, Any]:
    return dict(type='CustomDataset', data_prefix=f'{data_root}/cls/{split}')


def _instances(data_root: str, split: str) -> dict[str, Any]:
    return dict(
        type='CocoDataset',
        data_root=f'{data_root}/scenes/',
        metainfo=dict(classes=DIGITS),
        ann_file=f'annotations/instances_{split}.json',
        data_prefix=dict(img=f'images/{split}/'),
        test_mode=split == 'val',
    )


def _semantics(data_root: str, split: str) -> dict[str, Any]:
    return dict(
        type='BaseSegDataset',
        data_root=f'{data_root}/scenes/',
        metainfo=dict(classes=('background', *DIGITS)),
        reduce_zero_label=True,
        data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}'),
    )


def _shrink(node: Any, divisor: int, keys: tuple[str, ...] = SIZE_KEYS) -> Any:
    """Divide every number under one of the keys; a part may stand in a node more than once."""
    if isinstance(node, dict):
        numbers = {key: _divide(node[key], divisor) for key in keys if key in node}
        return type(node)({k: numbers.get(k, _shrink(v, divisor, keys)) for k, v in node.items()})
    if isinstance(node, list | tuple):
        return type(node)(_shrink(child, divisor, keys) for child in node)
    return node


def _divide(value: Any, divisor: int) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_divide(v, divisor) for v in value)
    return value // divisor if isinstance(value, int) else value


def _set_classes(node: Any, classes: int) -> None:
    if isinstance(node, dict) and 'num_classes' in node:
        node['num_classes'] = classes
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list | tuple):
            _set_classes(child, classes)
