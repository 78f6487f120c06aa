"""A config written for a test, and what the linter says of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmsmt.checks.config import Finding, check_config

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'


@pytest.fixture(autouse=True)
def _few_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """Faults, not notes, of a config that inherits a shipped one by its absolute path."""
    monkeypatch.chdir(tmp_path)

    def check(base: str, text: str, processes: int | None = None) -> list[Finding]:
        path = tmp_path / 'broken.py'
        path.write_text(f"_base_ = '{CONFIGS / base}'\n{text}" if base else text)
        return [f for f in check_config(path, processes) if not f.note]

    return check


@pytest.fixture
def assert_found(lint: Callable[..., list[Finding]]) -> Callable[..., None]:
    """Assert that these faults and no others are found in a text on a base."""

    def check(base: str, text: str, expected: list[tuple[str, str, str]]) -> None:
        found = {f.key: f for f in lint(base, text)}
        assert sorted(found) == sorted(key for key, _, _ in expected)
        for key, wrong, right in expected:
            assert wrong in found[key].wrong, found[key]
            assert right in found[key].right, found[key]

    return check
