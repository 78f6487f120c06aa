"""Networks of any host side by side: parameters, multiply-accumulates, results."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_zoo import read_yaml

from mmsmt.analysis.common.reports import measure_each, whole_file, write_csv
from mmsmt.analysis.complexity.config import count_config, usual_size
from mmsmt.analysis.complexity.counter import count_complexity
from mmsmt.analysis.runs.curves import VAL_METRICS
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.model import backbone_of, load_subject
from mmsmt.hosts.request import Request


def compare_models(
    requests: Sequence[Request], out: Path, size: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """Count networks and find what is known of their results.

    Writes `<label>.json` for each network, and `models.csv` and `models.md` for all.

    Args:
        requests: The networks; a request's file is a JSON file of measured metrics, as
            mmengine's test or the demo writes it.
        out: Folder.
        size: Height and width of the image; by default what papers count each task at.

    Returns:
        For each network `model`, `image`, `params_m`, `macs_g` (all products), `macs_module_g`
        (convolutions and linear layers, as in papers), metrics by name, and `source`.

    Raises:
        UsageError: If a config or file is missing or no JSON.
        ValueError: If a network does not run at the size.
    """

    def measure(request: Request) -> dict[str, Any]:
        return {'row': describe_model(request, size)}

    reports = measure_each(out, requests, {'size': size}, measure)
    rows = [{'model': report['label'], **report['row']} for report in reports]
    write_csv(out / 'models.csv', rows)
    with whole_file(out / 'models.md') as partial:
        partial.write_text(to_markdown(rows) + '\n')
    return rows


def describe_model(request: Request, size: tuple[int, int] | None) -> dict[str, Any]:
    """One row of the table, but for the label."""
    cfg = read_config(request.config)
    if 'type' in cfg.model:
        counted, used = count_config(cfg, size)
    else:
        used = size or usual_size(cfg)
        backbone = backbone_of(load_subject(request._replace(file='')).model)
        counted = count_complexity(backbone, (3, *used))
    metrics, source = _find_metrics(request, Path(str(cfg.filename)))
    return {
        'image': f'{used[0]} x {used[1]}',
        'params_m': round(counted.params / 1e6, 3),
        'macs_g': round(counted.macs / 1e9, 3),
        'macs_module_g': round(counted.macs_module_only / 1e9, 3),
        **metrics,
        'source': source,
    }


def _find_metrics(request: Request, config: Path) -> tuple[dict[str, float], str]:
    """Measured metrics of a request, else those of the metafile beside its config."""
    if request.file:
        try:
            found = json.loads(Path(request.file).read_text())
        except ValueError as error:
            raise UsageError(f'{request.file}: is no JSON file of results: {error}') from error
        metrics = {k: found[k] for k in VAL_METRICS if isinstance(found, dict) and k in found}
        if not metrics:
            raise UsageError(f'{request.file}: has none of {", ".join(VAL_METRICS)}')
        return metrics, request.file
    metafile = config.with_name('metafile.yml')
    models = read_yaml(metafile).get('Models', []) if metafile.is_file() else []
    entries = [entry for entry in models if Path(str(entry.get('Config'))).name == config.name]
    # Where several weights have one config, the entry that is called like it comes first.
    entries.sort(key=lambda entry: entry['Name'] != config.stem)
    if not entries or not entries[0].get('Results'):
        return {}, ''
    results = entries[0]['Results']
    return {k: v for result in results for k, v in result['Metrics'].items()}, 'published'


def to_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table; what one lacks is empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row if key != 'source'))
    columns.append('source')
    lines = [columns, ['---'] * len(columns)]
    lines += [[str(row.get(column, '')) for column in columns] for row in rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
