"""Groups of jobs that are measured together and saved in one file."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from mmsmt.analysis.common.reports import Row, progress, read_finished, write_json
from mmsmt.benchmark.contenders import Contender, count
from mmsmt.benchmark.environment import collect_facts
from mmsmt.benchmark.jobs import TRAINING, Job, Settings, Shape
from mmsmt.benchmark.measurement import in_fresh_process, limit_rates, peak_memory, time_jobs
from mmsmt.benchmark.runtimes import RUNTIMES
from mmsmt.errors import UsageError
from mmsmt.hosts.request import Request, describe


class Group(NamedTuple):
    """Jobs of one shape and step, all compiled or all eager; any two of them can be compared."""

    shape: Shape
    step: str
    compiled: bool
    jobs: list[Job]

    @property
    def name(self) -> str:
        """Return the stem of its file name."""
        family = 'compiled' if self.compiled else 'eager'
        return f'{"x".join(map(str, self.shape))}_{self.step}_{family}'


def groups_of(
    contenders: Iterable[Contender], shapes: Iterable[Shape], steps: Iterable[str], ways: list[str]
) -> Iterator[Group]:
    """Return the groups of jobs: one per shape, step, and eager or compiled."""
    for shape, step, compiled in product(shapes, steps, (False, True)):
        jobs = [
            Job(contender, way, layout, shape, step)
            for contender, way in product(contenders, ways)
            for layout in contender.layouts
        ]
        jobs = [job for job in jobs if job.possible and job.compiled == compiled]
        if jobs:
            yield Group(shape, step, compiled, jobs)


def measure_groups(groups: Sequence[Group], settings: Settings, out: Path) -> Iterator[Row]:
    """Measure the groups that are not in the folder yet, one after the other.

    Args:
        groups: The groups to measure.
        settings: Settings of all groups.
        out: Output folder. A group's file is written when it is done, and reused if networks,
            settings, machine, versions and code are the same.

    Yields:
        A group when it is done, with `facts`, `limits` (rates), `load` and `rows`.

    Raises:
        UsageError: If a network cannot be built or returns other maps than the rest, or the system
            kills a measurement.
    """
    jobs = {(job.contender.name, job.shape[1:]): job for group in groups for job in group.jobs}
    counts = {key: count(job.contender, *key[1]) for key, job in jobs.items()}
    for group in progress(groups, 'measuring', len(groups)):
        facts = collect_facts(settings)
        files = {(c.name, c.kind) for c, *_ in group.jobs if c.library == 'config'}
        made_of = {
            'facts': {key: value for key, value in facts.items() if key != 'commit'},
            'jobs': group.jobs,
            'configs': [describe(Request(*file)) for file in sorted(files)],
        }
        identity = json.loads(json.dumps(made_of))  # converts tuples to lists
        path = out / f'{group.name}.json'
        report = read_finished(path, identity)
        if report is None:
            measured = _measure(group, settings, counts)
            report = {'identity': identity, 'facts': facts, **measured}
            write_json(path, report)
        yield report


def _measure(group: Group, settings: Settings, counts: dict[Any, tuple[int, int]]) -> Row:
    timed = in_fresh_process(time_jobs, group.jobs, settings)
    if timed is None:
        raise UsageError(
            f'{group.name}: the system killed the measurement, probably out of memory: '
            'measure fewer networks at a time or smaller shapes'
        )
    medians = {name: seconds[0] for name, seconds in timed['limits'].items()}
    limits = limit_rates(medians, settings.device)
    rows = []
    for job, result in zip(group.jobs, timed['jobs'], strict=True):
        contender = job.contender
        params, macs = counts[contender.name, job.shape[1:]]
        row: Row = {'model': contender.name, 'way': job.way, 'layout': job.layout}
        row |= {'top1': contender.top1, 'source': contender.source, 'params': params, 'macs': macs}
        row |= result
        if 'seconds' in result:
            median = result['seconds'][0]
            row['images_per_second'] = job.shape.batch / median
            row['share'] = least_seconds(job, macs, limits['flops']) / median
            # On a GPU it is already measured; runtimes keep their buffers.
            if settings.memory and settings.device == 'cpu' and job.way not in RUNTIMES:
                row['memory'] = in_fresh_process(peak_memory, job, settings)
        rows.append(row)
    about = {'shape': group.shape, 'step': group.step, 'compiled': group.compiled}
    about |= {'rounds': settings.rounds, 'warmup': settings.warmup}
    return {**about, 'limits': limits, 'load': timed['load'], 'rows': rows}


def least_seconds(job: Job, macs: int, flops: float) -> float:
    """Return the minimum seconds of a job's products, at the rate of a large matrix product.

    A training step counts three times the forward pass: each product has two more in the backward
    pass, for weights and inputs.
    """
    return 2 * macs * job.shape.batch * (3 if job.step == TRAINING else 1) / flops
