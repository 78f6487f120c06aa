"""Five training steps on compiled mmcv's operators and on `mmsmt.ops`: what deviates.

    python dev/operator_references/training_steps.py [MODEL ...]

prints a Markdown table. Both sides start from the same weights, in processes of their own, in
float32 on a CPU. The last columns are the yardstick: compiled operators against themselves, with
initial weights one rounding apart. On a CPU the hosts take functions of their own for deformable
attention and focal loss; our side takes the operators, as the hosts do on GPUs.

AdamW divides gradients by their size. Its epsilon is set to a value below which they are noise:
with 1e-8 and batch norms in training compiled operators part from themselves within five steps.
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

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from operator_references import small_models

STEPS = 5
RATE = 1e-4
MODELS = (
    'mask_rcnn',
    'cascade_mask_rcnn',
    'retinanet',
    'dino',
    'dcnv1_faster_rcnn',
    'dcnv2_mask_rcnn',
    'atss_dyhead',
    'upernet',
)
SIDES = ('compiled', 'torch', 'rounded')


class Training(NamedTuple):
    """What five steps leave behind."""

    losses: Tensor
    weights: dict[str, Tensor]
    predictions: dict[str, Tensor]


def training_step(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    """The loss of a batch, which stays as it is."""
    inputs = model.data_preprocessor(copy.deepcopy(batch), True)
    return model.parse_losses(model(**inputs, mode='loss'))[0]


def predict(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Predictions for the first image."""
    model.eval()
    with torch.no_grad():
        sample = model.test_step({k: copy.deepcopy(v[:1]) for k, v in batch.items()})[0]
    found = sample.get('pred_instances') or sample.seg_logits
    return {k: v for k, v in found.items() if isinstance(v, Tensor)}


def train(name: str, rounded: bool = False) -> Training:
    """Five steps of AdamW."""
    model, batch, losses = small_models.build(name).train(), small_models.batch(name), []
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
        optimizer.step()
        losses.append(loss.detach())
    weights = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    return Training(torch.stack(losses), weights, predict(model, batch))


def use_operators_of_gpus() -> None:
    """Put the operators where the hosts have functions for CPUs, with the same arguments."""
    attention = importlib.import_module('mmcv.ops.multi_scale_deform_attn')
    focal = importlib.import_module('mmdet.models.losses.focal_loss')

    def attend(value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        starts = shapes.prod(1).cumsum(0) - shapes.prod(1)
        function = attention.MultiScaleDeformableAttnFunction.apply
        return function(value, shapes, starts, locations, weights, 64)

    def focal_loss(scores: Tensor, one_hot: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        labels = torch.where(one_hot.any(1), one_hot.int().argmax(1), one_hot.shape[1])
        return focal.sigmoid_focal_loss(scores, labels, *args, **kwargs)

    attention.multi_scale_deformable_attn_pytorch = attend
    focal.py_sigmoid_focal_loss = focal_loss


def record(side: str, names: list[str], file: Path) -> None:
    """Trains on the operators of this process."""
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
    """Trainings of a fresh process with the operators of one side."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'trainings.pth')
        operators = 'torch' if side == 'torch' else 'compiled'
        subprocess.run(
            [sys.executable, '-W', 'ignore', __file__, *names, '--side', side, '--file', file],
            env=os.environ | {'MMSMT_OPS': operators},
            check=True,
        )
        return {name: Training(**kept) for name, kept in torch.load(file).items()}


def _weight_deviation(found: Tensor, wanted: Tensor) -> float:
    """Largest difference, of the largest value or of the way of a bias that began at zero."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=RATE))


def deviations(found: Training, wanted: Training) -> dict[str, float]:
    """Largest deviations; of predicted boxes those of the nearest box with the same label.

    Boxes may change places where scores tie. `lost` are detections farther than a pixel from all.
    """
    largest = {
        'loss': float((found.losses / wanted.losses - 1).abs().max()),
        'weights': max(_weight_deviation(found.weights[k], w) for k, w in wanted.weights.items()),
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
    return largest | {'lost': float((~kept).sum()), 'detections': float(len(kept))}


def compiled_is_there() -> bool:
    """Whether mmcv has compiled operators."""
    import mmcv

    return any(Path(mmcv.__file__).parent.glob('_ext.*'))


def table(names: list[str]) -> str:
    """Markdown table of all deviations."""
    compiled, ours, rounded = (trainings(side, names) for side in SIDES)
    quantities = ('loss', 'weights', 'boxes', 'scores', 'masks', 'maps', 'lost', 'detections')
    lines = [f'| model | {" | ".join(quantities)} | rounded: loss | weights | bboxes | scores |']
    lines.append('|---' * (lines[0].count('|') - 1) + '|')
    for name in names:
        rows = deviations(ours[name], compiled[name]), deviations(rounded[name], compiled[name])
        cells = [rows[0].get(q) for q in quantities] + [rows[1].get(q) for q in quantities[:4]]
        shown = ['' if cell is None else f'{cell:.1e}' if cell else '0' for cell in cells]
        lines.append(f'| {name} | {" | ".join(shown)} |')
    return '\n'.join(lines)


def main() -> None:
    """Prints the table, or trains one side for it."""
    parser = argparse.ArgumentParser(description='Five training steps on either operators.')
    parser.add_argument('models', nargs='*', choices=[*MODELS, []], metavar='MODEL')
    parser.add_argument('--side', choices=SIDES, help='only train this one, into --file')
    parser.add_argument('--file', type=Path)
    args = parser.parse_args()
    names = args.models or list(MODELS)
    if args.side:
        record(args.side, names, args.file)
    elif not compiled_is_there():
        print('skipped: this mmcv has no compiled operators to compare with')
    else:
        print(table(names))


if __name__ == '__main__':
    main()
