"""Resumable steps of a long run, each a command of `mmsmt`."""

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
SHOWN = 30  # last lines shown of a failed step


def run_step(
    name: str,
    arguments: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
) -> float:
    """Run a tool with its output in a log file and the latest ETA on the screen.

    Args:
        name: Name for display.
        arguments: Command of `mmsmt` with its arguments.
        log: File to append the output to.
        environment: Additional environment variables.
        keep: File descriptors that stay open in the tool, such as that of a lock.

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
            pass_fds=keep,
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
            sys.exit('\ninterrupted: run the same command again to continue')
    seconds = time.monotonic() - start
    if process.returncode:
        sys.exit(f'{"".join(tail)}\n{name} failed, the whole output is in {log}')
    print(f'  done in {seconds:.0f} s' + ' ' * 40, flush=True)
    return seconds


def step_result(file: Path, make: Callable[[], Any]) -> Any:
    """Return a step's result, from its JSON file if it exists, otherwise computed and saved."""
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
    keep: Sequence[int] = (),
) -> float:
    """Train unless already done; resume from the latest checkpoint if there is one.

    Args:
        title: Name for display.
        config: Config file.
        folder: Work dir.
        log: File to append the output to.
        arguments: Further arguments of `mmsmt train`.
        environment: See `run_step`.
        keep: See `run_step`.

    Returns:
        Training time in seconds; after an interruption, only the time since then.
    """

    def run() -> dict[str, Any]:
        command = ['train', config, '--work-dir', str(folder)]
        command += ['--resume'] if (folder / 'last_checkpoint').exists() else []
        name = f'training for {title}'
        return {'seconds': round(run_step(name, [*command, *arguments], log, environment, keep))}

    return step_result(folder / 'trained.json', run)['seconds']


def evaluate(
    title: str,
    config: str,
    folder: Path,
    log: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
) -> dict[str, Any]:
    """Evaluate the last checkpoint of a work dir unless already done; arguments as for `train`.

    Returns:
        The results of the host's evaluator by name, and `seconds`.
    """

    def run() -> dict[str, Any]:
        command = ['test', config, find_latest_checkpoint(str(folder))]
        command += ['--work-dir', str(folder / 'test'), *arguments]
        seconds = run_step(f'evaluating {title}', command, log, environment, keep)
        results = max((folder / 'test').glob('*/*.json'), key=lambda path: path.stat().st_mtime)
        return {'seconds': round(seconds), **json.loads(results.read_text())}

    return step_result(folder / 'evaluated.json', run)
