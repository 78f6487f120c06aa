"""The model zoo: an entry for every config, the counts that the config gives, a page that fits."""

import json
import logging
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import make_model_zoo as zoo
import modelindex
import pytest
import yaml
from mmengine.config import Config

from mmsmt.analysis.complexity.config import count_config
from mmsmt.backbones import SMT

ROOT = Path(__file__).resolve().parents[2]
METAFILES = {task: f'configs/{task}/metafile.yml' for task in ('cls', 'det', 'seg')}
ENTRIES = {
    entry['Name']: entry
    for name in METAFILES.values()
    for entry in yaml.safe_load((ROOT / name).read_text())['Models']
}
OTHER_DEPTH = 2_118_144  # parameters of a block of stage 4, see "Depth of small" on the page


def test_every_leaf_has_one_entry() -> None:
    leaves = [path for task in METAFILES for path in (ROOT / 'configs' / task).glob('*.py')]
    configs = [
        entry['Config']
        for name in METAFILES.values()
        for entry in yaml.safe_load((ROOT / name).read_text())['Models']
    ]
    assert sorted(configs) == sorted(path.relative_to(ROOT).as_posix() for path in leaves)
    for name, entry in ENTRIES.items():
        assert name == Path(entry['Config']).stem


def test_index_is_read_by_the_ecosystem() -> None:
    index = modelindex.load(str(ROOT / 'model-index.yml'))
    index.check()
    assert not index.check_errors
    index.build_models_with_collections()
    assert {model.name for model in index.models} == set(ENTRIES)
    for model in index.models:
        assert (ROOT / model.config).is_file()
        assert model.full_model.paper['URL'].startswith('https://arxiv.org/abs/')
        for result in model.results or []:
            assert result.task and result.dataset and result.metrics


COUNTED: dict[str, tuple] = {}


@pytest.mark.parametrize('name', ENTRIES)
def test_counts_are_those_of_the_config(name: str) -> None:
    entry = ENTRIES[name]
    data = entry['Metadata']
    cfg = Config.fromfile(ROOT / entry['Config'])
    key = json.dumps([cfg.model.to_dict(), data['Image Size']], sort_keys=True, default=str)
    if key not in COUNTED:  # schedules share models
        COUNTED[key] = count_config(cfg)
    counted, size = COUNTED[key]
    assert list(size) == data['Image Size']
    assert counted == (data['Parameters'], data['Total MACs'], data['FLOPs'])


def test_counts_are_the_published_ones_or_a_note_says_why() -> None:
    """Up to 0.8 % (what papers' counters add), 0.05 G and half a million parameters."""
    far = set()
    for name, entry in ENTRIES.items():
        data = entry['Metadata']
        published = data.get('Published', {})
        assert published.get('Source', 'https://arxiv.org').startswith('https://arxiv.org')
        for key, ours in [('FLOPs (G)', data['FLOPs']), ('Total MACs (G)', data['Total MACs'])]:
            if key in published:
                close = pytest.approx(published[key], rel=0.008, abs=0.05)
                far |= {name} if ours / 1e9 != close else set()
        params = data['Parameters'] - (OTHER_DEPTH if 'smt_s_' in name else 0)
        if 'Parameters (M)' in published and abs(params / 1e6 - published['Parameters (M)']) > 0.5:
            far.add(name)
    assert far == {
        *(f'dino_4scale_smt_s_{length}' for length in ('12e', '36e')),
        *(f'mask_rcnn_sg_former_{variant}_1x' for variant in 'sm'),
        *(f'upernet_sg_former_{variant}_160k_ade20k' for variant in 'smb'),
    }
    assert all('Note' in ENTRIES[name] for name in far)


def test_depth_of_small() -> None:
    sizes = [
        sum(p.numel() for p in SMT('small', depths=(3, 4, 18, n)).parameters()) for n in (1, 2)
    ]
    assert sizes[1] - sizes[0] == OTHER_DEPTH
    classifier = 512 * 1000 + 1000
    assert round((sizes[1] + classifier) / 1e6, 2) == 22.55


