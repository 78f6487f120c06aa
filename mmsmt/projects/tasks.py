"""What differs between configs of the three tasks: sizes, pipelines, data sets, metrics."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mmsmt.datasets.formats import Found, Split
from mmsmt.projects.source import Code, render

LONGEST, SHORTEST = 1333, 800  # pixels, for detectors
LARGEST_CROP = 512
# Not in a base: for bases named `mmsmt::` mmengine may look it up before mmcv is imported.
LOAD = "load = dict(type='LoadImageFromFile')"
Write = Callable[..., str]


class Task(NamedTuple):
    """Defaults for the configs of a task.

    Args:
        epochs: Length of the training.
        batch_size: Maximum batch size.
        rates: Learning rates: from scratch, from pre-trained weights.
        sizes: Variables for the size of the images, from the typical width and height.
        data: Pipelines, loaders and evaluators.
        hooks: Changes to the host's default hooks.
        crops: Whether all images of a batch have the same size.
    """

    epochs: int
    batch_size: int
    rates: tuple[float, float]
    sizes: Callable[[tuple[int, int]], list[str]]
    data: Callable[[Found, Write], list[str]]
    hooks: dict[str, Any]
    crops: bool = False


def _loaders(
    found: Found, write: Write, dataset: Callable[[str, Split], dict], batch: object = 1
) -> list[str]:
    """Return the loaders of all splits; without a test split, testing uses that of validation.

    Evaluation has batches of `batch` images, one if their sizes differ.
    """
    sampler = dict(type='DefaultSampler', shuffle=False)
    lines = [
        'workers = dict(num_workers=2, persistent_workers=True)',
        f'evaluation = dict(**workers, batch_size={batch}, sampler={render(sampler)})',
    ]
    for split, part in found.splits.items():
        fields: dict[str, Any] = {'**': Code('evaluation')}
        if split == 'train':
            sampler = dict(type='DefaultSampler', shuffle=True)
            fields = {'**': Code('workers'), 'batch_size': Code('batch_size'), 'sampler': sampler}
        lines.append(write(f'{split}_dataloader', **fields, dataset=dataset(split, part)))
    if 'test' not in found.splits:
        lines.append('test_dataloader = val_dataloader')
    return lines


def _evaluators(found: Found, write: Write, metric: Callable[[Split], dict]) -> list[str]:
    lines = [write('val_evaluator', **metric(found.splits['val']))]
    if 'test' in found.splits and metric(found.splits['test']) != metric(found.splits['val']):
        return [*lines, write('test_evaluator', **metric(found.splits['test']))]
    return [*lines, 'test_evaluator = val_evaluator']


def _classifier_sizes(size: tuple[int, int]) -> list[str]:
    side = min(max(min(size) // 32 * 32, 64), 224)
    return [f'image_size = {side}']


def _classifier_data(found: Found, write: Write) -> list[str]:
    def dataset(split: str, part: Split) -> dict[str, Any]:
        names = {'ann_file': part.names} if part.names else {}
        pipeline = Code('train_pipeline' if split == 'train' else 'test_pipeline')
        fields = dict(data_prefix=part.images, **names, pipeline=pipeline)
        return {'**': Code('data'), **fields}

    return [
        LOAD,
        "cut = dict(type='RandomResizedCrop', scale=image_size, crop_ratio_range=(0.3, 1.0))",
        "resize = dict(type='ResizeEdge', scale=image_size * 8 // 7)",
        "center = dict(type='CenterCrop', crop_size=image_size)",
        'train_pipeline = [load, cut, *_base_.augment]',
        'test_pipeline = [load, resize, center, _base_.pack]',
        "data = dict(type='CustomDataset', data_root=data_root, metainfo=dict(classes=classes))",
        *_loaders(found, write, dataset, Code('batch_size')),
        *_evaluators(found, write, lambda _: dict(type='Accuracy', topk=(1,))),
    ]


def _detector_sizes(size: tuple[int, int]) -> list[str]:
    longer, shorter = max(size), min(size)
    scale = min(1, LONGEST / longer, SHORTEST / shorter)
    width, height = (round(side * scale) for side in size)
    return [f'image_size = ({width}, {height})  # pixels; images are scaled to fit']


def _detector_data(found: Found, write: Write) -> list[str]:
    masks = found.masks

    def dataset(split: str, part: Split) -> dict[str, Any]:
        trains = split == 'train'
        choice = dict(filter_cfg=dict(filter_empty_gt=True)) if trains else dict(test_mode=True)
        return {
            '**': Code('data'),
            'ann_file': part.annotations,
            'data_prefix': dict(img=part.images),
            **choice,
            'pipeline': Code('train_pipeline' if trains else 'test_pipeline'),
        }

    def metric(part: Split) -> dict[str, Any]:
        what = ['bbox', 'segm'] if masks else 'bbox'
        return dict(
            type='CocoMetric', ann_file=Code(f'data_root + {part.annotations!r}'), metric=what
        )

    boxes = '_base_.load_masks' if masks else '_base_.load_boxes'
    return [
        LOAD,
        "resize = dict(type='Resize', scale=image_size, keep_ratio=True)",
        f'train_pipeline = [load, {boxes}, resize, *_base_.augment]',
        f'test_pipeline = [load, resize, {boxes}, _base_.pack_for_test]',
        "data = dict(type='CocoDataset', data_root=data_root, metainfo=dict(classes=classes))",
        *_loaders(found, write, dataset),
        *_evaluators(found, write, metric),
    ]


def _segmenter_sizes(size: tuple[int, int]) -> list[str]:
    crop = [max(min(side, LARGEST_CROP) // 32 * 32, 32) for side in size[::-1]]
    return [
        f'image_size = {size}  # pixels; training scales images by 0.5 to 2',
        f'crop_size = {tuple(crop)}  # height and width of the crop',
    ]


def _segmenter_data(found: Found, write: Write) -> list[str]:
    suffixes = dict(zip(('img_suffix', 'seg_map_suffix'), found.suffixes))
    meta: dict[str, Any] = dict(classes=Code('classes'))
    if found.palette:
        meta['palette'] = [list(colour) for colour in found.palette]
    data: dict[str, Any] = dict(
        type='BaseSegDataset', data_root=Code('data_root'), metainfo=meta, **suffixes
    )
    if found.reduce_zero_label:
        data['reduce_zero_label'] = True

    def dataset(split: str, part: Split) -> dict[str, Any]:
        names = {'ann_file': part.names} if part.names else {}
        prefix = dict(img_path=part.images, seg_map_path=part.annotations)
        pipeline = Code('train_pipeline' if split == 'train' else 'test_pipeline')
        return {'**': Code('data'), **names, 'data_prefix': prefix, 'pipeline': pipeline}

    def loader(name: str, **fields: Any) -> str:
        # A batch norm after global pooling needs more than one image.
        return write(name, **fields, **({'drop_last': True} if name.startswith('train') else {}))

    return [
        LOAD,
        "enlarge = dict(type='RandomResize', scale=image_size, ratio_range=(0.5, 2.0), "
        'keep_ratio=True)',
        "crop = dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75)",
        "resize = dict(type='Resize', scale=image_size, keep_ratio=True)",
        'train_pipeline = [load, _base_.load_labels, enlarge, crop, *_base_.augment]',
        'test_pipeline = [load, resize, _base_.load_labels, _base_.pack]',
        f'data = {render(data)}',
        *_loaders(found, loader, dataset),
        *_evaluators(found, write, lambda _: dict(type='IoUMetric', iou_metrics=['mIoU'])),
    ]


_LOG, _KEEP = dict(interval=25), dict(interval=1, max_keep_ckpts=2)
HOOKS = dict(logger=_LOG, checkpoint=_KEEP)
# The hooks of mmseg and of Mask2Former count iterations.
_BY_EPOCH = dict(_KEEP, by_epoch=True)
DETECTOR_HOOKS = dict(logger=_LOG, checkpoint=_BY_EPOCH)
SEGMENTER_HOOKS = dict(logger=dict(_LOG, log_metric_by_epoch=True), checkpoint=_BY_EPOCH)
TASKS = {
    'cls': Task(30, 32, (1e-3, 2e-4), _classifier_sizes, _classifier_data, HOOKS),
    'det': Task(24, 4, (5e-4, 2e-4), _detector_sizes, _detector_data, DETECTOR_HOOKS),
    'seg': Task(
        50, 4, (1e-3, 2e-4), _segmenter_sizes, _segmenter_data, SEGMENTER_HOOKS, crops=True
    ),
}
