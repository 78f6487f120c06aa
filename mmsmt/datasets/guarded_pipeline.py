"""Pipeline that reports or skips bad samples."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import Compose
from mmengine.dist import get_rank

from mmsmt.datasets.image_files import look_at
from mmsmt.datasets.sample_faults import Fault, find_faults, find_loaded_faults, name_of
from mmsmt.errors import BadSampleError
from mmsmt.registry import TRANSFORMS

CHOICES = ('stop', 'skip')
# That many failures in a row are not single bad files: paths are wrong, or the pipeline cannot
# work. mmengine's own limit of a thousand tries takes minutes, without an explanation.
MOST_IN_A_ROW = 100
# If the same transform fails alike on intact files, the pipeline is wrong.
MOST_ALIKE = 5


@TRANSFORMS.register_module()
class GuardedPipeline(Compose):
    """Pipeline that reports the sample it fails on: path, field and reason.

    It also finds faults that hosts ignore silently: truncated files, headers that claim huge
    amounts of memory, label images of another size or with unknown values, unknown labels, boxes
    with NaN or Inf.

    Args:
        transforms: The pipeline.
        on_bad: `stop` raises `BadSampleError`. `skip` (the default is `stop`) lists the sample in
            the journal and returns None, for which mmengine's data sets take another sample at
            random. Evaluation, where samples must not be replaced, always stops.
        journal: File that lists skipped samples, one per line; each rank has its own, see
            `journal_of_rank`. Required for `skip`.
        num_classes: Labels must be below it. Not checked by default.
        ignored: Label of unlabelled pixels, 255 by default as in mmseg.
        advice: End of the error message.

    Raises:
        ValueError: If `on_bad` is neither, or `skip` has no journal.
    """

    def __init__(
        self,
        transforms: Sequence[dict[str, Any] | Callable],
        on_bad: str = 'stop',
        journal: str | Path | None = None,
        num_classes: int | None = None,
        ignored: int = 255,
        advice: str = '',
    ) -> None:
        super().__init__(transforms)
        if on_bad not in CHOICES:
            raise ValueError(f'on_bad must be one of {", ".join(CHOICES)}, got {on_bad!r}')
        if on_bad == 'skip' and journal is None:
            raise ValueError("on_bad='skip' needs `journal`, the file that lists skipped samples")
        self.on_bad, self.advice = on_bad, advice
        self.journal = journal_of_rank(journal) if journal else None
        self.num_classes, self.ignored = num_classes, ignored
        self.in_a_row = self.alike = 0
        self.failed: tuple[str, str] | None = None  # transform and error of the last intact sample

    def __call__(self, data: dict[str, Any]) -> Any:
        """Run the pipeline.

        Args:
            data: A sample as listed by the data set.

        Returns:
            The result of the last transform; None for a sample to replace.

        Raises:
            BadSampleError: If the sample is bad and must not be skipped.
        """
        try:
            result = self._run(data)
        except BadSampleError as bad:
            self._stop_or_skip(bad)
            return None
        self.in_a_row = self.alike = 0
        return result

    def _run(self, data: Any) -> Any:
        for fault in find_faults(data, self.num_classes):
            raise BadSampleError(str(fault))
        for transform in self.transforms:
            before, known = data, set(data)
            try:
                data = transform(data)
            except Exception as error:  # decoders and transforms can raise anything
                raise self._blame(transform, before, error) from error
            if data is None:
                return None  # a transform's own choice, such as a crop without objects
            if isinstance(data, dict):
                new = set(data) - known
                for fault in find_loaded_faults(data, new, self.num_classes, self.ignored):
                    raise BadSampleError(str(fault))
        return data

    def _blame(self, transform: Any, sample: dict[str, Any], error: Exception) -> BadSampleError:
        """Name the file or field that a transform failed on; the transform if the file is good."""
        kind, path, field = type(transform).__name__, name_of(sample), 'img_path'
        if 'img' in sample:
            field = kind
            if kind.startswith('Load'):
                seg_map = sample.get('seg_map_path')
                path, field = (str(seg_map), 'seg_map_path') if seg_map else (path, 'instances')
        reason = f'{type(error).__name__}: {error}'
        if field in ('img_path', 'seg_map_path') and sample.get(field):
            damage = (
                'no such file' if isinstance(error, FileNotFoundError) else look_at(path).damage
            )
            if damage:
                return BadSampleError(str(Fault(path, field, damage)))
            reason += f'; the file is readable, so {kind} in the pipeline may be wrong'
        failed, self.failed = self.failed, (kind, type(error).__name__)
        self.alike = self.alike + 1 if self.failed == failed else 1
        return BadSampleError(str(Fault(path, field, reason)))

    def _stop_or_skip(self, bad: BadSampleError) -> None:
        self.in_a_row += 1
        if self.alike == MOST_ALIKE and self.on_bad == 'skip':
            raise BadSampleError(f'{bad}: {MOST_ALIKE} samples in a row failed in the same way')
        text = '; '.join(filter(None, (str(bad), self.advice)))
        if self.on_bad == 'stop':
            raise BadSampleError(text) from bad.__cause__
        if self.in_a_row == MOST_IN_A_ROW:
            raise BadSampleError(f'{text}; so were the {MOST_IN_A_ROW - 1} samples before it')
        assert self.journal is not None
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        with self.journal.open(
            'ab', buffering=0
        ) as file:  # all workers of a rank write to one file
            file.write(f'{bad}\n'.encode(errors='replace'))


def journal_of_rank(journal: str | Path, rank: int | None = None) -> Path:
    """Return the journal of a rank, this process by default: `skipped_0.txt`."""
    path = Path(journal)
    return path.with_stem(f'{path.stem}_{get_rank() if rank is None else rank}')
