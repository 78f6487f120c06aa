"""The shipped configs are clean."""

import re
from pathlib import Path

import pytest

from mmsmt.checks.config import check_config, find_configs
from mmsmt.checks.config.check import OWN_CONFIGS

LEAVES = find_configs([OWN_CONFIGS])


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_shipped_configs_are_clean(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where nothing has been trained
    findings = check_config(path)
    assert not [str(f) for f in findings if not f.note]
    untrained = ['model.backbone.init_cfg.checkpoint' for _ in findings]
    assert [f.key for f in findings] == untrained


@pytest.mark.parametrize(
    'path',
    [path for path in LEAVES if re.search('smt_(s_|pico)', path.stem)],  # one of every method
    ids=lambda path: path.stem,
)
def test_shipped_configs_are_clean_as_bases_of_others(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reached as `mmsmt::`, types without a prefix are looked up in mmsmt, not in a host."""
    monkeypatch.chdir(tmp_path)
    outside = tmp_path / 'outside.py'
    outside.write_text(f"_base_ = 'mmsmt::{path.relative_to(OWN_CONFIGS)}'\n")
    assert not [str(f) for f in check_config(outside) if not f.note]


def test_finds_leaves_only(tmp_path: Path) -> None:
    for name in ('a.py', '_base_/b.py', 'c/_base_/d/e.py', 'c/f.py', 'c/readme.md'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(p.relative_to(tmp_path)) for p in find_configs([tmp_path, tmp_path / 'a.py'])]
    assert found == ['a.py', 'c/f.py']
