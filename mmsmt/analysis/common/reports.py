"""Resumable reports on several models, with one JSON file per model."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rich.progress import track

from mmsmt.checkpoints import write_atomically
from mmsmt.console import progress_console
from mmsmt.errors import UsageError
from mmsmt.hosts.images import Samples
from mmsmt.hosts.model import LoadedModel, load_model
from mmsmt.hosts.request import Request, describe

T = TypeVar('T')
Row = dict[str, Any]


class Report(NamedTuple):
    """Inputs of a report, and its output folder `out`."""

    requests: Sequence[Request]  # models and their checkpoints
    samples: Samples
    out: Path
    size: int  # input size of the models in pixels
    seed: int  # seed of random weights and everything else
    device: str

    def load(self, request: Request, out_indices: tuple[int, ...] | None = None) -> LoadedModel:
        """Load a model to the device; see `load_model`."""
        loaded = load_model(request, out_indices, self.seed)
        loaded.model.to(self.device)
        return loaded


def write_text(path: Path, text: str) -> None:
    """Write a file atomically."""
    write_atomically(path, text.encode())


def write_json(path: Path, value: Any, allow_nan: bool = True) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1, allow_nan=allow_nan) + '\n')


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, which may lack some keys, as a CSV table with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def markdown_table(rows: Iterable[Sequence[object]]) -> str:
    """Format rows as a Markdown table; the first row is its header."""
    lines = [f'| {" | ".join(map(str, row))} |' for row in rows]
    lines.insert(1, '| --- ' * lines[0].count(' | ') + '| --- |')
    return '\n'.join(lines)


def progress(items: Iterable[T], label: str, total: int) -> Iterable[T]:
    """Show a progress bar in a terminal only."""
    console = progress_console()
    hidden = not console.is_terminal
    return track(items, label, total, console=console, transient=True, disable=hidden)


def read_finished(path: Path, identity: Mapping[str, Any]) -> Row | None:
    """Read a JSON file of a report if it was made from the same inputs; otherwise return None."""
    try:
        report = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get('identity') == identity else None


def measure_each(
    out: Path,
    requests: Sequence[Request],
    settings: Mapping[str, Any],
    measure: Callable[[Request], Mapping[str, Any]],
) -> list[Row]:
    """Measure models one after another, except those already measured.

    Args:
        out: Output folder; a model is saved in `<label>.json`.
        requests: The models; all configs and files are checked first.
        settings: Settings that determine the result in addition to the model.
        measure: Returns a JSON-serialisable dict; `label` and `identity` are added.

    Raises:
        UsageError: If a config or file is missing, or if the folder cannot be written.
    """
    # As read back from JSON, where tuples are lists.
    made_of = {'settings': json.loads(json.dumps(settings))}
    identities = [{**describe(request), **made_of} for request in requests]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f'{out}: cannot create the report folder: {error}') from error
    reports = []
    for request, identity in zip(requests, identities, strict=True):
        path = out / f'{request.label}.json'
        report = read_finished(path, identity)
        if report is None:
            report = {'label': request.label, 'identity': identity, **measure(request)}
            write_json(path, report, allow_nan=False)
        reports.append(report)
    return reports
