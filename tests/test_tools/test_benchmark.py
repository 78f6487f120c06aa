"""mmsmt benchmark from arguments to report, with small networks in this process."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmsmt.benchmark import command, contenders, environment, groups, measurement
from mmsmt.benchmark.contenders import Contender
from mmsmt.datasets.digits import Parameters, prepare_digits
from mmsmt.paths import carried

Run = Callable[..., tuple[object, str, str]]
OURS = Contender('ours', 'mmsmt', 'SMT', dict(arch='pico'), 50.0, 'https://example.invalid')
PLAIN = Contender('plain', 'plain', 'PlainSMT', dict(arch='pico'), 50.0, OURS.source)
QUICK = ('--threads', 1, '--rounds', 2, '--warmup', 0, '--shapes', '2x64x96', '--out', 'out')


@pytest.fixture
def run(run_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the tool with two contenders and small limits, in a folder of its own."""
    monkeypatch.setattr(groups, 'in_fresh_process', lambda function, *rest: function(*rest))
    monkeypatch.setattr(measurement, 'SIDES', {'cpu': 64})
    monkeypatch.setattr(measurement, 'COPIED', {'cpu': 4096})
    table = {**contenders.CONTENDERS, 'ours': OURS, 'plain': PLAIN}
    monkeypatch.setattr(contenders, 'CONTENDERS', table)
    monkeypatch.setattr(environment, 'fingerprint_code', lambda: 'one')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(command, 'find_spec', lambda name: name != 'onnxruntime' or None)
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: None)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_here('benchmark', *arguments)


def test_report_and_how_it_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said, complaint = run('ours', 'plain', *QUICK)
    assert (status, complaint) == (0, '')
    out = tmp_path / 'out'
    names = {'benchmark.json', 'benchmark.md', 'benchmark.png'}
    parts = {'2x64x96_forward_eager.json', '2x64x96_training_eager.json'}
    assert {file.name for file in out.iterdir()} == names | parts
    assert said.strip() == (out / 'benchmark.md').read_text().strip()
    measured = json.loads((out / 'benchmark.json').read_text())
    assert [group['step'] for group in measured] == ['forward', 'training']
    for group in measured:
        assert set(group['limits']) == {'flops', 'bandwidth'}
        assert group['facts']['torch'] and group['facts']['code'] and group['facts']['threads'] == 1
        ours, plain = group['rows']
        assert (ours['model'], plain['model']) == ('ours', 'plain')
        assert ours['params'] == plain['params'] and ours['macs'] == plain['macs'] > 10**7
        for row in group['rows']:
            low, median, high = (row['seconds'][i] for i in (1, 0, 2))
            assert 0 < low <= median <= high
            assert row['images_per_second'] == pytest.approx(2 / median)
            assert row['memory'] > 0
    # Once more: what is there stays; what is gone, or of other settings, is measured.
    kept, gone = (out / part for part in sorted(parts))
    kept.write_text(kept.read_text().replace('"load"', '"kept": true, "load"'))
    gone.unlink()
    assert run('ours', 'plain', *QUICK)[0] == 0
    again = json.loads((out / 'benchmark.json').read_text())
    assert ['kept' in group for group in again] == [True, False]
    short = ('ours', 'plain', *QUICK, '--steps', 'forward', '--no-memory')
    assert run(*short, '--rounds', 3)[0] == 0
    (other,) = json.loads((out / 'benchmark.json').read_text())
    assert 'kept' not in other and other['rounds'] == 3 and 'memory' not in other['rows'][0]
    monkeypatch.setattr(environment, 'fingerprint_code', lambda: 'another')
    assert run(*short, '--rounds', 3)[0] == 0
    (changed,) = json.loads((out / 'benchmark.json').read_text())
    assert changed['facts']['code'] == 'another' and changed['rows'] != other['rows']


