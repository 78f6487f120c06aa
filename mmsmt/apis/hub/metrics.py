"""Results of an evaluation, from the files that tests and trainings write."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmsmt.errors import UsageError

# What stands beside results in these files.
_OTHERS = {'seconds', 'time', 'data_time', 'epoch', 'iter', 'step', 'lr', 'base_lr', 'memory'}
_OF_TRAINING = {'loss', 'lr'}


def read_metrics(metrics: Mapping[str, float] | str | Path) -> dict[str, float]:
    """The numbers of an evaluation.

    Args:
        metrics: Numbers by name, or a file: what `tools/test.py` writes as
            `work_dir/TIME/TIME.json`, or a training's `vis_data/scalars.json`, of which the last
            evaluation counts.

    Raises:
        UsageError: If there are none.
    """
    record = metrics if isinstance(metrics, Mapping) else _last_record(Path(metrics))
    found = {
        str(name): float(value)
        for name, value in record.items()
        if name not in _OTHERS and isinstance(value, int | float) and not isinstance(value, bool)
        # COCO's evaluation gives -1 for sizes of objects that there are none of.
        if math.isfinite(value) and value != -1
    }
    if not found:
        where = 'metrics' if isinstance(metrics, Mapping) else metrics
        raise UsageError(f'{where}: holds no result of an evaluation')
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
            raise UsageError(f'{path}: is no JSON ({error})') from error
    evaluations = [
        record
        for record in records
        if isinstance(record, dict) and not _OF_TRAINING & record.keys()
    ]
    return evaluations[-1] if evaluations else {}
