"""Test every method of mmdet and mmseg with our backbone: build, training step, prediction.

    .venv/bin/python dev/graft_methods.py [--data data/digits] [--page docs/methods.md]

takes one config of every method folder of the hosts, replaces the backbone by SMT-T and runs it on
two images of digits, each config in its own process. Results are kept in work_dirs/methods.jsonl,
so that the same command continues an interrupted run. At the end the page is written.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.utils import get_installed_path

BACKBONE = dict(type='mmsmt.SMT', arch='tiny')
DIVISOR = 4  # divisor of image sizes and numbers of proposals
SECONDS = 240  # time limit per config
NO_METHODS = ('_base_', 'common')
RESULTS = Path('work_dirs/methods.jsonl')
HEAD = """# Methods of mmdet and mmseg

Every method folder of mmdet {mmdet} and mmseg {mmseg} with SMT-T in it, as
`mmsmt new --method mmdet::FOLDER/CONFIG.py` does it: the model built, the loss of two images,
gradients of all parameters, and a prediction, on the digits at a quarter of the config's size.

```
python dev/graft_methods.py --page docs/methods.md
```

"""


def choose(folder: Path) -> Path | None:
    """Return the plainest config of a method: with ResNet-50 if possible, and a short name."""
    files = [f for f in folder.rglob('*.py') if '_base_' not in f.parts]
    return min(files, key=lambda f: ('r50' not in f.name, len(f.name), f.name), default=None)


def find_methods(host: str) -> Iterator[tuple[str, str]]:
    """Yield folder and config of every method of a host."""
    root = Path(get_installed_path(host), '.mim', 'configs')
    for folder in sorted(f for f in root.iterdir() if f.is_dir() and f.name not in NO_METHODS):
        if config := choose(folder):
            yield folder.name, f'{host}::{config.relative_to(root)}'


def try_one(name: str, data: str) -> dict[str, Any]:
    """Return the result of one config; `reason` is empty on success."""
    from mmsmt.checks.trial import try_config
    from mmsmt.engine.tool import quiet
    from mmsmt.hosts.config import read_config
    from mmsmt.hosts.graft import graft

    quiet()
    step = 'read'
    try:
        cfg = read_config(name)
        step = 'graft'
        cfg = graft(cfg, BACKBONE)
        # Not the host's, which may set learning rates for layers that another backbone has.
        cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4))
        step = 'run'
        trial = try_config(cfg, data, DIVISOR)
    except Exception as error:  # noqa: BLE001  whatever is wrong is what is asked for
        text = str(error).strip() or 'no message'
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        kind = type(error).__name__
        return dict(step=step, reason=lines[-1] if kind == 'UsageError' else f'{kind}: {lines[0]}')
    if missed := trial.without_gradient:
        return dict(step='gradients', reason=f'no gradient for {len(missed)}: {missed[0]}, ...')
    return dict(step='done', reason='')


def run_all(hosts: list[str], only: list[str], data: str) -> list[dict[str, Any]]:
    """Try the configs that have no result yet."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    results = {r['config']: r for r in map(json.loads, lines)}
    methods = [(h, *m) for h in hosts for m in find_methods(h) if not only or m[0] in only]
    for host, folder, config in methods:
        if config in results and not only:
            continue
        start = time.monotonic()
        command = [sys.executable, __file__, '--one', config, '--data', data]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS).stdout
            answers = [line for line in said.splitlines() if line.startswith('{"step"')]
            found = json.loads(answers[-1]) if answers else dict(step='run', reason='crashed')
        except subprocess.TimeoutExpired:
            found = dict(step='run', reason=f'not done in {SECONDS} s')
        found |= dict(host=host, folder=folder, config=config)
        found['seconds'] = round(time.monotonic() - start)
        results[config] = found
        with RESULTS.open('a') as file:
            file.write(json.dumps(found) + '\n')
        print(f'{config}: {found["step"]} {found["reason"]}', flush=True)
    return [results[config] for _, _, config in methods if config in results]


def write_page(results: list[dict[str, Any]]) -> str:
    """Return counts, and tables of what works and what does not."""
    from importlib.metadata import version

    names = dict(mmdet='mmdet', mmseg='mmsegmentation')
    parts = [HEAD.format(**{host: version(package) for host, package in names.items()})]
    for host in dict.fromkeys(r['host'] for r in results):
        mine = [r for r in results if r['host'] == host]
        good = [r for r in mine if r['step'] == 'done']
        works = ', '.join(r['folder'] for r in good)
        parts.append(f'## {host}: {len(good)} of {len(mine)}\n\n{works}.\n\n')
        rows = [
            f'| {r["folder"]} | `{r["config"].partition("/")[2]}` | {_cell(r["reason"])} |'
            for r in mine
            if r['step'] != 'done'
        ]
        parts.append('\n'.join(['| not | config | because |', '|---|---|---|', *rows]) + '\n\n')
    return ''.join(parts).rstrip() + '\n'


def _cell(text: str) -> str:
    return text.replace('|', '/')[:160]


def main() -> None:
    """Try the methods, or one config in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('hosts', nargs='*', default=['mmdet', 'mmseg'])
    parser.add_argument(
        '--data', default='data/digits', help='folder written by mmsmt prepare digits'
    )
    parser.add_argument('--only', nargs='+', default=[], help='folders to try again')
    parser.add_argument('--page', type=Path, help='page to write')
    parser.add_argument('--one', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(try_one(args.one, args.data)))
        return
    results = run_all(args.hosts, args.only, args.data)
    if args.page:
        args.page.write_text(write_page(results))


if __name__ == '__main__':
    main()
