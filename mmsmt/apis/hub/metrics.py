"""Results of an evaluation, read from the files that tests and trainings write."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmsmt.errors import UsageError

# Entries of these files that are not results.
_OTHERS = {'seconds', 'time', 'data_time', 'epoch', 'iter', 'step', 'lr', 'base_lr', 'memory'}
_OF_TRAINING = {'loss', 'lr'}


def read_metrics(metrics: Mapping[str, float] | str | Path) -> dict[str, float]:
    """Return the results of an evaluation.

    Args:
        metrics: Results by name, or a file: `work_dir/TIME/TIME.json` of `tools/test.py`, or
            `vis_data/scalars.json` of a training, whose last evaluation is used.

    Raises:
        UsageError: If there are no results.
    """
    record = metrics if isinstance(metrics, Mapping) else _last_record(Path(metrics))
    found = {
        str(name): float(value)
        for name, value in record.items()
        if name not in _OTHERS and isinstance(value, int | float) and not isinstance(value, bool)
        # COCO's evaluation returns -1 for object sizes without objects.
        if math.isfinite(value) and value != -1
    }
    if not found:
        where = 'metrics' if isinstance(metrics, Mapping) else metrics
        raise UsageError(f'{where}: no evaluation results in it')
    return found


def _last_record(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'{path}: cannot be read ({error})') from error
    try:
        records = [json.loads(text)]
    except ValueError:
        try:
            records = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise UsageError(f'{path}: not valid JSON ({error})') from error
    evaluations = [
        record
        for record in records
        if isinstance(record, dict) and not _OF_TRAINING & record.keys()
    ]
    return evaluations[-1] if evaluations else {}
