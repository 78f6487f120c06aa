"""The hosts' own configs: nothing but known faults is reported, and these still are.

One config a folder is checked, and one of every known fault. `MMSMT_ALL_CONFIGS=1` checks all
2,042, in about three minutes.
"""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import mmdet
import mmpretrain
import mmseg
import pytest
from host_config_faults import KNOWN, Known

from mmsmt.checks.config import Finding, check_config, find_configs

ALL = bool(os.environ.get('MMSMT_ALL_CONFIGS'))
ROOTS = {
    host.__name__: Path(host.__path__[0], '.mim', 'configs') for host in (mmdet, mmpretrain, mmseg)
}


def names_of(host: str) -> list[str]:
    """The configs of a host: `mmdet/vfnet/vfnet_r50_fpn_1x_coco.py`."""
    root = ROOTS[host]
    return [f'{host}/{path.relative_to(root)}' for path in find_configs([root])]


def known_of(name: str) -> list[Known]:
    return [known for known in KNOWN if any(fnmatch(name, pattern) for pattern in known.files)]


def sample(host: str) -> Iterator[str]:
    """The middle config of each folder, and the first of every pattern of a known fault."""
    folders: dict[Path, list[str]] = {}
    for name in names_of(host):
        folders.setdefault(Path(name).parent, []).append(name)
    for names in folders.values():
        yield names[len(names) // 2]
    for pattern in (pattern for known in KNOWN for pattern in known.files):
        yield from [name for name in names_of(host) if fnmatch(name, pattern)][:1]


def errors_of(name: str) -> list[Finding]:
    """What is reported as an error, apart from packages that are not installed here."""
    host, _, inside = name.partition('/')
    found = check_config(ROOTS[host] / inside)
    return [finding for finding in found if not finding.note and not finding.needs_package]


@pytest.mark.parametrize('host', ROOTS)
def test_nothing_but_known_faults(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no weights are
    names = names_of(host) if ALL else sorted(set(sample(host)))
    wrong = []
    for name in names:
        known, errors = known_of(name), errors_of(name)
        keys = {k.key for k in known}
        new = [e for e in errors if not any(fnmatch(e.key, key) for key in keys)]
        gone = [key for key in keys if not any(fnmatch(e.key, key) for e in errors)]
        wrong += [f'{name}: {error}' for error in new]
        wrong += [f'{name}: no error at {key} any more' for key in gone]
    assert wrong == []


def test_every_known_fault_is_of_a_file() -> None:
    names = [name for host in ROOTS for name in names_of(host)]
    assert len({Path(name).parent for name in names}) > 250
    for known in KNOWN:
        for pattern in known.files:
            assert any(fnmatch(name, pattern) for name in names), pattern
