"""Long work in resumable steps, each a command of `mmsmt`."""

import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import find_latest_checkpoint

from mmsmt.analysis.common.reports import write_json

MMSMT = (sys.executable, '-m', 'mmsmt')
PROGRESS = re.compile(r'(?:Epoch|Iter)\((\w+)\)\s*(\[.*?/\s*\d+\]).*?eta: ([\d:]+)')
PROGRESS_INTERVAL = 1 if sys.stdout.isatty() else 30  # seconds
SHOWN = 30  # lines of a failed step


def run_step(
    name: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> float:
    """Run one tool, its output into a log file, the latest ETA onto the screen.

    Args:
        name: For people.
        arguments: Command of `mmsmt` and its arguments.
        log: File that the output is appended to.
        environment: Variables in addition to those of this process.

    Returns:
        Wall-clock seconds.

    Raises:
        SystemExit: If the tool fails; the message has the end of its output.
    """
    print(f'{name}\n  mmsmt {" ".join(arguments)}', flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    start, shown = time.monotonic(), float('-inf')
    tail: deque[str] = deque(maxlen=SHOWN)
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
                tail.append(line)
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


def step_result(file: Path, make: Callable[[], Any]) -> Any:
    """A step's result: read from its JSON file, or made and written where there is no file."""
    if not file.exists():
        write_json(file, make())
    return json.loads(file.read_text())


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
        environment: As of `run_step`.

    Returns:
        Seconds of the training; where it was interrupted, those after the last interruption.
    """

    def run() -> dict[str, Any]:
        command = ['train', config, '--work-dir', str(folder)]
        command += ['--resume'] if (folder / 'last_checkpoint').exists() else []
        name = f'training for {title}'
        return {'seconds': round(run_step(name, [*command, *arguments], log, environment))}

    return step_result(folder / 'trained.json', run)['seconds']


def evaluate(
    title: str,
    config: str,
    folder: Path,
    log: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Evaluate the last checkpoint of a work dir unless done before; arguments as of `train`.

    Returns:
        What the host's evaluator says, by name, and `seconds`.
    """

    def run() -> dict[str, Any]:
        command = ['test', config, find_latest_checkpoint(str(folder))]
        command += ['--work-dir', str(folder / 'test'), *arguments]
        seconds = run_step(f'evaluating {title}', command, log, environment)
        results = max((folder / 'test').glob('*/*.json'), key=lambda path: path.stat().st_mtime)
        return {'seconds': round(seconds), **json.loads(results.read_text())}

    return step_result(folder / 'evaluated.json', run)
