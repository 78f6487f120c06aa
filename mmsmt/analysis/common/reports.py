"""Reports on several networks: a JSON file each, by which an interrupted report goes on."""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from mmsmt.errors import UsageError
from mmsmt.hosts.request import Request, describe

T = TypeVar('T')


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; on success that file becomes `path`, else it is removed."""
    partial = path.with_name(f'.{os.getpid()}.{path.name}')
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that share their keys, or lack some, as a table with a header."""
    fields = list(dict.fromkeys(key for row in rows for key in row))
    with whole_file(path) as partial, partial.open('w', newline='') as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)


def progress(items: Iterable[T], label: str, total: int) -> Iterable[T]:
    """Show a bar in a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    hidden = not console.is_terminal
    return track(items, label, total, console=console, transient=True, disable=hidden)


def read_finished(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a JSON file of a report holds, if it was made of the same things; else None."""
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
    describe_request: Callable[[Request], Mapping[str, Any]] = describe,
) -> list[dict[str, Any]]:
    """Measure networks one after another, but for those measured before.

    Args:
        out: Folder of the report; `<label>.json` is a network's.
        requests: The networks; all their configs and files are looked at first.
        settings: What beside the network determines the result.
        measure: Gives what can be written as JSON.
        describe_request: What identifies a network.

    Returns:
        For each network its `label`, `identity` and what was measured.

    Raises:
        UsageError: If a config or file is missing, or if the folder cannot be written.
    """
    # As JSON gives it back: tuples are lists there.
    made_of = {'settings': json.loads(json.dumps(settings))}
    identities = [{**describe_request(request), **made_of} for request in requests]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f'{out}: cannot be a folder for the report: {error}') from error
    reports = []
    for request, identity in zip(requests, identities, strict=True):
        path = out / f'{request.label}.json'
        report = read_finished(path, identity)
        if report is None:
            report = {'label': request.label, 'identity': identity, **measure(request)}
            with whole_file(path) as partial:
                partial.write_text(json.dumps(report, indent=1, allow_nan=False) + '\n')
        reports.append(report)
    return reports