def test_code_is_known_by_all_that_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, 'PACKAGE', tmp_path)
    found = [environment.fingerprint_code()]
    for file in ('mixers/sam.py', 'deploy/deep/er.py', 'benchmark/timing.py'):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text('x = 1')
        found.append(environment.fingerprint_code())
    (tmp_path / 'mixers/sam.py').write_text('x = 2')
    found.append(environment.fingerprint_code())
    assert len(set(found)) == 5
    (tmp_path / 'analysis').mkdir()
    (tmp_path / 'analysis/area.py').write_text('not measured')
    assert environment.fingerprint_code() == found[-1]


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['SMT-Z'], "unknown network 'SMT-Z'"),
        (['ours', '--shapes', '8x224'], "batch x height x width as in 8x224x224, got '8x224'"),
        (['ours', '--shapes', '8x0x224'], "got '8x0x224'"),
        (['ours', '--rounds', '1'], '--rounds must be at least 2'),
        (['ours', '--reference', 'SMT-T'], "--reference 'SMT-T' was not measured"),
        (['plain', '--ways', 'deploy'], 'nothing to measure'),
        (['ours', '--device', 'cuda'], 'PyTorch finds no GPU'),
        (['ours', '--dtype', 'tf32'], 'tf32 and CUDA graphs need --device cuda'),
        (['ours', '--ways', 'cudagraph'], 'tf32 and CUDA graphs need --device cuda'),
        (
            ['ours', '--ways', 'onnxruntime', '--dtype', 'bfloat16'],
            'needs --dtype float32 and --device cpu',
        ),
        (
            ['x.py', '--end-to-end', '--ways', 'compiled'],
            '--ways compiled does not apply to --end-to-end',
        ),
        (['x.py', '--end-to-end', '--images', '1'], '--images must be at least 2, got 1'),
        (['x.py', '--end-to-end', '--data', 'none'], 'none: no such folder; run `mmsmt prepare'),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_errors_are_one_line(run: Run, tmp_path: Path, arguments: list[str], says: str) -> None:
    status, _, complaint = run(*arguments)
    assert status == 1
    assert complaint.startswith('error: ') and says in complaint and complaint.count('\n') == 1
    assert not list(tmp_path.rglob('*.json'))


@pytest.mark.parametrize(
    ('way', 'missing', 'extra'),
    [('onnxruntime', 'onnxscript', 'onnx'), ('openvino-int8', 'nncf', 'openvino')],
)
def test_a_missing_runtime_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, way: str, missing: str, extra: str
) -> None:
    monkeypatch.setattr(command, 'find_spec', lambda name: None if name == missing else True)
    status, _, complaint = run('ours', '--ways', way)
    assert status == 1
    assert f"--ways {way} needs {missing}: pip install 'mmsmt[{extra}]'" in complaint


def test_unknown_way_and_list(run: Run) -> None:
    status, _, complaint = run('ours', '--ways', 'eager,fast')
    assert status == 2 and "unknown way 'fast'; known: eager, deploy" in complaint
    status, said, _ = run('--list')
    assert status == 0 and 'EfficientViT-B2' in said and 'arxiv.org/abs/2205.14756' in said


@pytest.mark.slow
def test_a_small_detector_end_to_end(run_here: Run, tmp_path: Path) -> None:
    prepare_digits(tmp_path / 'digits', Parameters(1, 1, 160, 0))
    config = carried('configs') / 'digits/retinanet_smt_pico.py'
    options = ['--data', tmp_path / 'digits', '--rounds', 2, '--images', 2, '--threads', 1]
    options += ['--ways', 'eager,deploy,openvino']
    status, said, _ = run_here('benchmark', '--end-to-end', f'pico={config}', *options)
    assert status == 0
    header, _, eager, deployed, openvino = said.strip().splitlines()[-5:]
    assert 'backbone in it' in header and eager.startswith('| pico | ') and '%' in eager
    assert deployed.startswith('| pico, deploy |  |  | ')
    assert openvino.startswith('| pico, openvino |  |  | ')
