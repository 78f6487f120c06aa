"""Whole detectors or segmenters: training steps and `tools/test.py`, with the backbone's share.

Digits go through every config's own pipelines at its own sizes; weights are random.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmsmt.backbones.base import FourStageBackbone
from mmsmt.benchmark.timing import Timing, time_in_turn
from mmsmt.datasets.digits.config_adapter import put_on_digits
from mmsmt.datasets.root import data_root
from mmsmt.engine.single_step import build_for_a_while, forward_and_backward
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.request import parse_requests
from mmsmt.paths import carried

USUAL = [
    f'SMT-T={carried("configs") / "det/mask_rcnn_smt_t_1x.py"}',
    'Swin-T=mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
]
SECONDS = re.compile(r'Epoch\(test\).*\btime: ([\d.]+)')


class Prepared(NamedTuple):
    """A model and what it is fed.

    Args:
        model: On the digits.
        wrapper: Of its optimizer.
        batch: Of training images.
        config: File of what `tools/test.py` takes.
        checkpoint: Likewise.
    """

    model: Any
    wrapper: Any
    batch: Any
    config: Path
    checkpoint: Path


def prepare(label: str, cfg: Config, folder: Path, args: argparse.Namespace) -> Prepared:
    """Build a config's model on the digits, and write what tests it."""
    put_on_digits(cfg, str(args.data), args.divisor)
    for name in ('train', 'test'):
        cfg[f'{name}_dataloader'].batch_size = args.batch if name == 'train' else 1
    cfg.test_dataloader.dataset.indices = args.images
    cfg.launcher, cfg.work_dir = 'none', str(folder / f'{label}_run')
    cfg.experiment_name = label
    cfg.default_hooks.logger.interval = 1
    cfg.log_processor.window_size = args.images - 1  # the first prepares itself
    config, checkpoint = folder / f'{label}.py', folder / f'{label}.pth'
    cfg.dump(config)
    runner, model, wrapper = build_for_a_while(cfg)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, checkpoint)
    batch = next(iter(runner.build_dataloader(cfg.train_dataloader, seed=0)))
    return Prepared(model.train(), wrapper, batch, config, checkpoint)


@contextmanager
def backbone_seconds(backbone: nn.Module) -> Iterator[Callable[[], float]]:
    """Clock the backbone in a training step on a CPU, where operations end before the next begins.

    Its backward pass is what follows the last gradient of its maps: everything behind it was run
    later, and goes first.

    Yields:
        What says, right after the backward pass, how long forward and backward passes took.
    """
    times: dict[str, float] = {}

    def enter(*_: Any) -> None:
        times['forward'] = -time.perf_counter()

    def leave(module: nn.Module, inputs: Any, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        times['forward'] += time.perf_counter()
        # Other names of them: a map itself may also be the next stage's input, whose gradient
        # comes in the midst of the backbone's backward pass.
        aliases = tuple(each.view_as(each) for each in maps)
        for alias in aliases:
            alias.register_hook(lambda gradient: times.update(backward=time.perf_counter()))
        return aliases

    hooks = [backbone.register_forward_pre_hook(enter), backbone.register_forward_hook(leave)]
    try:
        yield lambda: times['forward'] + time.perf_counter() - times['backward']
    finally:
        for hook in hooks:
            hook.remove()


def train_step(prepared: Prepared, shares: list[float]) -> None:
    """A step of training; the share of the backbone in it is appended."""
    model, wrapper = prepared.model, prepared.wrapper
    start = time.perf_counter()
    with backbone_seconds(model.backbone) as spent:
        forward_and_backward(model, wrapper, prepared.batch)
        seconds = spent()
    wrapper.step()
    wrapper.zero_grad()
    shares.append(seconds / (time.perf_counter() - start))


def test_seconds(prepared: Prepared, threads: int, *options: str) -> float:
    """Seconds an image of `tools/test.py`, loading included, as its log gives them.

    Raises:
        UsageError: If it fails.
    """
    command = [sys.executable, str(carried('tools') / 'test.py')]
    command += [str(prepared.config), str(prepared.checkpoint), *options]
    environment = {**os.environ, 'OMP_NUM_THREADS': str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = SECONDS.findall(done.stdout + done.stderr)
    if done.returncode or not found:
        raise UsageError(f'tools/test.py {prepared.config.stem}: {done.stderr.strip()[-300:]}')
    return float(found[-1])


def measure(args: argparse.Namespace) -> str:
    """Measure all configs in turn, and give a table in Markdown."""
    if args.images < 2 or args.rounds < 2:
        raise UsageError(f'--images and --rounds must be at least 2: {args.images}, {args.rounds}')
    torch.set_num_threads(args.threads)
    requests = parse_requests(args.models)
    configs = {request.label: read_config(request.config) for request in requests}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {label: prepare(label, cfg, folder, args) for label, cfg in configs.items()}
        shares: dict[str, list[float]] = {label: [] for label in models}
        steps = {
            label: (lambda prepared=prepared, label=label: train_step(prepared, shares[label]))
            for label, prepared in models.items()
        }
        trained = time_in_turn(steps, args.rounds, warmup=1)
        ours = [k for k, v in models.items() if isinstance(v.model.backbone, FourStageBackbone)]
        tests = [(label, ()) for label in models] + [(label, ('--deploy',)) for label in ours]
        tested: dict[tuple, list[float]] = {test: [] for test in tests}
        for _ in range(args.rounds):
            for label, options in tests:
                seconds = test_seconds(models[label], args.threads, *options)
                tested[label, options].append(seconds)
    lines = [
        '| model | training step, s | backbone in it | tools/test.py, images/s |',
        '|---|---|---|---|',
    ]
    for (label, options), seconds in tested.items():
        rates = sorted(1 / each for each in seconds)
        rate = f'{statistics.median(rates):.2f} ({rates[0]:.2f} to {rates[-1]:.2f})'
        if options:
            lines.append(f'| {label}, deploy | | | {rate} |')
            continue
        share = statistics.median(shares[label][1:])
        lines.append(f'| {label} | {_spread(trained[label])} | {share:.0%} | {rate} |')
    return '\n'.join(lines)


def _spread(timing: Timing) -> str:
    return f'{timing.median:.2f} ({timing.low:.2f} to {timing.high:.2f})'


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('models', nargs='*', metavar='[LABEL=]CONFIG', default=USUAL, help='(%(default)s)')
    add('--data', type=Path, default=data_root() / 'digits', help='of prepare_digits.py')
    add('--batch', type=int, default=2, help='images of a training step (2)')
    add('--images', type=int, default=8, help='of a test (8)')
    add('--rounds', type=int, default=3, help='(3)')
    add('--divisor', type=int, default=1, help='shrink images by this factor')
    add('--threads', type=int, default=torch.get_num_threads(), help='(%(default)s)')
    args = parser.parse_args()
    if not args.data.is_dir():
        sys.exit(f'error: {args.data}: no such folder; run mmsmt prepare digits')
    quiet()
    run_tool(lambda: measure(args), print)


if __name__ == '__main__':
    main()
