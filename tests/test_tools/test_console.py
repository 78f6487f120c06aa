"""What whoever trains reads: one screen before the first step, and the error last."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mmsmt.datasets.digits import Parameters, prepare_digits

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command, with stderr in between stdout as a terminal shows them."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | {'PYTHON': sys.executable} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


def test_missing_data_of_several_processes_are_the_last_line(tmp_path: Path) -> None:
    """In a folder without COCO; it was 1,008 lines, the last 108 after the error."""
    config = ROOT / 'configs/det/mask_rcnn_smt_s_3x.py'
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    result = run(ROOT / 'tools/dist_train.sh', config, 2, cwd=tmp_path, MASTER_PORT=port)
    said = result.stdout.splitlines()
    assert result.returncode == 1
    assert said[-1].startswith('error: data/coco/annotations/instances_train2017.json: no such')
    assert len(said) <= 10, result.stdout
    assert sum(line.startswith('error') for line in said) == 1


def test_environment_without_mmsmt_is_named(tmp_path: Path) -> None:
    result = run(ROOT / 'tools/dist_train.sh', 'config.py', 2, cwd=tmp_path, PYTHON='false')
    assert result.returncode == 1
    assert result.stdout == (
        "error: 'false' has no mmsmt: activate its environment, or set PYTHON\n"
    )


@pytest.mark.parametrize(
    ('ending', 'status', 'last'),
    [
        ('os.kill(os.getpid(), 9)', 137, 'error: SIGKILL killed the process of rank 0, possibly'),
        ('sys.exit(3)', 3, 'working'),
        ('raise ValueError("of the user")', 1, 'ValueError: of the user'),
    ],
)
def test_launcher_ends_as_its_process_did(
    tmp_path: Path, ending: str, status: int, last: str
) -> None:
    script = tmp_path / 'script.py'
    script.write_text(f'import os, sys\nprint("working", flush=True)\n{ending}\n')
    launch = (sys.executable, '-m', 'mmsmt.engine.launch', '--standalone', '--nproc_per_node=1')
    result = run(*launch, script, cwd=tmp_path)
    assert result.returncode == status, result.stdout
    assert result.stdout.splitlines()[-1].startswith(last)


def test_training_starts_with_one_screen(tmp_path: Path) -> None:
    prepare_digits(tmp_path / 'data/digits', Parameters(1, 1, 160, 0))
    config = ROOT / 'configs/digits/cls_smt_pico.py'
    options = ('train_cfg.max_epochs=1', 'train_dataloader.dataset.indices=128')
    tool = (sys.executable, ROOT / 'tools/train.py', config, '--no-validate')
    result = run(*tool, '--cfg-options', *options, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    before, first, _ = result.stdout.partition('Epoch(train)')
    assert first and before.count('\n') <= 20, before
    facts = dict(re.findall(r'^(\w+) {2,}(.+)$', before, re.MULTILINE))
    assert facts['train'].startswith('ImageClassifier, 1.4 M parameters; SMT has 1.4 M')
    assert facts['data'].startswith('128 samples, 1 x 64 a batch; CustomDataset data/digits/cls')
    assert facts['weights'] == 'random'
    assert facts['config'] == str(config)
    log = Path(facts['log']).read_text()
    assert 'System environment' in log and 'Hooks will be executed' in log


def test_no_bar_is_drawn_into_a_file(tmp_path: Path) -> None:
    """Not even where colours are forced, as Jupyter does."""
    command = (sys.executable, '-m', 'mmsmt', 'prepare', 'digits', '--renderings', 0)
    result = run(*command, '--scenes', 1, 1, cwd=tmp_path, FORCE_COLOR='1')
    assert result.returncode == 0 and '\x1b' not in result.stdout
