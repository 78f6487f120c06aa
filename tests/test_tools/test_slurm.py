"""The Slurm scripts hand on what the hosts' scripts do; a stand-in for srun shows it."""

import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose srun prints its arguments, one a line."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    return {'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'PYTHON': 'python'}


def run(script: str, *args: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(TOOLS / script), *args], env=env, capture_output=True, text=True)


def test_train(environment: dict[str, str]) -> None:
    env = {**environment, 'GPUS': '16', 'SRUN_ARGS': '--exclusive --time=1:00'}
    result = run('slurm_train.sh', 'gpu', 'name', 'c.py', 'work', '--amp', '--resume', env=env)
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    before, tool = said[: said.index('python')], said[said.index('python') :]
    assert {'--partition=gpu', '--job-name=name', '--ntasks=16', '--ntasks-per-node=8'} <= set(
        before
    )
    assert {'--gres=gpu:8', '--cpus-per-task=5', '--exclusive', '--time=1:00'} <= set(before)
    assert tool[:2] == ['python', '-u'] and Path(tool[2]) == TOOLS / 'train.py'
    assert tool[3:] == ['c.py', '--work-dir', 'work', '--amp', '--resume', '--launcher', 'slurm']


def test_test_on_few_gpus(environment: dict[str, str]) -> None:
    env = {**environment, 'GPUS': '2'}
    result = run('slurm_test.sh', 'gpu', 'name', 'c.py', 'a b.pth', '--tta', env=env)
    said = result.stdout.splitlines()
    assert '--ntasks-per-node=2' in said and '--gres=gpu:2' in said
    assert said[-5:] == ['c.py', 'a b.pth', '--tta', '--launcher', 'slurm']


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_too_few_arguments(script: str, environment: dict[str, str]) -> None:
    result = run(script, 'gpu', 'name', env=environment)
    assert result.returncode == 2 and result.stderr.startswith('usage: ')


def test_without_slurm() -> None:
    result = run('slurm_test.sh', 'p', 'n', 'c.py', 'c.pth', env={'PATH': '/usr/bin:/bin'})
    assert result.returncode == 1
    assert result.stderr == 'error: srun not found: run this where Slurm is\n'
