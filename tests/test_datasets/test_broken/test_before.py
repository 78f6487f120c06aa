"""mmsmt check data names every broken file before a training, in a line, and ends with 1."""

import json
import resource
import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmcv
import numpy as np
import pytest

from mmsmt.datasets.image_files import look_at
from mmsmt.datasets.sample_faults import find_faults

TOOL = Path(__file__).resolve().parents[3] / 'tools/misc/check_data.py'
CONFIG = """
default_scope = {scope!r}
model = dict(head=dict(num_classes={classes}))
train_dataloader = dict(dataset={entry!r})
"""
Check = Callable[..., tuple[int, dict[str, list[str]]]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Check:
    """Run the tool on a data set: exit status, and lines by level."""
    monkeypatch.setenv('LOCAL_RANK', '0')

    def run(scope: str, classes: int, entry: dict[str, Any]) -> tuple[int, dict[str, list[str]]]:
        config = tmp_path / 'config.py'
        config.write_text(CONFIG.format(scope=scope, classes=classes, entry=entry))
        monkeypatch.setattr(sys, 'argv', [TOOL.name, str(config), '--full'])
        status = 0
        with warnings.catch_warnings():
            try:
                runpy.run_path(str(TOOL), run_name='__main__')
            except SystemExit as stop:
                status = stop.code
        said = capsys.readouterr()
        assert 'Traceback' not in said.err
        *lines, summary = said.out.splitlines()
        kinds = ('error', 'warning', 'note')
        found = {k: [line for line in lines if line.startswith(f'{k}: ')] for k in kinds}
        assert sum(map(len, found.values())) == len(lines), lines
        assert summary.startswith(f'{len(found["error"])} error')
        return status, found

    return run


def the_line(lines: list[str], *texts: str) -> str:
    """The one line with all of the texts."""
    (found,) = [line for line in lines if all(text in line for text in texts)]
    return found


@pytest.mark.parametrize(
    ('scope', 'classes', 'writer', 'folder'),
    [
        ('mmpretrain', 2, 'write_folders', 'cat'),
        ('mmdet', 1, 'write_coco', 'images'),
        ('mmseg', 3, 'write_maps', 'images'),
    ],
)
def test_pictures(
    corpus: SimpleNamespace,
    tmp_path: Path,
    check: Check,
    scope: str,
    classes: int,
    writer: str,
    folder: str,
) -> None:
    root = tmp_path / 'data'
    status, found = check(scope, classes, getattr(corpus, writer)(root, corpus.everything))
    assert status == 1
    for name, (_, says) in corpus.damaged.items():
        the_line(found['error'], f'error: {root}/{folder}/{name}.jpg: ', says)
    for name, (_, level, says, _) in corpus.odd.items():
        if level:
            the_line(found[level], f'{name}.jpg', says)
    assert not [line for line in found['error'] if 'turned' in line]
    # Two pictures, `wide` and `one_pixel`, have another size than the annotations say.
    named = [line for line in found['error'] if line.startswith(f'error: {root}/{folder}/')]
    assert len(named) == len(corpus.damaged) + 2 * (scope == 'mmdet')


def test_odd_pictures_load_as_is_said(corpus: SimpleNamespace, tmp_path: Path) -> None:
    """By the hosts' own decoder."""
    for name, (write, _, says, pixels) in corpus.odd.items():
        path = tmp_path / f'{name}.jpg'
        write(path)
        loaded = mmcv.imread(str(path), channel_order='rgb')
        picture = look_at(str(path))
        assert loaded.dtype == np.uint8 and loaded.shape == (*picture.size[::-1], 3), name
        assert pixels is None or np.array_equal(loaded, pixels), name
        if 'three equal channels' in says:
            assert (loaded == loaded[:, :, :1]).all(), name


def test_label_images(corpus: SimpleNamespace, tmp_path: Path, check: Check) -> None:
    root = tmp_path / 'data'
    writers = {name: write for name, (write, *_) in corpus.maps.items()}
    status, found = check('mmseg', 3, corpus.write_maps(root, {}, writers))
    assert status == 1
    for name, (_, says, _) in corpus.maps.items():
        lines = [line for line in found['error'] if f'{name}.png' in line]
        assert lines or says == 'with reduce_zero_label=True classes are 1 to 3', name
    strange = the_line(found['error'], 'are not classes')
    assert f'error: {root}/labels: values 4, 7, 257 are not classes, in 3 files' in strange
    assert 'with reduce_zero_label=True classes are 1 to 3' in strange
    for name in ('other_size', 'colours', 'empty_map', 'cut_map'):
        the_line(found['error'], f'error: {root}/labels/{name}.png: ', corpus.maps[name][1])


# Fields of a COCO file: list, record's changes, and what is said.
RECORDS: dict[str, tuple[str, dict[str, Any], str]] = {
    'nan box': ('annotations', {'bbox': [2, float('nan'), 5, 5]}, 'not four numbers'),
    'infinite box': ('annotations', {'bbox': [2, 2, float('inf'), 5]}, 'not four numbers'),
    'nan area': ('annotations', {'area': float('nan')}, '`area` of 1 of 4 records'),
    'negative size': ('annotations', {'bbox': [2, 2, -5, 5]}, 'smaller than a pixel'),
    'no size': ('annotations', {'bbox': [2, 2, 0, 0]}, 'smaller than a pixel'),
    'outside': ('annotations', {'bbox': [100, 2, 5, 5]}, 'outside the image'),
    'unknown class': ('annotations', {'category_id': 7}, 'unknown category_id: 7'),
    'nan class': ('annotations', {'category_id': float('nan')}, '`category_id` of 1 of 4'),
    'unknown image': ('annotations', {'image_id': 99}, 'unknown image_id: 99'),
    'a list as id': ('annotations', {'id': [1]}, '`id` of 1 of 4 records in `annotations` is not'),
    'nan width': ('images', {'width': float('nan')}, '`width` of 1 of 4 records in `images` is'),
    'negative height': ('images', {'height': -3}, '`height` of 1 of 4 records in `images` is not'),
    'width in words': ('images', {'width': '40'}, "is not a number above 0: '40' in number 0"),
    'no name': ('images', {'file_name': None}, '`file_name` of 1 of 4 records in `images` is'),
    'mask of another size': (
        'annotations',
        {'segmentation': {'size': [5, 5], 'counts': 'X1'}},
        '1 of 4 masks that differ in size from their image: annotations 0',
    ),
}


@pytest.mark.parametrize('name', RECORDS)
def test_records_of_coco(corpus: SimpleNamespace, tmp_path: Path, check: Check, name: str) -> None:
    kind, values, says = RECORDS[name]
    entry = corpus.write_coco(tmp_path / 'data', {})
    entry['pipeline'] = [dict(type='LoadAnnotations', with_mask=True)]
    path = tmp_path / 'data/boxes.json'
    content = json.loads(path.read_text())
    content[kind][0].update(values)
    path.write_text(json.dumps(content))
    status, found = check('mmdet', 1, entry)
    assert status == 1
    assert the_line(found['error'], says).startswith(f'error: {path}: ')


def test_a_bomb_takes_no_memory(corpus: SimpleNamespace, tmp_path: Path) -> None:
    """Decoded it would take 10.8 GB; 64 MB more than now must be enough to refuse it."""
    path = tmp_path / 'bomb.png'
    corpus.damaged['bomb'][0](path)
    assert path.stat().st_size < 1000
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**26, hard))
    try:
        damage = look_at(str(path)).damage
        (fault,) = find_faults({'img_path': str(path)}, None)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert damage == fault.wrong == 'claims more than the maximum of 178,956,970 pixels'
