"""One backbone in all its forms, in turn: eager, deploy, compiled, bfloat16, ONNX Runtime."""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsmt.benchmark.jobs import compile_network
from mmsmt.benchmark.timing import time_in_turn
from mmsmt.deploy import deploy
from mmsmt.deploy.onnx.exporter import export
from mmsmt.deploy.onnx.verify import open_session
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.errors import UsageError
from mmsmt.hosts.model import backbone_of, load_subject
from mmsmt.hosts.request import Request
from mmsmt.paths import carried

SHAPES = ((8, 224, 224), (1, 800, 1216))
USUAL = carried('configs') / '_base_/backbones/smt_t.py'


def run_in_bfloat16(model: Any, images: Tensor) -> object:
    """A forward pass under autocast."""
    with torch.autocast('cpu', torch.bfloat16):
        return model(images)


def measure(args: argparse.Namespace) -> str:
    """Export, time all forms at all shapes, and give a table in Markdown."""
    if args.rounds < 2:
        raise UsageError(f'--rounds must be at least 2, got {args.rounds}')
    torch.set_num_threads(args.threads)
    model: Any = backbone_of(load_subject(Request('model', args.config)).model)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, file = Path(folder) / 'weights.pth', Path(folder) / 'backbone.onnx'
        torch.save({'state_dict': model.state_dict()}, checkpoint)
        done = export(args.config, str(checkpoint), file, backbone_only=True)
        session = open_session(file, args.threads)
    largest = max(max(check.differences.values()) for check in done.checks)
    forms: dict[str, Any] = {'eager': model, 'deploy': deploy(model)}
    compiled = {f'{k}, compiled': compile_network(form, 'default') for k, form in forms.items()}
    halved = {f'{k}, bfloat16': partial(run_in_bfloat16, form) for k, form in forms.items()}
    forms |= compiled | halved
    lines = [
        f'Exported file and host differ by {largest:.1e} at most.',
        '',
        '| images | form | ms (quartiles) | eager / form |',
        '|---|---|---|---|',
    ]
    for batch, height, width in SHAPES:
        pixels = torch.randint(256, (batch, height, width, 3), dtype=torch.uint8)
        images = pixels.permute(0, 3, 1, 2) / 255
        calls: dict[str, Any] = {name: partial(form, images) for name, form in forms.items()}
        calls['ONNX Runtime'] = partial(session.run, None, {'images': pixels.numpy()})
        with torch.inference_mode():
            timings = time_in_turn(calls, args.rounds)
        for name, timing in timings.items():
            median, low, high = (f'{1e3 * seconds:.0f}' for seconds in timing)
            ratio = timings['eager'].median / timing.median
            shape = f'{batch} x {height} x {width}'
            lines.append(f'| {shape} | {name} | {median} ({low} to {high}) | {ratio:.2f} |')
    return '\n'.join(lines)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', nargs='?', default=str(USUAL), help='with a backbone (SMT-T)')
    add('--rounds', type=int, default=5, help='(5)')
    add('--threads', type=int, default=torch.get_num_threads(), help='(%(default)s)')
    args = parser.parse_args()
    quiet()
    run_tool(lambda: measure(args), print)


if __name__ == '__main__':
    main()
