"""Gradients reach every parameter; recomputation changes neither them nor any statistic."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SMT

EVERYTHING = {'layer_scale_init_value': 0.5, 'depths': (2, 1, 3, 2)}


def without_gradient(model: nn.Module) -> list[str]:
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None
        or not parameter.grad.isfinite().all()
        or not parameter.grad.abs().sum() > 0
    ]


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('training', [True, False])
def test_gradients_reach_every_parameter(
    any_pico: Callable, images: Callable, loss_of: Callable, training: bool, with_cp: bool
) -> None:
    model = any_pico(**EVERYTHING, with_cp=with_cp).train(training)
    x = images().requires_grad_()
    loss_of(model(x)).backward()
    assert without_gradient(model) == []
    assert x.grad.abs().sum() > 0


def test_gradient_test_names_the_one_without(
    pico: Callable, images: Callable, loss_of: Callable
) -> None:
    """Control: a layer that does not take part is found, and so is one behind a detach."""
    model = pico()
    model.unused = nn.Linear(2, 2)
    model.stages[1][0].ffn.fc1.register_forward_hook(lambda *args: args[-1].detach())
    loss_of(model(images())).backward()
    assert without_gradient(model) == [
        'stages.1.0.norm2.weight',
        'stages.1.0.norm2.bias',
        'stages.1.0.ffn.fc1.weight',
        'stages.1.0.ffn.fc1.bias',
        'unused.weight',
        'unused.bias',
    ]


def test_last_output_alone_reaches_all_but_the_other_norms(
    any_pico: Callable, images: Callable, loss_of: Callable
) -> None:
    """Each stage's norm feeds the next stage, so even they take part."""
    model = any_pico(out_indices=(3,))
    loss_of(model(images())).backward()
    assert without_gradient(model) == []


def trained_steps(
    model: SMT, images: Callable, loss_of: Callable, steps: int = 2
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Last loss and gradients, and all entries of the state dict, after some steps."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    torch.manual_seed(7)
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(images(2, 32 + 32 * step, 64)))
        loss.backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
    return loss.detach(), gradients, copy.deepcopy(model.state_dict())


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'drop_path_rate': 0.5},
        {'frozen_stages': 1},
        {'norm_eval': True},
        {'mixers': ('msa', 'sam', ('msa', 'sam'), 'sam')},
    ],
    ids=str,
)
def test_recomputation_changes_nothing(
    any_pico: Callable, images: Callable, loss_of: Callable, options: dict
) -> None:
    """Batch norms must not count the recomputed pass: neither means nor the counter."""
    plain = any_pico(**EVERYTHING, **options)
    checkpointed = any_pico(**EVERYTHING, **options, with_cp=True)
    calls = []
    checkpointed.stages[2][0].register_forward_pre_hook(lambda *_: calls.append(1))
    loss, gradients, state = trained_steps(plain, images, loss_of)
    loss_cp, gradients_cp, state_cp = trained_steps(checkpointed, images, loss_of)
    assert len(calls) == 4, 'two steps, each forward and recomputed'
    assert torch.equal(loss, loss_cp)
    assert gradients.keys() == gradients_cp.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradients_cp[name], gradient, msg=lambda m, n=name: f'{n}: {m}')
    counters = [name for name in state if name.endswith('num_batches_tracked')]
    assert counters or not isinstance(plain, SMT), 'the others have no batch norm of their own'
    if not options:
        assert {state[name].item() for name in counters} <= {2}
    for name, value in state.items():
        torch.testing.assert_close(state_cp[name], value, msg=lambda m, n=name: f'{n}: {m}')


def test_recomputation_of_some_stages(
    any_pico: Callable, images: Callable, loss_of: Callable
) -> None:
    model = any_pico(with_cp=(True, False, True, False))
    calls: list[int] = []
    for stage, blocks in enumerate(model.stages):
        blocks[0].register_forward_pre_hook(lambda *_, stage=stage: calls.append(stage))
    loss_of(model(images())).backward()
    assert sorted(calls) == [0, 0, 1, 2, 2, 3]


@pytest.mark.parametrize('with_cp', [(True, False), (True,) * 5, 'yes', 2, (1, 0, 0, 0), None])
def test_recomputation_is_told_by_one_flag_or_four(any_pico: Callable, with_cp: object) -> None:
    with pytest.raises(ValueError, match='with_cp must be one flag or 4, got'):
        any_pico(with_cp=with_cp)


def test_recomputation_keeps_the_very_buffers(
    pico: Callable, images: Callable, loss_of: Callable
) -> None:
    """Others hold references to buffers (an EMA, a data-parallel wrapper)."""
    model = pico(with_cp=True)
    before = {name: id(buffer) for name, buffer in model.named_buffers()}
    loss_of(model(images())).backward()
    assert {name: id(buffer) for name, buffer in model.named_buffers()} == before


@pytest.mark.parametrize('training, grad', [(False, True), (True, False)])
def test_no_recomputation_without_training(
    any_pico: Callable, images: Callable, loss_of: Callable, training: bool, grad: bool
) -> None:
    model, plain = any_pico(with_cp=True).train(training), any_pico().train(training)
    calls = []
    model.stages[0][0].register_forward_pre_hook(lambda *_: calls.append(1))
    with torch.set_grad_enabled(grad):
        outputs = model(images())
        for got, want in zip(outputs, plain(images()), strict=True):
            assert torch.equal(got, want)
    if grad:
        loss_of(outputs).backward()
    assert len(calls) == 1
