"""A NaN or Inf loss stops the run; nothing else does."""

import functools
import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import AmpOptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmsmt.errors import AnomalyError


class Losses(nn.Module):
    """Gives the losses of a list, one dictionary an iteration, and leaves hopeless gradients."""

    def __init__(self, losses: list[dict[str, float]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.losses, self.seen = losses, 0

    def train_step(self, data: dict, optim_wrapper: object) -> dict[str, Tensor]:
        self.weight.grad = torch.full((1,), math.inf)  # as before a step that scaling skips
        self.seen += 1
        return {name: torch.tensor(value) for name, value in self.losses[self.seen - 1].items()}


Train = Callable[..., Losses]


@pytest.fixture
def train(make_runner: Callable[..., Runner]) -> Train:
    """Train on the losses of a list, two iterations an epoch; keywords go to the wrapper."""

    def run(losses: list[dict[str, float]], **wrapper: object) -> Losses:
        model = Losses(losses)
        samples = [{'data_samples': SimpleNamespace(img_path=f'images/{i}.png')} for i in range(4)]
        runner = make_runner(
            model=model,
            train_dataloader=dict(
                batch_size=2, dataset=samples, sampler=dict(type='DefaultSampler', shuffle=False)
            ),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0), **wrapper),
            default_hooks=dict(checkpoint=dict(type='mmsmt.AtomicCheckpointHook', interval=1)),
            hooks=[dict(type='mmsmt.AnomalyHook')],
        )
        runner.train()
        return model

    return run


GOOD = {'loss': 1.0, 'loss_cls': 1.0, 'acc': 50.0}


@pytest.mark.parametrize('at', [1, 4])
@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('wrapper', [{}, {'accumulative_counts': 2}], ids=['', 'accumulating'])
def test_stops_and_says_where(train: Train, at: int, value: float, wrapper: dict) -> None:
    bad = {'loss': value, 'loss_cls': value, 'acc': 50.0}
    with pytest.raises(AnomalyError) as caught:
        train([*[GOOD] * (at - 1), bad, *[GOOD] * 4], **wrapper)
    images = 'images/0.png, images/1.png' if at == 1 else 'images/2.png, images/3.png'
    last = 'there is no checkpoint yet' if at == 1 else r'the last good checkpoint is .*epoch_1.pth'
    where = f'iteration {at} .epoch {(at + 1) // 2}.: loss is {value}, loss_cls is {value}; '
    assert caught.match(f'^{where}images of the batch: {images}; {last}$')


def test_what_is_no_loss_and_what_is_skipped_pass(train: Train) -> None:
    """Gradients may be Inf, and a mean over nothing NaN."""
    assert train([{**GOOD, 'acc': math.nan}] * 4).seen == 4


class Steep(nn.Module):
    """Its loss is a multiple of its weight, by other factors every iteration."""

    def __init__(self, factors: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.factors, self.weights = factors, list[float]()

    def train_step(self, data: dict, optim_wrapper: AmpOptimWrapper) -> dict[str, Tensor]:
        loss = self.weight.sum() * self.factors[len(self.weights)]
        optim_wrapper.update_params(loss)
        self.weights.append(self.weight.item())
        return {'loss': loss.detach()}


def test_a_step_that_loss_scaling_skips_passes(
    make_runner: Callable[..., Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmengine's mixed precision with PyTorch's scaler, which a processor has too."""
    scaler = functools.partial(torch.amp.GradScaler, 'cpu')
    monkeypatch.setattr(amp_optimizer_wrapper, 'GradScaler', scaler)
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    model = Steep([1e35, 1.0, math.nan, 1.0])  # times the first scale of 2^16 beyond float32
    runner = make_runner(
        model=model,
        train_dataloader=dict(batch_size=1, dataset=[{}] * 4, sampler=dict(type='DefaultSampler')),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=0.25)),
        hooks=[dict(type='mmsmt.AnomalyHook')],
    )
    with pytest.raises(AnomalyError, match='^iteration 3 .epoch 1.: loss is nan; images'):
        runner.train()
    assert model.weights == [1.0, 0.75, 0.75], 'the first step skipped, the second made'
    assert runner.optim_wrapper.loss_scaler.get_scale() == 2**14, 'halved for both bad ones'
