"""Table of parameters, multiply-accumulates and results of models of any host."""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from mmsmt.analysis.common.reports import Row, markdown_table, measure_each, write_csv, write_text
from mmsmt.analysis.complexity.config import count_config
from mmsmt.analysis.runs.curves import VAL_METRICS
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.request import Request


def compare_models(
    requests: Sequence[Request], out: Path, size: tuple[int, int] | None = None
) -> list[Row]:
    """Count models and collect their known results.

    Writes `<label>.json` for each model, and `models.csv` and `models.md` for all. `macs_g` are all
    multiply-accumulates, `macs_module_g` those of convolutions and linear layers.

    Args:
        requests: The models; the file of a request is a JSON file of measured metrics.
        out: Output folder.
        size: Height and width of the image; by default those that papers use for each task.

    Raises:
        UsageError: If a config or file is missing or not valid JSON.
        ValueError: If a model does not run at the size.
    """
    reports = measure_each(
        out, requests, {'size': size}, lambda request: {'row': _describe(request, size)}
    )
    rows = [{'model': report['label'], **report['row']} for report in reports]
    write_csv(out / 'models.csv', rows)
    write_text(out / 'models.md', to_markdown(rows) + '\n')
    return rows


def _describe(request: Request, size: tuple[int, int] | None) -> Row:
    cfg = read_config(request.config)
    counted, (height, width) = count_config(cfg, size)
    metrics, source = _find_metrics(request, Path(str(cfg.filename)))
    return {
        'image': f'{height} x {width}',
        'params_m': round(counted.params / 1e6, 3),
        'macs_g': round(counted.macs / 1e9, 3),
        'macs_module_g': round(counted.macs_module_only / 1e9, 3),
        **metrics,
        'source': source,
    }


def _find_metrics(request: Request, config: Path) -> tuple[dict[str, float], str]:
    """Return the measured metrics of a request, or those of the metafile next to its config."""
    if request.file:
        try:
            found = json.loads(Path(request.file).read_text())
        except ValueError as error:
            raise UsageError(f'{request.file}: not a JSON file of results: {error}') from error
        metrics = {k: found[k] for k in VAL_METRICS if isinstance(found, dict) and k in found}
        if not metrics:
            raise UsageError(
                f'{request.file}: no results in it, expected one of {", ".join(VAL_METRICS)}'
            )
        return metrics, request.file
    metafile = config.with_name('metafile.yml')
    try:
        content = yaml.safe_load(metafile.read_text()) if metafile.is_file() else {}
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f'{metafile}: cannot be read: {error}') from error
    models = content.get('Models', []) if isinstance(content, dict) else []
    entries = [entry for entry in models if Path(str(entry.get('Config'))).name == config.name]
    # If several weights share a config, the entry with the config's name comes first.
    entries.sort(key=lambda entry: entry['Name'] != config.stem)
    if not entries or not entries[0].get('Results'):
        return {}, ''
    results = entries[0]['Results']
    return {k: v for result in results for k, v in result['Metrics'].items()}, 'published'


def to_markdown(rows: Sequence[Row]) -> str:
    """Format rows as a Markdown table; missing values are empty."""
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key != 'source']
    columns.append('source')
    return markdown_table([columns, *([row.get(key, '') for key in columns] for row in rows)])
