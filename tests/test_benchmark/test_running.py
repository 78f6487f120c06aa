"""What is measured together, and what the numbers mean."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mmsmt.benchmark import jobs
from mmsmt.benchmark.contenders import CONTENDERS, Contender, build
from mmsmt.benchmark.groups import groups_of, least_seconds
from mmsmt.benchmark.jobs import (
    FORWARD,
    STEPS,
    TRAINING,
    WAYS,
    Job,
    Settings,
    Shape,
    prepare,
)
from mmsmt.benchmark.measurement import (
    COPIED,
    COPY,
    PRODUCT,
    SIDES,
    limit_rates,
    peak_memory,
    time_jobs,
)
from mmsmt.benchmark.runtimes import RUNTIMES

SMALL = Shape(2, 64, 96)
PICO = Contender('pico', 'mmsmt', 'SMT', dict(arch='pico'), 50.0, 'https://example.invalid')
PLAIN = Contender('plain pico', 'plain', 'PlainSMT', dict(arch='pico'), 50.0, PICO.source)


def test_groups_hold_what_is_compared() -> None:
    contenders = [CONTENDERS[name] for name in ('SMT-T', 'plain SMT-T', 'ResNet-50')]
    groups = list(groups_of(contenders, [SMALL], STEPS, list(WAYS)))
    found = {
        group.name: [(job.contender.name, job.way, job.layout) for job in group.jobs]
        for group in groups
    }
    both = [('ResNet-50', 'contiguous'), ('ResNet-50', 'channels-last')]
    for step in STEPS:
        for way, folded in (('eager', 'deploy'), ('compiled', 'compiled-deploy')):
            again = 'recompute' if way == 'eager' else 'compiled-recompute'
            ours = [('SMT-T', way, 'contiguous')]
            ours += [('SMT-T', folded if step == FORWARD else again, 'contiguous')]
            plain = [('plain SMT-T', way, 'contiguous')]
            others = [(name, way, layout) for name, layout in both]
            if step == FORWARD and way == 'eager':
                ours.append(('SMT-T', 'cudagraph', 'contiguous'))
                ours.append(('SMT-T', 'cudagraph-deploy', 'contiguous'))
                plain.append(('plain SMT-T', 'cudagraph', 'contiguous'))
                others += [(name, 'cudagraph', layout) for name, layout in both]
                for jobs_of in (ours, plain, others):
                    jobs_of += [(jobs_of[0][0], runtime, 'contiguous') for runtime in RUNTIMES]
            assert found.pop(f'2x64x96_{step}_{way}') == ours + plain + others
    assert not found


def test_limits_by_hand() -> None:
    rates = limit_rates({PRODUCT: 0.5, COPY: 0.25}, 'cpu')
    assert rates == {'flops': 4 * SIDES['cpu'] ** 3, 'bandwidth': 8 * COPIED['cpu']}
    job = Job(PICO, 'eager', 'contiguous', Shape(8, 1, 1), FORWARD)
    assert least_seconds(job, 10**9, 2e10) == pytest.approx(0.8)
    assert least_seconds(job._replace(step=TRAINING), 10**9, 2e10) == pytest.approx(2.4)


def test_peak_memory_is_of_the_step() -> None:
    """At least the largest map of a forward pass; training keeps many more."""
    shape = Shape(4, 256, 256)
    hidden = 4 * 4 * (4 * 32) * 64 * 64  # bytes of the feed-forward's hidden map in stage 1
    job = Job(PLAIN, 'eager', 'contiguous', shape, FORWARD)
    forward = peak_memory(job, Settings())
    training = peak_memory(job._replace(step=TRAINING), Settings())
    assert 2 * hidden < forward < 20 * hidden
    assert 2 * forward < training < 40 * forward


def test_a_job_that_cannot_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmsmt.benchmark.measurement.SIDES', {'cpu': 64})
    monkeypatch.setattr('mmsmt.benchmark.measurement.COPIED', {'cpu': 64})
    too_small = Job(PLAIN, 'eager', 'contiguous', Shape(1, 1, 1), FORWARD)
    fine = Job(PICO, 'eager', 'contiguous', Shape(1, 32, 32), FORWARD)
    failed, ran = time_jobs([too_small, fine], Settings(rounds=2, warmup=0))['jobs']
    assert set(failed) == {'failed'} and failed['failed'].startswith('RuntimeError: ')
    assert set(ran) == {'seconds'} and len(ran['seconds']) == 3


def test_deploy_forms_and_compiled_ones_are_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for both, which must both have been called."""
    seen = []

    def deploy(model: nn.Module) -> nn.Module:
        assert not model.training
        seen.append('folded')
        return nn.Sequential(model)

    def compiled(model: nn.Module, **options: object) -> Callable[[Tensor], tuple[Tensor, ...]]:
        seen.append((type(model).__name__, options))
        return lambda images: (seen.append(tuple(images.shape)), model(images))[1]

    monkeypatch.setattr('mmsmt.benchmark.jobs.deploy', deploy)
    monkeypatch.setattr(torch, 'compile', compiled)
    settings = Settings(compile_mode='max-autotune')
    run = prepare(Job(PICO, 'compiled-deploy', 'contiguous', SMALL, FORWARD), settings)
    options = dict(mode='max-autotune', dynamic=False)
    assert seen == ['folded', ('Sequential', options)]
    run()
    assert seen[2:] == [(2, 3, 64, 96)]


