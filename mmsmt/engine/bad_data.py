"""Bad data met by a run: named, and stopped at or skipped with a count at the end."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsmt.datasets.checking import check_data
from mmsmt.datasets.checking.findings import count, some
from mmsmt.datasets.guarding import CHOICES, BadSampleError, GuardedPipeline, journal_of_rank
from mmsmt.registry import HOOKS

JOURNAL = 'skipped_samples.txt'
ADVICE = 'mend or remove it (tools/check_data.py finds all)'
# What data sets raise over files that are not what they expect.
READ_ERRORS = (ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, OSError)


@HOOKS.register_module()
class SkippedSamplesHook(Hook):
    """Say at the end of a training how many samples were skipped, over all processes.

    Args:
        journal: What `GuardedPipeline` was given.
    """

    def __init__(self, journal: str | Path) -> None:
        self.journal = journal_of_rank(journal)
        # A folder may hold the journal of an earlier training, or of the one that goes on here.
        self.before = len(self._lines())

    def _lines(self) -> list[str]:
        if not self.journal.exists():
            return []
        return self.journal.read_text(errors='replace').splitlines()

    def after_train(self, runner: Any) -> None:
        """Count."""
        skipped = [
            line for lines in all_gather_object(self._lines()[self.before :]) for line in lines
        ]
        if is_main_process():
            runner.logger.warning(_report(skipped, self.journal.parent))


def _report(skipped: list[str], folder: Path) -> str:
    if not skipped:
        return 'no sample was skipped'
    different = Counter(skipped)
    names = [f'{line} ({times} times)' for line, times in different.most_common()]
    told = f'{count(len(skipped), "time")} a bad sample was skipped and replaced, '
    told += f'{count(len(different), "different one")}, listed in {folder}: '
    return told + some(names, 5)


def guard_data(runner: Runner, on_bad: str = 'stop') -> None:
    """Let every pipeline of a runner name the samples that it fails on.

    Args:
        runner: Its data loaders are not built yet.
        on_bad: What a training does then: 'stop' or 'skip'. Evaluation stops.

    Raises:
        ValueError: If `on_bad` is another word.
    """
    if on_bad not in CHOICES:
        raise ValueError(f'on_bad must be one of {", ".join(CHOICES)}, got {on_bad!r}')
    build, training = runner.build_dataloader, runner._train_dataloader
    journal = Path(runner.work_dir) / JOURNAL
    if on_bad == 'skip':
        runner.register_hook(SkippedSamplesHook(journal))

    def build_guarded(dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            built = build(dataloader, *args, **kwargs)
        except READ_ERRORS as error:
            raise BadSampleError(_explain(runner.cfg, dataloader, error)) from error
        trains = dataloader is training
        choice = dict(on_bad=on_bad, journal=journal) if trains and on_bad == 'skip' else {}
        advice = f'{ADVICE}, or train with --on-bad skip' if trains else ADVICE
        for dataset in _leaves(built.dataset):
            _guard(dataset, runner.cfg, advice=advice, **choice)
        return built

    runner.build_dataloader = build_guarded


def _guard(dataset: Any, cfg: Config, **options: Any) -> None:
    pipeline = getattr(dataset, 'pipeline', None)
    transforms = getattr(pipeline, 'transforms', None)
    if transforms is None or any(isinstance(t, GuardedPipeline) for t in [pipeline, *transforms]):
        return
    if hasattr(dataset, 'reduce_zero_label'):  # of mmseg
        number = len(dataset.metainfo.get('classes') or ()) or None
        options['ignored'] = dataset.ignore_index
    else:
        # Labels of mmdet are places in the list of classes; those of mmpretrain come from files.
        head = cfg.model.get('head')
        number = head.get('num_classes') if isinstance(head, dict) else None
    dataset.pipeline = GuardedPipeline(transforms, num_classes=number, **options)


def _leaves(dataset: Any) -> Iterator[Any]:
    """The data sets that read files, inside those that repeat, join or mix others."""
    # `_dataset`: mmengine cuts a data set to `num_batch_per_epoch`.
    single = getattr(dataset, 'dataset', None) or getattr(dataset, '_dataset', None)
    inner = getattr(dataset, 'datasets', None) or ([single] if single else [])
    for child in inner:
        yield from _leaves(child)
    if not inner:
        yield dataset


def _explain(cfg: Config, dataloader: Any, error: Exception) -> str:
    """Say what is wrong with the files of a data loader that cannot be built."""
    split = next((s for s in ('train', 'val', 'test') if _same(cfg, s, dataloader)), 'train')
    content = {'model': cfg.model, 'default_scope': cfg.get('default_scope')}
    found = check_data(Config({**content, f'{split}_dataloader': dataloader}))
    wrong = next((finding for finding in found if finding.level == 'error'), None)
    return str(wrong).partition('error: ')[2] if wrong else f'{type(error).__name__}: {error}'


def _same(cfg: Config, split: str, dataloader: Any) -> bool:
    return cfg.get(f'{split}_dataloader') == dataloader
