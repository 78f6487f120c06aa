"""Long work in resumable steps, each a command of `mmsmt`."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import find_latest_checkpoint

from mmsmt.checkpoints import write_atomically

MMSMT = (sys.executable, '-m', 'mmsmt')
PROGRESS = re.compile(r'(?:Epoch|Iter)\((\w+)\)\s*(\[.*?/\s*\d+\]).*?eta: ([\d:]+)')
PROGRESS_INTERVAL = 1 if sys.stdout.isatty() else 30  # seconds


def run_step(
    name: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> float:
    """Run one tool, its output into a log file, the latest ETA onto the screen.

    Args:
        name: For people.
        arguments: Command of `mmsmt` and its arguments.
        log: File that the output is appended to.
        environment: Variables beside those of this process.

    Returns:
        Wall-clock seconds.

    Raises:
        SystemExit: If the tool fails; the message has the end of its output.
    """
    print(f'{name}\n  mmsmt {" ".join(arguments)}', flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    start, shown = time.monotonic(), float('-inf')
    tail: list[str] = []
    with (
        log.open('a') as file,
        subprocess.Popen(
            [*MMSMT, *arguments],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                file.flush()
                tail = [*tail[-11:], line]
                progress = PROGRESS.search(line)
                now = time.monotonic()
                if progress and now - shown > PROGRESS_INTERVAL:
                    shown = now
                    kind, where, eta = progress.groups()
                    end = '\r' if sys.stdout.isatty() else '\n'
                    print(f'  {kind} {where}  {eta} left   ', end=end, flush=True)
        except KeyboardInterrupt:
            process.terminate()
            sys.exit('\ninterrupted: the same command goes on from here')
    seconds = time.monotonic() - start
    if process.returncode:
        sys.exit(f'{"".join(tail)}\n{name} failed, the whole output is in {log}')
    print(f'  done in {seconds:.0f} s' + ' ' * 40, flush=True)
    return seconds


def remember(file: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Write a step's result at once or not at all; its presence says that the step is done."""
    write_atomically(file, json.dumps(facts, indent=2).encode())
    return facts


def train(
    title: str,
    config: str,
    folder: Path,
    log: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> float:
    """Train unless done before; go on from the latest checkpoint where there is one.

    Args:
        title: For people.
        config: Config file.
        folder: Work dir.
        log: File that the output is appended to.
        arguments: Further arguments of `mmsmt train`.
        environment: Variables beside those of this process.

    Returns:
        Seconds of the training; where it was interrupted, those after the last interruption.
    """
    done = folder / 'trained.json'
    if not done.exists():
        command = ['train', config, '--work-dir', str(folder)]
        if (folder / 'last_checkpoint').exists():
            command.append('--resume')
        name = f'training for {title}'
        seconds = run_step(name, [*command, *arguments], log, environment)
        remember(done, {'seconds': round(seconds)})
    return json.loads(done.read_text())['seconds']


def evaluate(
    title: str,
    config: str,
    folder: Path,
    log: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Evaluate the last checkpoint unless done before, with the evaluator of the host.

    Args:
        title: For people.
        config: Config file.
        folder: Work dir of the training.
        log: File that the output is appended to.
        arguments: Further arguments of `mmsmt test`.
        environment: Variables beside those of this process.

    Returns:
        What the evaluator says, by name, and `seconds`.
    """
    done = folder / 'evaluated.json'
    if not done.exists():
        command = ['test', config, find_latest_checkpoint(str(folder))]
        command += ['--work-dir', str(folder / 'test')]
        name = f'evaluating {title}'
        seconds = run_step(name, [*command, *arguments], log, environment)
        results = max((folder / 'test').glob('*/*.json'), key=lambda path: path.stat().st_mtime)
        remember(done, {'seconds': round(seconds), **json.loads(results.read_text())})
    return json.loads(done.read_text())
