"""Deviations after five training steps with compiled mmcv and with `mmsmt.ops`.

    python dev/operator_references/training_steps.py [MODEL ...]

prints a Markdown table of the largest deviations: `gradients` are those of the first step,
`typical` is the RMS over all weights relative to the maximum change by AdamW, `masks` a share of
pixels. For comparison, `rounded` is compiled operators with initial weights one rounding apart. On
a CPU the hosts have their own functions for deformable attention and focal loss; our side uses the
operators, as on GPUs. AdamW's epsilon is one below which gradients are noise: with 1e-8 and batch
norms in training mode, even compiled operators diverge within five steps.
"""

import argparse
import copy
import importlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import torch
from mmengine.model import BaseModel
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from operator_references import small_models

STEPS = 5
RATE = 1e-4
MODELS = tuple(small_models.CONFIGS)[:9]  # those that compiled mmcv can train on a CPU
SIDES = ('compiled', 'torch', 'rounded')


class Training(NamedTuple):
    """Results of five training steps."""

    losses: Tensor
    gradients: dict[str, Tensor]  # of the first step
    weights: dict[str, Tensor]
    predictions: dict[str, Tensor]


def training_step(model: BaseModel, batch: dict[str, Any]) -> Tensor:
    """Return the loss of a batch, which is not changed."""
    inputs = model.data_preprocessor(copy.deepcopy(batch), True)
    return model.parse_losses(model(**inputs, mode='loss'))[0]


def predict(model: BaseModel, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Return the predictions for the first image."""
    model.eval()
    with torch.no_grad():
        sample = model.test_step({k: copy.deepcopy(v[:1]) for k, v in batch.items()})[0]
    found = sample.get('pred_instances') or sample.seg_logits
    return {k: v for k, v in found.items() if isinstance(v, Tensor)}


def train(name: str, rounded: bool = False) -> Training:
    """Run five steps of AdamW in float32."""
    model, batch, losses = small_models.build(name).train(), small_models.batch(name), []
    gradients: dict[str, Tensor] = {}
    if rounded:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.nextafter(parameter, torch.tensor(torch.inf)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, eps=1e-4)
    small_models.seed()
    for _ in range(STEPS):
        loss = training_step(model, batch)
        optimizer.zero_grad()
        loss.backward()
        if not gradients:
            named = model.named_parameters()
            gradients = {k: p.grad.clone() for k, p in named if p.grad is not None}
        optimizer.step()
        losses.append(loss.detach())
    weights = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    return Training(torch.stack(losses), gradients, weights, predict(model, batch))


def use_operators_of_gpus() -> None:
    """Replace the hosts' CPU functions by the operators, with the same arguments."""
    attention = importlib.import_module('mmcv.ops.multi_scale_deform_attn')
    focal = importlib.import_module('mmdet.models.losses.focal_loss')

    def attend(value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        starts = shapes.prod(1).cumsum(0) - shapes.prod(1)
        function = attention.MultiScaleDeformableAttnFunction.apply
        return function(value, shapes, starts, locations, weights, 64)

    def focal_loss(scores: Tensor, one_hot: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        labels = torch.where(one_hot.any(1), one_hot.int().argmax(1), one_hot.shape[1])
        return focal.sigmoid_focal_loss(scores, labels, *args, **kwargs)

    vars(attention).update(multi_scale_deformable_attn_pytorch=attend)
    vars(focal).update(py_sigmoid_focal_loss=focal_loss)


def record(side: str, names: list[str], file: Path) -> None:
    """Train with the operators of this process, and save the results."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    if side == 'torch':
        use_operators_of_gpus()
    found = {}
    for name in names:
        start = time.perf_counter()
        found[name] = train(name, rounded=side == 'rounded')
        print(f'{side} {name}: {time.perf_counter() - start:.1f} s', file=sys.stderr)
    torch.save({name: training._asdict() for name, training in found.items()}, file)


def trainings(side: str, names: list[str]) -> dict[str, Training]:
    """Run trainings in a fresh process with the operators of one side."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'trainings.pth')
        operators = 'torch' if side == 'torch' else 'compiled'
        subprocess.run(
            [sys.executable, '-W', 'ignore', __file__, *names, '--side', side, '--file', file],
            env=os.environ | {'MMSMT_OPS': operators},
            check=True,
        )
        return {name: Training(**kept) for name, kept in torch.load(file).items()}


def _largest(found: dict[str, Tensor], wanted: dict[str, Tensor], floor: float) -> float:
    """Return the largest difference, relative to each tensor's maximum, at least `floor`."""
    scales = {k: w.abs().max().clamp(min=floor) for k, w in wanted.items()}
    return max(float((found[k] - w).abs().max() / scales[k]) for k, w in wanted.items())


def deviations(found: Training, wanted: Training) -> dict[str, float]:
    """Return the largest deviations; those of boxes from the nearest one with the same label.

    Boxes with equal scores may be in another order. `lost` are detections without one within a
    pixel.
    """
    differences = torch.cat([(found.weights[k] - w).flatten() for k, w in wanted.weights.items()])
    largest = {
        'loss': float((found.losses / wanted.losses - 1).abs().max()),
        'gradients': _largest(found.gradients, wanted.gradients, floor=1e-6),
        'weights': _largest(found.weights, wanted.weights, floor=RATE),
        'typical': float(differences.square().mean().sqrt()) / RATE / STEPS,
    }
    ours, theirs = found.predictions, wanted.predictions
    if 'data' in theirs:
        return largest | {'maps': float((ours['data'] - theirs['data']).abs().max())}
    distance = (ours['bboxes'][None] - theirs['bboxes'][:, None]).abs().amax(2)
    distance[ours['labels'] != theirs['labels'][:, None]] = torch.inf
    nearest, which = distance.min(1)
    kept = nearest < 1
    scores = (ours['scores'][which] - theirs['scores']).abs()
    largest |= {'boxes': float(nearest[kept].max()), 'scores': float(scores[kept].max())}
    if 'masks' in theirs:
        largest['masks'] = float((ours['masks'][which] ^ theirs['masks'])[kept].float().mean())
    return largest | {'lost': float((~kept).sum())}


def compiled_is_there() -> bool:
    """Return whether mmcv has compiled operators."""
    return any(Path(mmcv.__file__).parent.glob('_ext.*'))


def table(names: list[str]) -> str:
    """Return a Markdown table of all deviations."""
    compiled, ours, rounded = (trainings(side, names) for side in SIDES)
    columns = 'loss gradients weights typical boxes scores masks maps lost'.split()
    lines = [f'| model | {" | ".join(columns)} | rounded: {" | ".join(columns[:6])} |']
    lines.append('|---' * (lines[0].count('|') - 1) + '|')
    for name in names:
        rows = deviations(ours[name], compiled[name]), deviations(rounded[name], compiled[name])
        cells = [rows[0].get(c) for c in columns] + [rows[1].get(c) for c in columns[:6]]
        shown = ['' if cell is None else f'{cell:.1e}' if cell else '0' for cell in cells]
        lines.append(f'| {name} | {" | ".join(shown)} |')
    return '\n'.join(lines)


def main() -> None:
    """Print the table, or train one side for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument('models', nargs='*', choices=[*MODELS, []], metavar='MODEL')
    parser.add_argument('--side', choices=SIDES, help='only train this side, and save it to --file')
    parser.add_argument('--file', type=Path)
    args = parser.parse_args()
    if args.side:
        record(args.side, args.models, args.file)
    elif not compiled_is_there():
        print('skipped: this mmcv has no compiled operators to compare with')
    else:
        print(table(args.models or list(MODELS)))


if __name__ == '__main__':
    main()