def test_page_is_up_to_date() -> None:
    assert (ROOT / zoo.PAGE).read_text() == zoo.render_page(ROOT)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the zoo is made of, with one network of one task."""
    for name in ('docs/models/zoo.md', METAFILES['cls'], 'configs/cls/smt_t_in1k.py'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    for name in ('configs/_base_', 'configs/cls/_base_'):
        shutil.copytree(ROOT / name, tmp_path / name, dirs_exist_ok=True)
    page = tmp_path / 'docs/models/zoo.md'
    tables = page.read_text().split('## Detection')
    page.write_text(tables[0])
    (tmp_path / 'model-index.yml').write_text(f'Import: [{METAFILES["cls"]}]')
    edit(tmp_path, lambda metafile: metafile.update(Models=metafile['Models'][:1]))
    return tmp_path


def edit(project: Path, change: Any) -> None:
    path = project / METAFILES['cls']
    metafile = yaml.safe_load(path.read_text())
    change(metafile)
    path.write_text(yaml.safe_dump(metafile, sort_keys=False))


def run(project: Path, *options: str) -> object:
    """What dev/make_model_zoo.py exits with: None, or its message."""
    sys.argv = ['make_model_zoo.py', '--root', str(project), *options]
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / 'dev/make_model_zoo.py'), run_name='__main__')
    return end.value.code


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave arguments and logging of this process as they were."""
    monkeypatch.setattr(sys, 'argv', sys.argv)
    monkeypatch.setattr(logging.root.manager, 'disable', logging.NOTSET)


def test_stale_page_and_recount(project: Path) -> None:
    page, metafile = project / zoo.PAGE, project / METAFILES['cls']
    assert 'out of date' in str(run(project, '--check'))
    assert run(project) is None and run(project, '--check') is None
    row = next(line for line in page.read_text().splitlines() if line.startswith('| [smt_t_in1k]'))
    cells = [cell.strip() for cell in row.strip('|').split('|')]
    assert cells[1:] == [
        '224 x 224',
        '[82.2](https://arxiv.org/abs/2307.08579)',
        '[96.0](https://arxiv.org/abs/2307.08579)',
        '11.5 (11.5: +0.1%)',
        '2.4 (2.4: -0.8%)',
        '2.5',
        f'[file]({ENTRIES["smt_t_in1k"]["Weights"]})',
    ]
    right, shown = metafile.read_text(), page.read_text()
    edit(project, lambda m: m['Models'][0]['Metadata'].update(Parameters=12_000_000))
    assert 'out of date' in str(run(project, '--check'))
    assert page.read_text() == shown
    assert run(project, '--recount') is None
    assert yaml.safe_load(metafile.read_text()) == yaml.safe_load(right)
    assert page.read_text() == shown


def test_row_without_published_result_says_so(project: Path) -> None:
    edit(project, lambda m: [m['Models'][0].pop('Results'), m['Models'][0].update(Note='A note.')])
    assert run(project) is None
    text = (project / zoo.PAGE).read_text()
    assert '| not published |' in text and '* `smt_t_in1k`: A note.' in text


def break_yaml(project: Path) -> None:
    (project / METAFILES['cls']).write_text('Models: [')


def remove_config(project: Path) -> None:
    (project / 'configs/cls/smt_t_in1k.py').unlink()


def remove_counts(project: Path) -> None:
    edit(project, lambda m: m['Models'][0]['Metadata'].pop('FLOPs'))


def remove_markers(project: Path) -> None:
    (project / zoo.PAGE).write_text('# Model zoo\n')


@pytest.mark.parametrize(
    ('damage', 'option', 'said'),
    [
        (break_yaml, '--check', 'cannot be read'),
        (remove_config, '--recount', 'smt_t_in1k: no such config: configs/cls/smt_t_in1k.py'),
        (remove_counts, '--check', "smt_t_in1k: no ['FLOPs']; run with --recount"),
        (remove_markers, '--check', 'no table marker'),
    ],
)
def test_damage_ends_in_one_line(project: Path, damage: Any, option: str, said: str) -> None:
    damage(project)
    before = {path: path.read_bytes() for path in project.rglob('*') if path.is_file()}
    message = str(run(project, option))
    assert message.startswith('error: ') and '\n' not in message and said in message
    after = {path: path.read_bytes() for path in project.rglob('*') if path.is_file()}
    assert {p: b for p, b in after.items() if '__pycache__' not in str(p)} == before
