"""Hook that counts the samples skipped in training."""

from collections import Counter
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook

from mmsmt.datasets.guarded_pipeline import journal_of_rank
from mmsmt.registry import HOOKS
from mmsmt.text import count, some

JOURNAL = 'skipped_samples.txt'


@HOOKS.register_module()
class SkippedSamplesHook(Hook):
    """Report at the end of training how many samples were skipped by all processes.

    Args:
        journal: File in which `GuardedPipeline` lists skipped samples.
    """

    def __init__(self, journal: str | Path) -> None:
        self.journal = journal_of_rank(journal)
        # The folder may hold the journal of an earlier training, or of the one being resumed.
        self.before = len(self._lines())

    def _lines(self) -> list[str]:
        if not self.journal.exists():
            return []
        return self.journal.read_text(errors='replace').splitlines()

    def after_train(self, runner: Any) -> None:
        """Report the number of skipped samples."""
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
