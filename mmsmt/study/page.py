"""Report on classifiers with identical training: scores, costs, receptive fields, invariance."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional as F

from mmsmt.analysis.common.figures import save_figure, subplots
from mmsmt.analysis.common.reports import write_text
from mmsmt.analysis.complexity.config import count_config
from mmsmt.benchmark.timing import time_in_turn
from mmsmt.hosts.model import load_model, logits_of
from mmsmt.hosts.request import Request

# ImageNet-1K top-1 of the micro models, as published by the authors of
# https://arxiv.org/abs/2211.05781 with their code.
PUBLISHED = {'halo': 75.8, 'dcnv3': 75.3, 'dwconv': 75.1, 'window': 74.4, 'sra': 72.8}
BATCH = 16


class Member(NamedTuple):
    """A classifier in the study: top-1 accuracies in per cent and training times, one per seed."""

    label: str
    config: str
    scores: list[float]
    seconds: list[float]

    @property
    def mean(self) -> float:
        """Return the mean accuracy."""
        return float(np.mean(self.scores))

    @property
    def deviation(self) -> float:
        """Return the standard deviation over seeds (n - 1); 0 for a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0


def measure_speed(configs: dict[str, str], size: int, rounds: int = 15) -> dict[str, Any]:
    """Time forward passes and training steps of classifiers in turn.

    Args:
        configs: Config file by label.
        size: Side of the images.
        rounds: Number of measurements of each.

    Returns:
        By label, the medians `forward` and `step` in milliseconds per image.
    """
    images = torch.rand(BATCH, 3, size, size)
    labels = torch.zeros(BATCH, dtype=torch.long)
    models = {name: load_model(Request(name, config)).model for name, config in configs.items()}

    @torch.no_grad()
    def forward(model: nn.Module) -> None:
        logits_of(model.eval(), images)

    def step(model: nn.Module) -> None:
        model.zero_grad()
        F.cross_entropy(logits_of(model.train(), images), labels).backward()

    def medians(run: Callable[[nn.Module], None]) -> dict[str, float]:
        timed = time_in_turn({k: partial(run, model) for k, model in models.items()}, rounds)
        return {label: 1e3 * found.median / BATCH for label, found in timed.items()}

    forwards, steps = medians(forward), medians(step)
    return {label: {'forward': forwards[label], 'step': steps[label]} for label in models}


def _draw_scores(members: Sequence[Member], out: Path) -> None:
    """Plot mean accuracies with standard deviations, and every seed as a point."""
    figure, ((axis,),) = subplots(1, 1, 1.1 * len(members) + 1.5, 3)
    places = range(len(members))
    means, deviations = [m.mean for m in members], [m.deviation for m in members]
    axis.errorbar(places, means, yerr=deviations, fmt='o', capsize=5)
    for place, member in zip(places, members, strict=True):
        axis.scatter([place + 0.15] * len(member.scores), member.scores, s=12, color='grey')
    axis.set_xticks(list(places), [m.label for m in members])
    axis.set_ylabel('top-1 (%)')
    axis.grid(axis='y', alpha=0.3)
    save_figure(figure, out)


def write_report(out: Path, members: Sequence[Member], facts: str, size: int) -> Path:
    """Write `report.md` from the results in a study's folder, with a plot of the scores.

    Args:
        out: Folder with `speed.json` (`measure_speed`), and the output of `mmsmt show
            receptive-field` and `mmsmt show invariance` in `receptive_field/` and `invariance/`.
        members: The classifiers.
        facts: How they were trained and measured.
        size: Side of the images, for counting complexity.
    """
    members = sorted(members, key=lambda m: -m.mean)
    _draw_scores(members, out / 'scores.png')
    speed = _read(out / 'speed.json')
    kinds: list[str] = []
    header = ['model', 'top-1 (%)', 'params (M)', 'MACs (M)', 'forward (ms)', 'training step (ms)']
    rows = []
    for member in members:
        complexity, _ = count_config(Config.fromfile(member.config), (size, size))
        field = _read(out / f'receptive_field/{member.label}.json')['stages'][2]
        areas = {ratio['share']: ratio['area'] for ratio in field['ratios']}
        equal = _equal_shares(out / f'invariance/{member.label}.json')
        kinds = kinds or list(equal)
        times = speed[member.label]
        shares = [areas[0.5], areas[0.99], *(equal[kind] for kind in kinds)]
        rows.append(
            [
                member.label,
                f'{member.mean:.2f} ± {member.deviation:.2f}',
                f'{complexity.params / 1e6:.2f}',
                f'{complexity.macs / 1e6:.0f}',
                *(f'{times[name]:.2f}' for name in ('forward', 'step')),
                *(f'{share:.1%}' for share in shares),
            ]
        )
    header += ['field: half', 'field: 99 %', *(f'same under {kind}' for kind in kinds)]
    table = [f'| {" | ".join(row)} |' for row in (header, *rows)]
    lines = ['# Study', '', facts, '', table[0], '|' + '---|' * len(header), *table[1:]]
    lines += ['', '![scores](scores.png)', '', *_compare(members), '']
    lines += ['![fields](receptive_field/receptive_field.png)', '']
    lines += [f'![{m.label}](receptive_field/{m.label}.png)' for m in members]
    lines += ['', '![invariance](invariance/invariance.png)', '']
    write_text(out / 'report.md', '\n'.join(lines))
    return out / 'report.md'


def _compare(members: Sequence[Member]) -> list[str]:
    """Compare the ranking with the published one, if possible."""
    known = [m for m in members if m.label in PUBLISHED]
    if len(known) < 3:
        return []
    published = sorted((m.label for m in known), key=lambda label: -PUBLISHED[label])
    rho = spearmanr([m.mean for m in known], [PUBLISHED[m.label] for m in known]).statistic
    spread = float(np.mean([m.deviation for m in known]))
    between = max(m.mean for m in known) - min(m.mean for m in known)
    return [
        f'Order here: {", ".join(m.label for m in known)}. Published at micro scale on '
        f"ImageNet-1K (the paper's): {', '.join(published)}. Rank correlation {rho:.2f}; best and "
        f'worst are {between:.2f} points apart, seeds of one model deviate by {spread:.2f}.'
    ]


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _equal_shares(path: Path) -> dict[str, float]:
    """Return the share of unchanged predictions by kind of change, averaged over strengths."""
    shares: dict[str, list[float]] = {}
    for row in _read(path)['rows']:
        shares.setdefault(row['kind'].replace('_', ' '), []).append(row['consistency'])
    return {kind: float(np.mean(values)) for kind, values in shares.items()}
