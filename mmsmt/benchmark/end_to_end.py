"""End-to-end speed of detectors and segmenters: training steps and `tools/test.py`.

All configs use the digits with their own pipelines and sizes; weights are random.
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
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmsmt.analysis.common.reports import markdown_table
from mmsmt.backbones.base import FourStageBackbone
from mmsmt.benchmark.jobs import TRAINING
from mmsmt.benchmark.timing import time_in_turn
from mmsmt.datasets.digits.config_adapter import put_on_digits
from mmsmt.deploy.export.exporter import export
from mmsmt.engine.single_step import build_for_a_while, forward_and_backward
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.request import parse_requests
from mmsmt.paths import carried

USUAL = [
    f'SMT-T={carried("configs") / "det/mask_rcnn_smt_t_1x.py"}',
    'Swin-T=mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
]
HEADER = ('model', 'training step, s', 'backbone in it', 'tools/test.py, images/s')
# Tested file and options of the test, by way.
WAYS: dict[str, tuple[str, list[str]]] = {
    'eager': ('.pth', []),
    'deploy': ('.pth', ['--deploy']),
    'onnxruntime': ('.onnx', []),
    'openvino': ('.xml', []),
    'openvino-bf16': ('.xml', ['--precision', 'bfloat16']),
}
SECONDS = re.compile(r'Epoch\(test\).*\btime: ([\d.]+)')


def _prepare(
    label: str, cfg: Config, folder: Path, args: argparse.Namespace
) -> tuple[Any, Any, Any]:
    """Build a config's model, optimizer wrapper and a training batch of the digits.

    Also writes `<label>.py` and `<label>.pth` for `tools/test.py`.
    """
    put_on_digits(cfg, str(args.data), args.divisor)
    cfg.train_dataloader.batch_size, cfg.test_dataloader.batch_size = args.batch, 1
    cfg.test_dataloader.dataset.indices = args.images
    cfg.launcher, cfg.work_dir = 'none', str(folder / f'{label}_run')
    cfg.experiment_name = label
    cfg.default_hooks.logger.interval = 1
    cfg.log_processor.window_size = args.images - 1  # the first one includes set-up
    cfg.dump(folder / f'{label}.py')
    runner, model, wrapper = build_for_a_while(cfg)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / f'{label}.pth')
    batch = next(iter(runner.build_dataloader(cfg.train_dataloader, seed=0)))
    return model.train(), wrapper, batch


@contextmanager
def backbone_seconds(backbone: nn.Module) -> Iterator[Callable[[], float]]:
    """Time the backbone in a training step on a CPU, where operations run one after the other.

    Its backward pass is everything after the last gradient of its maps: the layers behind it ran
    later, so their gradients come first.

    Yields:
        Function that returns, right after the backward pass, the seconds of both passes.
    """
    times: dict[str, float] = {}

    def enter(*_: Any) -> None:
        times['forward'] = -time.perf_counter()

    def leave(module: nn.Module, inputs: Any, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        times['forward'] += time.perf_counter()
        # Aliases: a map itself may also be the next stage's input, whose gradient comes in the
        # middle of the backbone's backward pass.
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


def _train_step(model: Any, wrapper: Any, batch: Any, shares: list[float]) -> None:
    """Run a training step, and append the backbone's share of its time."""
    start = time.perf_counter()
    with backbone_seconds(model.backbone) as spent:
        forward_and_backward(model, wrapper, batch)
        seconds = spent()
    wrapper.step()
    wrapper.zero_grad()
    shares.append(seconds / (time.perf_counter() - start))


def _test_rate(config: Path, way: str, threads: int) -> float:
    """Return the images per second of `tools/test.py` from its log, including loading."""
    suffix, options = WAYS[way]
    command = [sys.executable, str(carried('tools') / 'test.py')]
    command += [str(config), str(config.with_suffix(suffix)), *options]
    environment = {**os.environ, 'OMP_NUM_THREADS': str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = SECONDS.findall(done.stdout + done.stderr)
    if done.returncode or not found:
        raise UsageError(f'tools/test.py {config.stem}: {done.stderr.strip()[-300:]}')
    return 1 / float(found[-1])


def report_end_to_end(args: argparse.Namespace) -> str:
    """Measure all configs in turn, and return a Markdown table.

    Raises:
        UsageError: If an argument is wrong, or `tools/test.py` fails.
    """
    if args.images < 2:
        raise UsageError(f'--images must be at least 2, got {args.images}')
    if unknown := [way for way in args.ways if way not in WAYS]:
        raise UsageError(
            f'--ways {unknown[0]} does not apply to --end-to-end; known: {", ".join(WAYS)}'
        )
    if not args.data.is_dir():
        raise UsageError(f'{args.data}: no such folder; run `mmsmt prepare digits`')
    torch.set_num_threads(args.threads)
    requests = parse_requests(args.models or USUAL)
    configs = {request.label: read_config(request.config) for request in requests}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {label: _prepare(label, cfg, folder, args) for label, cfg in configs.items()}
        shares: dict[str, list[float]] = {label: [] for label in models}
        steps: dict[str, Any] = {
            k: partial(_train_step, *parts, shares[k]) for k, parts in models.items()
        }
        trained = time_in_turn(steps, args.rounds, warmup=1) if TRAINING in args.steps else {}
        ours = [k for k, v in models.items() if isinstance(v[0].backbone, FourStageBackbone)]
        rates: dict[tuple[str, str], list[float]] = {
            (label, way): []
            for label in models
            for way in args.ways
            if way == 'eager' or label in ours
        }
        scenes = args.data / 'scenes/images/val'
        for label, suffix in dict.fromkeys((label, WAYS[way][0]) for label, way in rates):
            file = folder / f'{label}.py'
            if suffix != '.pth':
                weights, out = str(file.with_suffix('.pth')), file.with_suffix(suffix)
                export(str(file), weights, out, images=scenes, limit=1)
        for _ in range(args.rounds):
            for (label, way), measured in rates.items():
                measured.append(_test_rate(folder / f'{label}.py', way, args.threads))
    rows: list[Any] = [HEADER]
    for (label, way), measured in rates.items():
        rate = _spread(statistics.median(measured), min(measured), max(measured))
        step = share = ''
        if way == 'eager' and trained:
            step, share = _spread(*trained[label]), f'{statistics.median(shares[label][1:]):.0%}'
        rows.append((label if way == 'eager' else f'{label}, {way}', step, share, rate))
    return markdown_table(rows)


def _spread(middle: float, low: float, high: float) -> str:
    return f'{middle:.2f} ({low:.2f} to {high:.2f})'
