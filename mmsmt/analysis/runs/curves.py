"""Learning curves from the logs of mmengine's runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmsmt.analysis.common.figures import save_figure, subplots

# Validation metrics of the hosts, best first; the first available one is plotted.
VAL_METRICS = ('accuracy/top1', 'coco/bbox_mAP', 'coco/segm_mAP', 'mIoU')


def read_scalars(work_dir: str | Path) -> list[dict[str, Any]]:
    """Read the scalars of all runs in a work dir, sorted by step.

    Resumed training writes a new file; if two files have the same training step, the later one
    counts.

    Args:
        work_dir: Folder with `<timestamp>/vis_data/scalars.json`.

    Raises:
        FileNotFoundError: If there is no such file; the message names the folder.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'{work_dir}: no log of a run (*/vis_data/scalars.json)')
    records = {}
    for file in files:
        for line in file.read_text().splitlines():
            if line.endswith('}'):  # the last line of a killed run is incomplete
                record = json.loads(line)
                records['loss' in record, record.get('step', 0)] = record
    return [records[key] for key in sorted(records, key=lambda key: (key[1], not key[0]))]


def plot_curves(work_dirs: Mapping[str, str | Path], out: str | Path) -> None:
    """Plot training loss and validation metrics, one panel per run.

    Args:
        work_dirs: Title of a panel to work dir.
        out: Output file.

    Raises:
        FileNotFoundError: If a work dir has no log.
    """
    figure, axes = subplots(1, len(work_dirs), 4.2 * len(work_dirs), 3.2)
    for axis, (title, work_dir) in zip(axes[0], work_dirs.items(), strict=True):
        records = read_scalars(work_dir)
        train = {r['step']: r['loss'] for r in records if 'loss' in r}
        validated = [r for r in records if 'loss' not in r]
        axis.plot(list(train), list(train.values()), color='tab:blue')
        axis.set(title=title, xlabel='iteration', ylabel='training loss', ylim=(0, None))
        axis.grid(alpha=0.3)
        for name in VAL_METRICS:
            points = {r['step']: r[name] for r in validated if name in r}
            if points:
                # Validation logs count epochs, training logs iterations.
                end, last = max(points), max(train, default=0)
                scale = last / end if 0 < end < last else 1
                twin = axis.twinx()
                steps = [step * scale for step in points]
                twin.plot(steps, list(points.values()), 'o-', color='tab:red')
                twin.set_ylabel(name, color='tab:red')
                break
    save_figure(figure, out, dpi=110)
