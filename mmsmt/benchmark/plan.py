"""A whole run: groups of jobs that are measured together, each written when it is done."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmsmt.analysis.common.reports import progress, read_finished, whole_file
from mmsmt.benchmark.area import in_fresh_process
from mmsmt.benchmark.contenders import Contender, request_of
from mmsmt.benchmark.cost import count
from mmsmt.benchmark.environment import collect_facts
from mmsmt.benchmark.jobs import FORWARD, TRAINING, WAYS, Job, Settings, Shape
from mmsmt.benchmark.machine_limits import limit_rates
from mmsmt.benchmark.measure import peak_memory, time_jobs
from mmsmt.errors import UsageError
from mmsmt.hosts.request import describe

Row = dict[str, Any]


class Plan(NamedTuple):
    """What to measure.

    Args:
        contenders: Networks.
        shapes: Of the images.
        steps: Of `STEPS`.
        ways: Names of `WAYS`.
        settings: Of all.
        rounds: Of timing.
        warmup: Rounds before them.
        memory: Whether peak memory is measured.
    """

    contenders: Sequence[Contender]
    shapes: Sequence[Shape]
    steps: Sequence[str]
    ways: Sequence[str]
    settings: Settings
    rounds: int = 10
    warmup: int = 2
    memory: bool = True


class Group(NamedTuple):
    """Jobs that are timed in turn, so that any two of them can be compared.

    Args:
        shape: Of the images.
        step: Forward or training.
        compiled: Whether all run compiled; else none does.
        jobs: Every network in every way and layout that it has.
    """

    shape: Shape
    step: str
    compiled: bool
    jobs: list[Job]

    @property
    def name(self) -> str:
        """Of its file."""
        return f'{self.shape}_{self.step}_{"compiled" if self.compiled else "eager"}'


def groups_of(plan: Plan) -> Iterator[Group]:
    """The groups of a plan: one a shape, step, and eager or compiled."""
    for shape in plan.shapes:
        for step in plan.steps:
            for compiled in (False, True):
                jobs = [
                    Job(contender, way, layout, shape, step)
                    for contender in plan.contenders
                    for way in plan.ways
                    if WAYS[way].compiled == compiled and _can_run(contender, way, step)
                    for layout in contender.layouts
                ]
                if jobs:
                    yield Group(shape, step, compiled, jobs)


def _can_run(contender: Contender, way: str, step: str) -> bool:
    return not WAYS[way].deployed or (contender.deployable and step == FORWARD)


def run_plan(plan: Plan, out: Path) -> list[Row]:
    """Measure what a folder does not hold yet.

    Args:
        plan: What to measure.
        out: Folder; a group's file is written when it is done, and read where it was made of the
            same networks, settings, machine, versions and code.

    Returns:
        The groups, each with `facts`, `limits` (rates), `load` and `rows`.

    Raises:
        UsageError: If a network cannot be built or gives other maps than the rest, or the system
            ends a measurement.
    """
    counts = {
        (contender.name, shape): count(contender, shape)
        for shape in plan.shapes
        for contender in plan.contenders
    }
    out.mkdir(parents=True, exist_ok=True)
    groups = list(groups_of(plan))
    finished = []
    for group in progress(groups, 'measuring', len(groups)):
        facts = collect_facts(plan.settings)
        identity = json.loads(json.dumps(_identify(group, plan, facts)))
        path = out / f'{group.name}.json'
        report = read_finished(path, identity)
        if report is None:
            measured = _measure(group, plan, counts)
            report = {'identity': identity, 'facts': facts, **measured}
            with whole_file(path) as partial:
                partial.write_text(json.dumps(report, indent=1) + '\n')
        finished.append(report)
    return finished


def _identify(group: Group, plan: Plan, facts: Row) -> Row:
    """All that the figures depend on; the commit alone may go on."""
    return {
        'facts': {key: value for key, value in facts.items() if key != 'commit'},
        'jobs': group.jobs,
        'configs': [
            describe(request_of(contender))
            for contender in plan.contenders
            if contender.library == 'config'
        ],
        'rounds': [plan.warmup, plan.rounds],
        'memory': plan.memory,
    }


def _measure(group: Group, plan: Plan, counts: dict[tuple[str, Shape], tuple[int, int]]) -> Row:
    settings = plan.settings
    timed = in_fresh_process(time_jobs, group.jobs, settings, plan.rounds, plan.warmup)
    if timed is None:
        raise UsageError(
            f'{group.name}: the system ended the measurement, as it does when memory runs out; '
            'measure fewer contenders at a time or smaller shapes'
        )
    medians = {name: seconds[0] for name, seconds in timed['limits'].items()}
    limits = limit_rates(medians, settings.device)
    rows = []
    for job, result in zip(group.jobs, timed['jobs'], strict=True):
        params, macs = counts[job.contender.name, job.shape]
        row = {
            'model': job.contender.name,
            'way': job.way,
            'layout': job.layout,
            'top1': job.contender.top1,
            'source': job.contender.source,
            'params': params,
            'macs': macs,
            **result,
        }
        if 'seconds' in result:
            median = result['seconds'][0]
            row['images_per_second'] = job.shape.batch / median
            row['share'] = least_seconds(job, macs, limits['flops']) / median
            if plan.memory:
                row['memory'] = in_fresh_process(peak_memory, job, settings)
        rows.append(row)
    return {
        'shape': group.shape,
        'step': group.step,
        'compiled': group.compiled,
        'rounds': plan.rounds,
        'warmup': plan.warmup,
        'limits': limits,
        'load': timed['load'],
        'rows': rows,
    }


def least_seconds(job: Job, macs: int, flops: float) -> float:
    """Seconds that a job's products alone take at the rate of a large matrix product.

    A training step has three times those of the forward pass: two more products, for weights and
    inputs, go with each.
    """
    return 2 * macs * job.shape.batch * (3 if job.step == TRAINING else 1) / flops