@pytest.mark.parametrize('layout', ['contiguous', 'channels-last'])
@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
def test_a_training_step_trains(layout: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images have the layout, products the type; weights move and hold no gradients after it."""
    model, seen = build(PICO), []
    monkeypatch.setattr(jobs, 'build', lambda contender: model)
    model.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0]))
    model.stages[0][0].ffn.fc1.register_forward_hook(lambda m, i, out: seen.append(out.dtype))
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    prepare(Job(PICO, 'eager', layout, SMALL, TRAINING), Settings(dtype=dtype))()
    images, computed = seen
    last = layout == 'channels-last'
    assert images.is_contiguous(memory_format=torch.channels_last) == last
    assert model.stages[0][0].mixer.reduce.weight.dtype == torch.float32
    assert str(computed) == f'torch.{dtype}'
    assert model.training and all(p.grad is None for p in model.parameters())
    # Biases before a batch norm, and those of keys, have no gradient.
    still = {n for n, p in model.named_parameters() if torch.equal(before[n], p)}
    assert not {name for name in still if not name.endswith('bias')}


def test_settings_hold_for_the_process() -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    for dtype in ('tf32', 'bfloat16'):
        Settings(dtype=dtype, threads=2).apply()
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (dtype == 'tf32', dtype == 'tf32')
        assert torch.get_num_threads() == 2


def test_recomputation_is_what_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr(jobs, 'build', lambda contender: built.append(build(contender)) or built[0])
    prepare(Job(PICO, 'recompute', 'contiguous', SMALL, TRAINING), Settings())()
    assert built[0].with_cp == (True,) * 4
    assert PICO.options == {'arch': 'pico'}


@pytest.mark.cuda
@pytest.mark.parametrize('dtype', jobs.DTYPES)
def test_every_way_runs_on_a_gpu(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for compiled ones. Graphs and deploy forms give the maps of the eager network."""
    settings = Settings('cuda', dtype, rounds=2, warmup=0)
    ways = ['eager', 'deploy', 'cudagraph', 'cudagraph-deploy']
    settings.apply()
    want, *others = (
        prepare(Job(PICO, way, 'contiguous', SMALL, FORWARD), settings)() for way in ways
    )
    limit = {'float32': 1e-4, 'tf32': 0.01, 'float16': 0.01, 'bfloat16': 0.08}[dtype]
    for maps in others:
        for got, exact in zip(maps, want, strict=True):
            error = (got - exact).float().square().mean() / exact.float().square().mean()
            assert error.sqrt() < limit, error
    monkeypatch.setattr('mmsmt.benchmark.measurement.SIDES', {'cuda': 64})
    monkeypatch.setattr('mmsmt.benchmark.measurement.COPIED', {'cuda': 4096})
    steps = [(FORWARD, way) for way in ways] + [(TRAINING, 'eager'), (TRAINING, 'recompute')]
    deep = PICO._replace(options=dict(arch='pico', depths=(4, 1, 1, 1)))
    shape = Shape(8, 128, 128)
    measured = time_jobs([Job(deep, w, 'contiguous', shape, s) for s, w in steps], settings)
    for (_, way), result in zip(steps, measured['jobs'], strict=True):
        assert 'failed' not in result, result
        assert ('memory' in result) == (not way.startswith('cudagraph'))
    assert measured['jobs'][-1]['memory'] < measured['jobs'][-2]['memory']
