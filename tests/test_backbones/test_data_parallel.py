"""Two processes train what one trains: batch norms, AdamW and autocast together.

A rank is this file, run as a program.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn

from mmsmt.backbones import SMT

pytestmark = pytest.mark.slow
STEPS = 3


def build(with_cp: bool) -> SMT:
    torch.manual_seed(0)
    return SMT('pico', depths=(1, 1, 2, 1), layer_scale_init_value=0.5, with_cp=with_cp)


def batch(step: int, rank: int) -> Tensor:
    generator = torch.Generator().manual_seed(10 * step + rank)
    return torch.randn(2, 3, 32 + 32 * (step % 2), 64, generator=generator)


def loss_of(model: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast('cpu', dtype=torch.bfloat16):
        outputs = model(x)
    return sum((feature.float() - 1).square().mean() for feature in outputs)


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)


def train_rank(rank: int, folder: str, static_graph: bool) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2
    )
    model = build(with_cp=static_graph)
    wrapped = nn.parallel.DistributedDataParallel(model, static_graph=static_graph)
    optimizer = optimizer_of(model)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(wrapped, batch(step, rank)).backward()
        optimizer.step()
    torch.save(model.state_dict(), f'{folder}/rank{rank}.pth')
    distributed.destroy_process_group()


def train_alone(with_cp: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Both halves of every batch in turn, each with statistics of its own, as DDP trains.

    Returns:
        The states of both ranks; their statistics start every step as those of the first.
    """
    models = [build(with_cp), build(with_cp)]
    optimizers = [optimizer_of(model) for model in models]
    for step in range(STEPS):
        for own, first in zip(models[1].buffers(), models[0].buffers(), strict=True):
            own.copy_(first)
        for rank, model in enumerate(models):
            model.zero_grad()
            loss_of(model, batch(step, rank)).backward()
        for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
            a.grad = (a.grad + b.grad) / 2
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    return models[0].state_dict(), models[1].state_dict()


@pytest.mark.parametrize('static_graph', [False, True], ids=['', 'static graph, recomputed'])
def test_two_processes_equal_one(tmp_path: Path, static_graph: bool) -> None:
    command = [sys.executable, __file__, str(tmp_path), 'static' if static_graph else '']
    ranks = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    initial = build(static_graph).state_dict()
    for rank, want in enumerate(train_alone(static_graph)):
        got = torch.load(tmp_path / f'rank{rank}.pth')
        assert not all(torch.equal(got[name], value) for name, value in initial.items())
        for name, value in want.items():
            torch.testing.assert_close(
                got[name], value, rtol=1e-4, atol=2e-5, msg=lambda m, n=name: f'{n}: {m}'
            )


def test_half_a_batch_is_not_a_whole_one() -> None:
    """Control: a rank that kept its own gradients would be found."""
    both, _ = train_alone(False)
    model = build(False)
    optimizer = optimizer_of(model)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(model, batch(step, 0)).backward()
        optimizer.step()
    name = 'stages.2.1.ffn.fc1.weight'
    assert not torch.allclose(model.state_dict()[name], both[name], rtol=1e-4, atol=2e-5)


if __name__ == '__main__':
    train_rank(int(sys.argv[3]), sys.argv[1], sys.argv[2] == 'static')
