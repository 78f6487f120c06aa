"""One page on several classifiers that were trained alike: scores, costs, fields, invariance."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.analysis.common.reports import whole_file
from mmsmt.analysis.complexity.config import count_config
from mmsmt.analysis.runs.curves import plt
from mmsmt.benchmark.timing import time_in_turn
from mmsmt.hosts.model import Request, load_subject, logits_of

# ImageNet-1K top-1 of the micro models, as the authors of https://arxiv.org/abs/2211.05781 publish
# it beside their code.
PUBLISHED = {'halo': 75.8, 'dcnv3': 75.3, 'dwconv': 75.1, 'window': 74.4, 'sra': 72.8}
BATCH = 16


class Member(NamedTuple):
    """A classifier of the study.

    Args:
        label: Its name; that of a mixer where there is one to name.
        config: Config file.
        scores: Top-1 accuracy in per cent, one a seed.
        seconds: Of the trainings, one a seed.
    """

    label: str
    config: str
    scores: list[float]
    seconds: list[float]

    @property
    def mean(self) -> float:
        """Mean accuracy."""
        return float(np.mean(self.scores))

    @property
    def deviation(self) -> float:
        """Standard deviation over seeds (n - 1); 0 for a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0


def measure_speed(configs: dict[str, str], size: int, rounds: int = 15) -> dict[str, Any]:
    """Time forward passes and training steps of classifiers in turn.

    Args:
        configs: Config file by label.
        size: Side of the images.
        rounds: How often each is timed.

    Returns:
        Per label the medians `forward` and `step`, in milliseconds an image.
    """
    images = torch.rand(BATCH, 3, size, size)
    labels = torch.zeros(BATCH, dtype=torch.long)
    models = {name: load_subject(Request(name, config)).model for name, config in configs.items()}

    def forward(model: nn.Module) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with torch.no_grad():
                return logits_of(model.eval(), images)

        return run

    def step(model: nn.Module) -> Callable[[], None]:
        def run() -> None:
            model.zero_grad()
            F.cross_entropy(logits_of(model.train(), images), labels).backward()

        return run

    timed = {
        name: time_in_turn({k: make(m) for k, m in models.items()}, rounds)
        for name, make in (('forward', forward), ('step', step))
    }
    return {
        label: {name: 1e3 * timed[name][label].median / BATCH for name in timed} for label in models
    }


def draw_scores(members: Sequence[Member], out: Path) -> None:
    """Draw mean accuracies with their deviations, and every seed as a point."""
    figure, axis = plt.subplots(figsize=(1.1 * len(members) + 1.5, 3), layout='constrained')
    places = range(len(members))
    axis.errorbar(
        places, [m.mean for m in members], yerr=[m.deviation for m in members], fmt='o', capsize=5
    )
    for place, member in zip(places, members, strict=True):
        axis.scatter([place + 0.15] * len(member.scores), member.scores, s=12, color='grey')
    axis.set_xticks(list(places), [m.label for m in members])
    axis.set_ylabel('top-1 (%)')
    axis.grid(axis='y', alpha=0.3)
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)


def write_report(out: Path, members: Sequence[Member], facts: str, size: int) -> Path:
    """Write the page on what a study's steps left in its folder, and a picture of the scores.

    Args:
        out: Folder, with `speed.json` (`measure_speed`) and what mmsmt show receptive-field and
            mmsmt show invariance wrote to `receptive_field/` and `invariance/`.
        members: The classifiers.
        facts: How they were trained and measured.
        size: Side of the images, for counting.

    Returns:
        The page, Markdown.
    """
    members = sorted(members, key=lambda m: -m.mean)
    draw_scores(members, out / 'scores.png')
    speed = _read(out / 'speed.json')
    fields = {m.label: _read(out / f'receptive_field/{m.label}.json') for m in members}
    equal = {m.label: _equal_shares(out / f'invariance/{m.label}.json') for m in members}
    kinds = list(equal[members[0].label])
    header = ['model', 'top-1 (%)', 'params (M)', 'MACs (M)', 'forward (ms)', 'training step (ms)']
    header += ['field: half', 'field: 99 %', *(f'same under {kind}' for kind in kinds)]
    lines = ['# Study', '', facts, '', f'| {" | ".join(header)} |', '|' + '---|' * len(header)]
    for member in members:
        complexity, _ = count_config(Config.fromfile(member.config), (size, size))
        ratios = {r['share']: r['area'] for r in fields[member.label]['stages'][2]['ratios']}
        cells = [
            member.label,
            f'{member.mean:.2f} ± {member.deviation:.2f}',
            f'{complexity.params / 1e6:.2f}',
            f'{complexity.macs / 1e6:.0f}',
            f'{speed[member.label]["forward"]:.2f}',
            f'{speed[member.label]["step"]:.2f}',
            f'{ratios[0.5]:.1%}',
            f'{ratios[0.99]:.1%}',
            *(f'{equal[member.label][kind]:.1%}' for kind in kinds),
        ]
        lines.append(f'| {" | ".join(cells)} |')
    lines += ['', '![scores](scores.png)', '', *_compare(members), '']
    lines += ['![fields](receptive_field/receptive_field.png)', '']
    lines += [f'![{m.label}](receptive_field/{m.label}.png)' for m in members]
    lines += ['', '![invariance](invariance/invariance.png)', '']
    with whole_file(out / 'report.md') as partial:
        partial.write_text('\n'.join(lines))
    return out / 'report.md'


def _compare(members: Sequence[Member]) -> list[str]:
    """The order beside the published one, where there are members to compare."""
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
    """Share of images predicted as their reference, by kind of change, mean over strengths."""
    shares: dict[str, list[float]] = {}
    for row in _read(path)['rows']:
        shares.setdefault(row['kind'].replace('_', ' '), []).append(row['consistency'])
    return {kind: float(np.mean(values)) for kind, values in shares.items()}
