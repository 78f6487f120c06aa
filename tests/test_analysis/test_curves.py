"""Curves from the logs of runs, killed and resumed ones included."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mmsmt.analysis import contact_sheet, plot_curves, read_scalars


def write_log(folder: Path, records: list[dict], tail: str = '') -> None:
    file = folder / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(''.join(json.dumps(record) + '\n' for record in records) + tail)


def test_a_resumed_run_replaces_what_it_repeats(tmp_path: Path) -> None:
    write_log(tmp_path / '1', [{'step': 10, 'loss': 3.0}, {'step': 20, 'loss': 2.0}], '{"step": 3')
    write_log(tmp_path / '2', [{'step': 20, 'loss': 1.5}, {'mIoU': 40.0, 'step': 2}])
    losses = [(r['step'], r['loss']) for r in read_scalars(tmp_path) if 'loss' in r]
    assert losses == [(10, 3.0), (20, 1.5)]
    plot_curves({'run': tmp_path}, tmp_path / 'curves.png')
    with Image.open(tmp_path / 'curves.png') as picture:
        colours = {colour for _, colour in picture.convert('RGB').getcolors(1 << 16)}
    assert {(31, 119, 180), (214, 39, 40)} <= colours  # the loss and the metric


def test_a_folder_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}.*no log of a run'):
        read_scalars(tmp_path)


def test_contact_sheet_shows_every_picture_in_its_row(tmp_path: Path) -> None:
    colours = ['red', 'green', 'blue']
    for colour in colours:
        Image.new('RGB', (40, 20), colour).save(tmp_path / f'{colour}.png')
    files = [tmp_path / f'{colour}.png' for colour in colours]
    contact_sheet([('two', files[:2]), ('one', files[2:])], tmp_path / 'sheet.png', width=300)
    with Image.open(tmp_path / 'sheet.png') as sheet:
        assert sheet.width == 300
        found = {colour for _, colour in sheet.getcolors(1 << 16)}
    assert {(255, 0, 0), (0, 128, 0), (0, 0, 255)} <= found
    with pytest.raises(ValueError, match="no pictures for 'none'"):
        contact_sheet([('none', [])], tmp_path / 'sheet.png')
