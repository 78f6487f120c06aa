"""Every method of mmdet and mmseg with a backbone of ours: built, one training step, a prediction.

    .venv/bin/python dev/graft_methods.py [--data data/digits] [--page docs/guides/methods.md]

takes one config of every method folder of the hosts, puts SMT-T into it and runs it on two images
of digits, each in a process of its own. Results are kept in work_dirs/methods.jsonl: the same
command goes on where it was interrupted. At the end the page is written.
"""

import argparse
import json
import os
import re
import resource
import signal
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mmengine.utils import get_installed_path

BACKBONE = dict(type='mmsmt.SMT', arch='tiny')
DIVISORS = (4, 2, 1)  # of image sizes and numbers of proposals; tried in this order
SECONDS = 400  # limit of CPU time per config
# Names of RPNs alone, detectors that read proposals from files, and comparisons of two images.
PART = re.compile('(^|[-_])(rpn|fast-rcnn)_[rx]|levir')
NO_METHODS = ('_base_', 'common')
RESULTS = Path('work_dirs/methods.jsonl')
HEAD = """# Methods of mmdet and mmseg

Every method folder of mmdet {mmdet} and mmseg {mmseg} with SMT-T in it, as
`mmsmt new --method mmdet::FOLDER/CONFIG.py` does it: the model built, the loss of two images,
gradients of all parameters, and a prediction, on the digits at a quarter of the config's image
size, or at more of it where a quarter is too small for the method.

```
python dev/graft_methods.py --page docs/guides/methods.md
```

"""


def choose(folder: Path) -> Path | None:
    """Return the plainest config of a method: with ResNet-50 if possible, and a short name."""

    def order(file: Path) -> tuple:
        depth = len(file.relative_to(folder).parts)
        return (
            depth,
            bool(PART.search(file.name)),
            'r50' not in file.name,
            len(file.name),
            file.name,
        )

    files = [f for f in folder.rglob('*.py') if '_base_' not in f.parts and '_tta' not in f.name]
    return min(files, key=order, default=None)


def find_methods(host: str) -> Iterator[tuple[str, str]]:
    """Folder and config of every method of a host."""
    root = Path(get_installed_path(host), '.mim', 'configs')
    for folder in sorted(f for f in root.iterdir() if f.is_dir() and f.name not in NO_METHODS):
        if config := choose(folder):
            yield folder.name, f'{host}::{config.relative_to(root)}'


def try_one(name: str, data: str) -> dict[str, Any]:
    """Try one config; `reason` is empty if all went well."""
    from mmsmt.checks.trial import try_config
    from mmsmt.engine.tool import quiet
    from mmsmt.hosts.config import read_config
    from mmsmt.hosts.graft import graft

    quiet()
    found: dict[str, Any] = {}
    for divisor in DIVISORS:
        try:
            step = 'read'
            cfg = read_config(name)
            step = 'graft'
            cfg = graft(cfg, BACKBONE)
            # Not the host's, which may set learning rates for layers that another backbone has.
            cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4))
            step = 'run'
            missed = try_config(cfg, data, divisor).without_gradient
        except Exception as error:  # noqa: BLE001  any error is the result
            found = dict(step=step, reason=_sentence(error))
            if step != 'run':
                break
        else:
            if not missed:
                return dict(step='done', reason='')
            reason = f'no gradient for {len(missed)}: {missed[0]}, ...'
            found = dict(step='gradients', reason=reason)
    return found


def _sentence(error: Exception) -> str:
    """Summarize an error in one line, without folders of this machine."""
    lines = [' '.join(line.split()) for line in str(error).splitlines() if line.strip()]
    lines = [re.sub(r'/\S*/(?=configs/)', '', line) for line in lines] or ['no message']
    kind = type(error).__name__
    return lines[-1] if kind == 'UsageError' else f'{kind}: {lines[0]}'


def run_all(hosts: list[str], only: list[str], data: str) -> list[dict[str, Any]]:
    """Try the configs without a result."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    results = {r['config']: r for r in map(json.loads, lines)}
    methods = [(h, *m) for h in hosts for m in find_methods(h) if not only or m[0] in only]
    for host, folder, config in methods:
        if config in results and not only:
            continue
        found = dict(host=host, folder=folder, config=config, **try_apart(config, data))
        results[config] = found
        with RESULTS.open('a') as file:
            file.write(json.dumps(found) + '\n')
        print(f'{config}: {found["step"]} {found["reason"]}', flush=True)
    return [results[config] for _, _, config in methods if config in results]


def try_apart(config: str, data: str) -> dict[str, Any]:
    """Run `try_one` in a forked process, which may crash and has a limit of CPU time.

    Forking saves importing the hosts for each config.
    """
    from mmsmt.checks import trial  # noqa: F401

    context = get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, config, data))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        late = process.exitcode == -signal.SIGXCPU
        return dict(
            step='run', reason=f'not done in {SECONDS} s of CPU time' if late else 'crashed'
        )


def _answer(sender: Connection, config: str, data: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sender.send(try_one(config, data))


def write_page(results: list[dict[str, Any]]) -> str:
    """Counts, and tables of what works and what does not."""
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
    """Try the methods and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('hosts', nargs='*', default=['mmdet', 'mmseg'])
    parser.add_argument('--data', default='data/digits', help='what mmsmt prepare digits wrote')
    parser.add_argument('--only', nargs='+', default=[], help='folders to try again')
    parser.add_argument('--page', type=Path, help='page to write')
    args = parser.parse_args()
    results = run_all(args.hosts, args.only, args.data)
    if args.page:
        args.page.write_text(write_page(results))


if __name__ == '__main__':
    main()
