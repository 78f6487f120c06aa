"""Data loaders whose errors name the bad sample."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmsmt.datasets.guarded_pipeline import CHOICES, GuardedPipeline
from mmsmt.datasets.wrappers import inner_datasets
from mmsmt.engine.hooks.skipped_samples import JOURNAL, SkippedSamplesHook
from mmsmt.engine.patches import wrap_dataloaders
from mmsmt.errors import BadSampleError, ConfigError
from mmsmt.hosts.config import ignored_label

ADVICE = 'fix or remove it (mmsmt check data lists all)'
# Exceptions of data sets for malformed files.
READ_ERRORS = (ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, OSError)

Explain = Callable[[Config, Any], str | None]


def guard_data(runner: Runner, on_bad: str = 'stop', explain: Explain | None = None) -> None:
    """Make every pipeline of a runner name the samples that it fails on.

    Args:
        runner: A runner whose data loaders are not built yet.
        on_bad: What a training does with bad samples: `stop` or `skip`. Evaluation always stops.
        explain: From the config and a loader that cannot be built, what is wrong with its files.

    Raises:
        ConfigError: If `on_bad` is neither.
    """
    if on_bad not in CHOICES:
        raise ConfigError(f'on_bad must be one of {", ".join(CHOICES)}, got {on_bad!r}')
    training = runner._train_dataloader
    journal = Path(runner.work_dir) / JOURNAL
    if on_bad == 'skip':
        runner.register_hook(SkippedSamplesHook(journal))

    def build_guarded(dataloader: Any, build: Callable[[], DataLoader]) -> DataLoader:
        try:
            built = build()
        except READ_ERRORS as error:
            reason = explain(runner.cfg, dataloader) if explain else None
            raise BadSampleError(reason or f'{type(error).__name__}: {error}') from error
        for dataset in inner_datasets(built.dataset):
            if wrong := _unknown_classes(dataset):
                reason = explain(runner.cfg, dataloader) if explain else None
                raise ConfigError(reason or wrong)
        trains = dataloader is training
        choice = dict(on_bad=on_bad, journal=journal) if trains and on_bad == 'skip' else {}
        advice = f'{ADVICE}, or train with --on-bad skip' if trains else ADVICE
        for dataset in inner_datasets(built.dataset):
            _guard(dataset, runner.cfg, advice=advice, **choice)
        return built

    wrap_dataloaders(runner, build_guarded)


def _unknown_classes(dataset: Any) -> str:
    """Return what is wrong if mmdet found a wrong number of a data set's classes in a COCO file.

    Labels are indices into the list of found classes. One missing name shifts the class of all
    objects after it, or ends an evaluation with an IndexError.
    """
    found, classes = getattr(dataset, 'cat_ids', None), dataset.metainfo.get('classes')
    if found is None or not classes or len(found) == len(classes):
        return ''
    names = f'{len(found)} categories for the {len(classes)} classes of `metainfo`'
    return f'{dataset.ann_file}: has {names}; name them exactly as the file does'


def _guard(dataset: Any, cfg: Config, **options: Any) -> None:
    pipeline = getattr(dataset, 'pipeline', None)
    transforms = getattr(pipeline, 'transforms', None)
    if transforms is None or any(isinstance(t, GuardedPipeline) for t in [pipeline, *transforms]):
        return
    if hasattr(dataset, 'reduce_zero_label'):  # mmseg
        number = len(dataset.metainfo.get('classes') or ()) or None
        options['ignored'] = ignored_label(cfg.model)
    else:
        # Labels of mmdet are indices into the classes; those of mmpretrain come from files.
        head = cfg.model.get('head')
        number = head.get('num_classes') if isinstance(head, dict) else None
    dataset.pipeline = GuardedPipeline(transforms, num_classes=number, **options)
