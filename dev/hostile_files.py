"""What becomes of hostile weight files: this package's way of loading beside that of the hosts.

Every file is loaded in a process of its own into a classifier of mmpretrain; the table says how
many were refused, ran a command, or left which weights in the model, and how much memory it took.
"""

import argparse
import json
import os
import resource
import signal
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mmengine.runner
import mmpretrain.models  # noqa: F401  registers them
import torch
from hostile_corpus import MARKER, Sample, State, make_corpus
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmsmt.checkpoints import read_container
from mmsmt.engine.tool import quiet
from mmsmt.hosts.weights import fit_weights

SECONDS = 60  # for one file
# What the hosts were written for, and what resuming with them takes: everything is unpickled.
UNPROTECTED = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


class Outcome(NamedTuple):
    """What loading one file led to.

    Args:
        result: `refused`, `as saved`, `other weights`, `ran`, `crashed`.
        lines: Of the message, where it was refused.
        grown: Memory beyond what the process had before, MiB.
    """

    result: str
    lines: int
    grown: float


def load_by_mmsmt(model: nn.Module, path: Path) -> None:
    """As `load_from` in a run with `mmsmt.StrictLoadHook`."""
    state, _ = fit_weights(model, read_container(path), str(path))
    model.load_state_dict(state)


def load_by_hosts(model: nn.Module, path: Path) -> None:
    """As `load_from` in a run of a host's own tools."""
    mmengine.runner.load_checkpoint(model, str(path), map_location='cpu', logger='silent')


def load_unprotected(model: nn.Module, path: Path) -> None:
    """As the hosts under the PyTorch that they were made for."""
    os.environ[UNPROTECTED] = '1'
    load_by_hosts(model, path)


WAYS: dict[str, Callable[[nn.Module, Path], None]] = {
    'mmsmt': load_by_mmsmt,
    'hosts': load_by_hosts,
    'hosts, unpickling': load_unprotected,
}


def build() -> nn.Module:
    """A small classifier, other weights at every call."""
    head = dict(type='LinearClsHead', num_classes=10, in_channels=84)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(dict(type='ImageClassifier', backbone=dict(type='LeNet5'), head=head))


def judge(load: Callable, sample: Sample, saved: State, marker: Path) -> tuple[str, int]:
    """Load, in this process, and look at what is in the model afterwards."""
    model = build()
    lines = 0
    try:
        load(model, sample.path)
        now = model.state_dict()
        same = all(torch.equal(now[name], value) for name, value in saved.items())
        result = 'as saved' if same else 'other weights'
    except Exception as error:  # noqa: BLE001  which ones the hosts let through is the question
        result, lines = 'refused', str(error).count('\n') + 1
    return ('ran' if marker.exists() else result), lines


def try_file(load: Callable, sample: Sample, saved: State, marker: Path) -> Outcome:
    """Load one file in a process of its own."""
    marker.unlink(missing_ok=True)
    before = int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os.write(write_end, json.dumps(judge(load, sample, saved, marker)).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        told = pipe.read()
    _, _, usage = os.wait4(child, 0)
    grown = max(0.0, usage.ru_maxrss / 1024 - before / 2**20)
    if not told:
        return Outcome('ran' if marker.exists() else 'crashed', 0, grown)
    return Outcome(*json.loads(told), grown)


RESULTS = ('refused', 'as saved', 'other weights', 'ran', 'crashed')


def table(samples: list[Sample], outcomes: dict[str, list[Outcome]]) -> str:
    """Markdown: a row a kind, and for every way counts of results and peak memory."""
    ways = list(outcomes)
    rows = [
        '| what is wrong | files | ' + ' | '.join(ways) + ' |',
        '|---|---|' + '---|' * len(ways),
    ]
    groups: dict[str, list[int]] = defaultdict(list)
    for number, sample in enumerate(samples):
        groups[sample.kind].append(number)
    groups['all'] = list(range(len(samples)))
    for kind, numbers in groups.items():
        cells = [kind, str(len(numbers))]
        for way in ways:
            chosen = [outcomes[way][number] for number in numbers]
            counts = Counter(outcome.result for outcome in chosen)
            found = [f'{counts[result]} {result}' for result in RESULTS if counts[result]]
            cells.append(f'{", ".join(found)}; {max(o.grown for o in chosen):.0f} MiB')
        rows.append(f'| {" | ".join(cells)} |')
    return '\n'.join(rows)


def main() -> None:
    """Make the corpus, load it in every way, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--flips', type=int, default=200, help='turned bits a format (%(default)s)')
    parser.add_argument('--bomb', type=int, default=256, help='MiB of the bomb (%(default)s)')
    args = parser.parse_args()
    quiet()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(1)  # a forked process has no others
    saved = build().state_dict()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = make_corpus(folder, saved, args.flips, args.bomb)
        outcomes = {
            way: [try_file(load, sample, saved, folder / MARKER) for sample in samples]
            for way, load in WAYS.items()
        }
    print(table(samples, outcomes))
    for way, found in outcomes.items():
        refused = [outcome for outcome in found if outcome.result == 'refused']
        print(
            f'{way}: {sum(o.lines > 1 for o in refused)} of {len(refused)} refusals over one line'
        )


if __name__ == '__main__':
    main()
