"""Check for late failures of segmenters: labels of padding, and a last batch of one image."""

from collections.abc import Iterator
from typing import Any

from mmsmt.checks.config.findings import Finding, entries
from mmsmt.hosts.config import IGNORED, ignored_label


def check_segmentation(config: Any) -> Iterator[Finding]:
    """Check what is specific to models of mmseg.

    Args:
        config: A config.

    Yields:
        The findings. A last batch of one image is a note, because the size of the data is unknown.
    """
    if config.get('default_scope') != 'mmseg':
        return
    kind = str((config.model.get('backbone') or {}).get('type'))
    if config.model.get('pretrained') and kind.startswith('mmsmt.'):
        right = f'set it to None: {kind} loads weights with `init_cfg`'
        yield Finding('model.pretrained', f'is {config.model.pretrained!r}', right)
    if not str(config.model.get('type')).endswith('DepthEstimator'):  # without labels
        yield from _check_padding(config)
        yield from _check_evaluators(config)
    yield from _check_zero_label(config)
    loader = config.get('train_dataloader') or {}
    infinite = 'Infinite' in str((loader.get('sampler') or {}).get('type'))
    if loader and not infinite and not loader.get('drop_last') and loader.get('batch_size', 0) > 1:
        right = 'set drop_last=True: a last batch of one image makes training with batch norms fail'
        yield Finding('train_dataloader.drop_last', 'is not set', right, note=True)


def _check_zero_label(config: Any) -> Iterator[Finding]:
    """Check that a data set and the loading of its labels agree on the label 0."""
    for split in ('train', 'val', 'test'):
        dataset = (config.get(f'{split}_dataloader') or {}).get('dataset') or {}
        key = f'{split}_dataloader.dataset'
        while isinstance(dataset.get('dataset'), dict):
            key, dataset = f'{key}.dataset', dataset['dataset']
        wanted = dataset.get('reduce_zero_label')
        pipelines = {f'{key}.pipeline': dataset.get('pipeline') or []}
        if split == 'test' and wanted is not None:
            pipelines['tta_pipeline'] = config.get('tta_pipeline') or []
        for where, pipeline in pipelines.items():
            for name, given in entries(pipeline, where):
                said = name.endswith('.reduce_zero_label') and None not in (given, wanted)
                if said and given != wanted:
                    yield Finding(name, f'is {given}', f'must be {wanted}, as in {key}')


def _check_padding(config: Any) -> Iterator[Finding]:
    """Check that padded pixels are unlabelled."""
    inside = config.model.get('data_preprocessor')
    key = 'model.data_preprocessor' if inside else 'data_preprocessor'
    pixels = inside or config.get('data_preprocessor') or {}
    padding = pixels.get('seg_pad_val', IGNORED)
    for name in ('decode_head', 'auxiliary_head'):
        heads = config.model.get(name) or []
        for head in heads if isinstance(heads, list | tuple) else [heads]:
            ignored = head.get('ignore_index', IGNORED)
            if ignored != padding:
                right = f'must be {ignored}, the ignore_index of model.{name}'
                yield Finding(f'{key}.seg_pad_val', f'is {padding}', right)


def _check_evaluators(config: Any) -> Iterator[Finding]:
    """Check that pixels ignored in training are ignored in evaluation."""
    ignored = ignored_label(config.model)
    for name in ('val_evaluator', 'test_evaluator'):
        given = config.get(name) or []
        several = isinstance(given, list | tuple)
        for i, evaluator in enumerate(given if several else [given]):
            says = evaluator.get('ignore_index', IGNORED)
            if str(evaluator.get('type')).endswith('IoUMetric') and says != ignored:
                key = f'{name}[{i}].ignore_index' if several else f'{name}.ignore_index'
                right = f'must be {ignored}, the ignore_index of model.decode_head'
                yield Finding(key, f'is {says}', right)
