"""Train and evaluate one backbone on three tasks, on real digits, without a GPU.

Every step is a command that you could type; interrupted, the demo goes on where it was.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mmengine.runner import find_latest_checkpoint

from mmsmt.analysis import contact_sheet, plot_curves

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = Path('configs/digits')
PROGRESS = re.compile(r'(?:Epoch|Iter)\((\w+)\)\s*(\[.*?/\s*\d+\]).*?eta: ([\d:]+)')
PROGRESS_INTERVAL = 1 if sys.stdout.isatty() else 30  # seconds


@dataclass(frozen=True)
class Task:
    """One training and its evaluation.

    Args:
        title: For people.
        method: What the names of its configs in configs/digits begin with.
        metrics: Name in the evaluator's result to name in the table.
    """

    title: str
    method: str
    metrics: dict[str, str]


TASKS = (
    Task('classification', 'cls', {'accuracy/top1': 'top-1 (%)'}),
    Task(
        'detection with masks',
        'mask_rcnn',
        {'coco/bbox_mAP': 'box AP', 'coco/segm_mAP': 'mask AP'},
    ),
    Task('segmentation', 'upernet', {'mIoU': 'mIoU (%)'}),
)


def run_step(name: str, arguments: list[str], log: Path) -> float:
    """Run one tool, its output into a log file, the latest ETA onto the screen.

    Args:
        name: For people.
        arguments: Script and its arguments.
        log: File that the output is appended to.

    Returns:
        Wall-clock seconds.
    """
    print(f'{name}\n  python {" ".join(arguments)}', flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    start, shown = time.monotonic(), float('-inf')
    with (
        log.open('a') as file,
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
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
                progress = PROGRESS.search(line)
                now = time.monotonic()
                if progress and now - shown > PROGRESS_INTERVAL:
                    shown = now
                    kind, where, eta = progress.groups()
                    end = '\r' if sys.stdout.isatty() else '\n'
                    print(f'  {kind} {where}  {eta} left   ', end=end, flush=True)
        except KeyboardInterrupt:
            process.terminate()
            sys.exit('\ninterrupted: `make demo` goes on from here')
    seconds = time.monotonic() - start
    if process.returncode:
        tail = ''.join(log.read_text().splitlines(keepends=True)[-12:])
        sys.exit(f'{tail}\n{name} failed, the whole output is in {log}')
    print(f'  done in {seconds:.0f} s' + ' ' * 40, flush=True)
    return seconds


def remember(file: Path, facts: dict) -> dict:
    """Write a step's result at once or not at all; its presence says that the step is done."""
    temporary = file.with_suffix('.tmp')
    temporary.write_text(json.dumps(facts, indent=2))
    temporary.replace(file)
    return facts


def config_file(folder: Path) -> str:
    """The config that a task's folder is named after."""
    return f'{CONFIGS / folder.name}.py'


def train(task: Task, folder: Path, log: Path, options: list[str]) -> None:
    """Train unless done before; go on from the latest checkpoint where there is one."""
    if (folder / 'trained.json').exists():
        return
    arguments = ['tools/train.py', config_file(folder), '--work-dir', str(folder)]
    if (folder / 'last_checkpoint').exists():
        arguments.append('--resume')
    if options:
        # Scenes are evaluated right afterwards, once is enough.
        arguments += ['--no-validate', '--cfg-options', *options]
    seconds = run_step(f'training for {task.title}', arguments, log)
    remember(folder / 'trained.json', {'seconds': round(seconds)})


def evaluate(task: Task, folder: Path, log: Path) -> dict:
    """Evaluate unless done before, with the evaluator and the pictures of the host."""
    done = folder / 'evaluated.json'
    if done.exists():
        return json.loads(done.read_text())
    checkpoint = find_latest_checkpoint(str(folder))
    arguments = ['tools/test.py', config_file(folder), checkpoint]
    arguments += ['--work-dir', f'{folder}/test', '--show-dir', f'{folder}/pictures']
    if task.method == 'upernet':  # mmseg takes a third of a second a picture
        arguments += ['--cfg-options', 'default_hooks.visualization.interval=10']
    seconds = run_step(f'evaluating {task.title}', arguments, log)
    results = max((folder / 'test').glob('*/*.json'), key=lambda path: path.stat().st_mtime)
    return remember(done, {'seconds': round(seconds), **json.loads(results.read_text())})


def picture(out: Path, folders: dict[str, Path]) -> None:
    """Draw learning curves and predictions of all tasks into one picture."""
    plot_curves({task.title: folders[task.method] for task in TASKS}, out / 'curves.png')
    found = {
        name: sorted(
            path for path in (folder / 'pictures').rglob('*') if path.suffix in ('.png', '.jpg')
        )
        for name, folder in folders.items()
    }
    scenes = [path.name.removeprefix('test_')[:6] for path in found['upernet'][:3]]
    rows = [
        ('classification of held-out digits', found['cls'][::60][:8]),
        (
            'detection with masks: truth left, prediction right',
            [path for path in found['mask_rcnn'] if path.stem in scenes],
        ),
        ('segmentation: truth left, prediction right', found['upernet'][:3]),
        ('training', [out / 'curves.png']),
    ]
    contact_sheet(rows, out / 'demo.png')


def main() -> None:
    """Run what is left of the demo and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument(
        '--backbone', default='smt_pico', help='the end of the names of three configs/digits files'
    )
    args = parser.parse_args()
    out, folders = args.out, {t.method: args.out / f'{t.method}_{args.backbone}' for t in TASKS}
    for folder in folders.values():
        if not (ROOT / config_file(folder)).is_file():
            sys.exit(f'error: --backbone {args.backbone}: no {config_file(folder)}')
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    log = out / 'demo.log'
    run_step('data', ['tools/prepare_digits.py'], log)
    options: list[str] = []
    lines = ['| task | trained | evaluated | result |', '|---|---|---|---|']
    for task in TASKS:
        folder = folders[task.method]
        train(task, folder, log, options)
        # Each starts from the backbone of the one before: detection from classification as in
        # the papers, segmentation from detection, which has seen the scenes.
        source = find_latest_checkpoint(str(folder))
        options = [f'model.backbone.init_cfg.checkpoint={source}']
        result = evaluate(task, folder, log)
        trained = json.loads((folder / 'trained.json').read_text())['seconds']
        values = ', '.join(f'{label} {result[key]:.3f}' for key, label in task.metrics.items())
        lines.append(f'| {task.title} | {trained} s | {result["seconds"]} s | {values} |')
    picture(out, folders)
    table = '\n'.join(lines)
    (out / 'results.md').write_text(table + '\n')
    print(f'\n{table}\n\npictures: {out}/demo.png')


if __name__ == '__main__':
    main()
