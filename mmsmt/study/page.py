"""The page of a study: tables, comparisons, pictures, and the same as CSV and JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from mmsmt.analysis.common.reports import markdown_table, write_csv, write_json, write_text
from mmsmt.analysis.complexity.config import count_config
from mmsmt.study.figures import draw_costs, draw_fields, draw_robustness, draw_scores
from mmsmt.study.members import MAIN, Member, spread
from mmsmt.study.networks import NETWORKS, SIDE
from mmsmt.study.protocol import classifier
from mmsmt.study.runs import KINDS, Study
from mmsmt.study.speed import measure_speed
from mmsmt.study.statistics import Noise, compare_neighbours, estimate_noise
from mmsmt.study.steps import step_result

# ImageNet-1K top-1 of the micro models, as published by the authors of
# https://arxiv.org/abs/2211.05781 with their code.
PUBLISHED = {'halo': 75.8, 'dcnv3': 75.3, 'dwconv': 75.1, 'window': 74.4, 'sra': 72.8}
TITLES = {
    'mixer': 'Mixers in the unified architecture',
    'network': 'Complete networks',
    'stacking': 'Stackings of stage 3 in SMT',
}
SIGNIFICANT = 0.05


def write_page(study: Study, records: Sequence[dict[str, Any]], planned: int) -> Path:
    """Write `report.md` from the records of the finished runs, with pictures, CSV and JSON.

    Args:
        study: The study.
        records: Records of its runs.
        planned: Number of runs when it is complete.

    Returns:
        The page.
    """
    out, protocol = study.out, study.protocol
    members = read_members(study, records)
    draw_scores(members, out / 'scores.png')
    draw_costs(members, out / 'costs.png')
    draw_fields(members, out / 'fields.png')
    draw_robustness(members, out / 'robustness.png')
    rows = [_facts(member, study.transfers) for member in members]
    write_csv(out / 'study.csv', rows)
    write_json(out / 'study.json', {'protocol': protocol._asdict(), 'networks': rows})
    facts = (
        f'{len(records)} of {planned} runs: {protocol.epochs} epochs of AdamW, learning rate '
        f'{protocol.learning_rate:g}, batches of {protocol.batch_size} images of {SIDE} x {SIDE} '
        f'pixels, evaluated on the {protocol.split} images. Mean ± standard deviation over seeds.'
    )
    noise = _noise(members)
    if noise:
        facts += (
            f' One top-1 score has a standard deviation of {noise.deviation:.2f}, estimated from '
            f'all networks ({noise.freedom} degrees of freedom).'
        )
    lines = ['# Study', '', facts, '']
    for group, title in TITLES.items():
        inside = [m for m in members if group in groups_of(m.label)]
        if inside:
            lines += [f'## {title}', '', _costs_table(inside), '', *_compared(inside, noise), '']
            if group == 'mixer':
                lines += [*_ranks(inside), '']
    lines += ['## Robustness', '', 'Top-1 (%), mean over all strengths.', '']
    lines += [_robustness_table(members), '']
    lines += [
        '## Receptive fields and transfer',
        '',
        'Fields: half, and 99 %, of the gradient of the centre of stage 3 lie in a square of this '
        'share of the image.',
        '',
        _transfer_table(members, study),
        '',
    ]
    for name in ('scores', 'costs', 'fields', 'robustness'):
        lines += [f'![{name}]({name}.png)', '']
    write_text(out / 'report.md', '\n'.join(lines))
    return out / 'report.md'


def read_members(study: Study, records: Sequence[dict[str, Any]]) -> list[Member]:
    """Return the networks with finished runs, best first; their speed is measured once.

    Only the records are needed: the runs may have been on other machines.
    """
    out = study.out
    by_label: dict[str, list[dict[str, Any]]] = {}
    for record in sorted(records, key=lambda record: record['seed']):
        by_label.setdefault(record['network'], []).append(record)
    configs = {label: str(out / 'configs' / f'{label}.py') for label in by_label}
    costs = {}
    for label, found in by_label.items():
        cfg = classifier(study.base, found[0]['backbone'], study.protocol)
        write_text(Path(configs[label]), cfg.pretty_text)
        costs[label], _ = count_config(cfg, (SIDE, SIDE))
    speed = step_result(out / 'speed.json', lambda: measure_speed(configs, SIDE))
    if not configs.keys() <= speed.keys():  # more networks than last time: all anew, in turn
        (out / 'speed.json').unlink()
        speed = step_result(out / 'speed.json', lambda: measure_speed(configs, SIDE))
    members = [
        Member(label, found, costs[label].params, costs[label].macs, **speed[label])
        for label, found in by_label.items()
    ]
    return sorted(members, key=lambda member: -member.mean)


def groups_of(label: str) -> tuple[str, ...]:
    """Return the tables of a network; one added by the user is a complete network."""
    return NETWORKS[label].groups if label in NETWORKS else ('network',)


def _facts(member: Member, transfers: Any) -> dict[str, Any]:
    """Return everything about a network in one flat row."""
    row: dict[str, Any] = {
        'network': member.label,
        'seeds': len(member.scores),
        'top1': round(member.mean, 3),
        'params': member.params,
        'macs': member.macs,
        'forward_ms': round(member.forward, 4),
        'step_ms': round(member.step, 4),
    }
    row |= {f'top1_seed{i}': round(score, 3) for i, score in enumerate(member.scores)}
    row |= {f'top1_{kind}': round(_mean(member.curve(kind)), 3) for kind in KINDS}
    return row | {name: round(float(np.mean(member.transfer(name))), 3) for name in transfers}


def _mean(curve: dict[float, float]) -> float:
    return float(np.mean(list(curve.values())))


def _costs_table(members: Sequence[Member]) -> str:
    header = ['network', 'top-1 (%)', 'params (M)', 'MACs (M)', 'forward (ms)', 'step (ms)']
    rows = [
        [
            member.label,
            spread(member.scores),
            f'{member.params / 1e6:.2f}',
            f'{member.macs / 1e6:.1f}',
            f'{member.forward:.2f}',
            f'{member.step:.2f}',
        ]
        for member in members
    ]
    return markdown_table([header, *rows])


def _robustness_table(members: Sequence[Member]) -> str:
    header = ['network', *(kind.replace('_', ' ') for kind in KINDS)]
    rows = [[m.label, *(f'{_mean(m.curve(kind)):.1f}' for kind in KINDS)] for m in members]
    return markdown_table([header, *rows])


def _transfer_table(members: Sequence[Member], study: Study) -> str:
    names = {name: _metric(members[0], name) for name in study.transfers}
    header = ['network', 'field: half', 'field: 99 %']
    rows = []
    for member in members:
        ratios = member.field['ratios'] if member.field else []
        areas = {ratio['share']: f'{ratio["area"]:.1%}' for ratio in ratios}
        rows.append(
            [
                member.label,
                areas.get(0.5, ''),
                areas.get(0.99, ''),
                *(spread(member.transfer(name)) for name in names),
            ]
        )
    return markdown_table([[*header, *(f'{n}: {m} (%)' for n, m in names.items())], *rows])


def _metric(member: Member, name: str) -> str:
    result = member.records[0]['transfers'][name]
    return next(title for key, (title, _) in MAIN.items() if key in result)


def _noise(members: Sequence[Member]) -> Noise | None:
    """Estimate the noise of a score from all networks with several seeds, if there are two."""
    several = [member for member in members if len(member.scores) > 1]
    if len(several) < 2:
        return None
    return estimate_noise(_common_scores(several))


def _common_scores(members: Sequence[Member]) -> dict[str, list[float]]:
    """Return the scores of the first seeds, of which every network has one."""
    seeds = min(len(member.scores) for member in members)
    return {member.label: member.scores[:seeds] for member in members}


def _compared(members: Sequence[Member], noise: Noise | None) -> list[str]:
    """Say which neighbours in the ranking differ by more than the seeds."""
    scores = _common_scores(members)
    seeds = len(scores[members[0].label])
    if noise is None or len(members) < 2 or seeds < 2:
        return []
    rows = [
        [
            c.better,
            c.worse,
            f'{c.difference:.2f}',
            f'{c.p:.3f}' if c.p >= 0.001 else '< 0.001',
            'yes' if c.p < SIGNIFICANT else '',
        ]
        for c in compare_neighbours(scores, noise)
    ]
    table = markdown_table([['network', 'next', 'difference', 'p', f'p < {SIGNIFICANT}'], *rows])
    return [
        f'Neighbours in the ranking, paired by seed over {seeds} seeds, p by Holm:',
        '',
        table,
    ]


def _ranks(members: Sequence[Member]) -> list[str]:
    """Compare the ranking of the mixers with the published one, if there are enough."""
    known = [m for m in members if m.label in PUBLISHED]
    if len(known) < 3:
        return []
    published = sorted((m.label for m in known), key=lambda label: -PUBLISHED[label])
    rho = spearmanr([m.mean for m in known], [PUBLISHED[m.label] for m in known]).statistic
    return [
        f'Order here: {", ".join(m.label for m in known)}. Published at micro scale on '
        f"ImageNet-1K (the paper's): {', '.join(published)}. Rank correlation {rho:.2f}."
    ]
