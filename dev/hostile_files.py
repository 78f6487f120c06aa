"""What becomes of hostile weight files: loading by this package compared with the hosts.

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
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mmengine.runner
import mmpretrain.models  # noqa: F401  registers them
import torch
from hostile_corpus import MARKER, Sample, State, make_corpus
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmsmt.analysis.common.reports import markdown_table
from mmsmt.checkpoints import read_container
from mmsmt.engine.tool import quiet
from mmsmt.hosts.weights import fit_weights

SECONDS = 60  # for one file
# What the hosts were written for, and what resuming with them takes: everything is unpickled.
UNPROTECTED = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
RESULTS = ('refused', 'as saved', 'other weights', 'ran', 'crashed')


class Outcome(NamedTuple):
    """What loading one file led to.

    Args:
        result: One of RESULTS.
        lines: Of the message, where it was refused.
        grown: Memory in addition to what the process had before, MiB.
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


WAYS = {'mmsmt': load_by_mmsmt, 'hosts': load_by_hosts, 'hosts, unpickling': load_unprotected}


def build() -> nn.Module:
    """A small classifier, other weights at every call."""
    head = dict(type='LinearClsHead', num_classes=10, in_channels=84)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(dict(type='ImageClassifier', backbone=dict(type='LeNet5'), head=head))


def judge(load: Callable, sample: Sample, saved: State) -> tuple[str, int]:
    """Load, in this process, and look at what is in the model afterwards."""
    model = build()
    try:
        load(model, sample.path)
    except Exception as error:  # noqa: BLE001  which ones the hosts let through is the question
        return 'refused', str(error).count('\n') + 1
    now = model.state_dict()
    same = all(torch.equal(now[name], value) for name, value in saved.items())
    return 'as saved' if same else 'other weights', 0


def try_file(load: Callable, sample: Sample, saved: State, marker: Path) -> Outcome:
    """Load one file in a process of its own."""
    marker.unlink(missing_ok=True)
    before = int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os.write(write_end, json.dumps(judge(load, sample, saved)).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        told = pipe.read()
    _, _, usage = os.wait4(child, 0)
    result, lines = json.loads(told) if told else ('crashed', 0)
    grown = max(0.0, usage.ru_maxrss / 1024 - before / 2**20)
    return Outcome('ran' if marker.exists() else result, lines, grown)


def cell(outcomes: list[Outcome]) -> str:
    """Counts of results and peak memory."""
    counts = Counter(outcome.result for outcome in outcomes)
    found = [f'{counts[result]} {result}' for result in RESULTS if counts[result]]
    return f'{", ".join(found)}; {max(outcome.grown for outcome in outcomes):.0f} MiB'


def main() -> None:
    """Make the corpus, load it in every way, print a row for every kind of file."""
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
    rows = [['what is wrong', 'files', *WAYS]]
    for kind in [*dict.fromkeys(sample.kind for sample in samples), 'all']:
        chosen = [n for n, sample in enumerate(samples) if kind in (sample.kind, 'all')]
        cells = [cell([outcomes[way][n] for n in chosen]) for way in WAYS]
        rows.append([kind, str(len(chosen)), *cells])
    print(markdown_table(rows))
    for way, found in outcomes.items():
        refused = [outcome.lines for outcome in found if outcome.result == 'refused']
        long = sum(lines > 1 for lines in refused)
        print(f'{way}: {long} of {len(refused)} refusals over one line')


if __name__ == '__main__':
    main()
