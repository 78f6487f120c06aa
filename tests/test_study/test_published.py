"""The published study: its page agrees with its runs, and the examples continue it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mmsmt.hosts.config import read_config
from mmsmt.study.members import spread
from mmsmt.study.networks import NETWORKS
from mmsmt.study.protocol import Protocol, read_base, settings_of
from mmsmt.study.runs import Run, read_record

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / 'docs/models/study_cifar10'
EXAMPLES = ROOT / 'examples/study'


@pytest.fixture
def records() -> list[dict[str, Any]]:
    """Its records; one of another network than today's is an error."""
    found = []
    for path in sorted(PUBLISHED.glob('records/*.json')):
        label, _, seed = path.stem.rpartition('_seed')
        found.append(read_record(PUBLISHED, Run(label, NETWORKS[label], int(seed))))
    assert found and None not in found
    return found


def test_settings_are_those_of_the_examples() -> None:
    transfers = {name: read_config(str(EXAMPLES / f'{name}.py')) for name in ('cells', 'scenes')}
    settings = settings_of(Protocol(3, 1e-3), read_base(EXAMPLES / 'cifar10.py'), transfers)
    assert json.loads((PUBLISHED / 'settings.json').read_text()) == settings


def test_page_has_the_scores_of_the_records(records: list[dict[str, Any]]) -> None:
    page = (PUBLISHED / 'report.md').read_text()
    assert f'{len(records)} of {3 * len(NETWORKS)} runs: 3 epochs' in page
    scores: dict[str, list[float]] = {}
    for record in records:
        scores.setdefault(record['network'], []).append(record['top1'])
    for label, values in scores.items():
        assert f'| {label} | {spread(values)} |' in page


def test_findings_quote_the_page() -> None:
    text = (ROOT / 'docs/models/study.md').read_text()
    findings = text.partition('## Findings')[2].partition('\n## ')[0]
    rows = json.loads((PUBLISHED / 'study.json').read_text())['networks']
    results = {row.pop('network'): {f'{value:.1f}' for value in row.values()} for row in rows}
    quoted = re.findall(r'`(\w+)` (\d+\.\d(?:, \d+\.\d)*)', findings)
    assert len(quoted) >= 5
    for label, figures in quoted:
        assert results[label] >= set(figures.split(', ')), label
