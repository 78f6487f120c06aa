"""The compiled operators have no CPU form: the references are the definitions, in loops."""

from math import exp, inf, log

import mmcv.ops.focal_loss as host
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmsmt.ops import focal_loss

PARAMETERS = [(2.0, 0.25), (0.0, 0.5), (0.5, 0.9), (3.0, 1.0)]
# Classes, the background (3), and labels to ignore.
TARGET = torch.tensor([0, 1, 2, 3, -1, 2, -100])
LOGITS = 3 * torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
WEIGHTS = [None, torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)]


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, 'ext_module', focal_loss)


def sigmoid_by_loops(
    logits: Tensor, target: Tensor, gamma: float, alpha: float, weight: Tensor | None
) -> Tensor:
    losses = torch.zeros_like(logits)
    for n, label in enumerate(target.tolist()):
        for c in range(logits.shape[1]):
            p = 1 / (1 + exp(-float(logits[n, c])))
            own = -alpha * (1 - p) ** gamma * log(p)
            other = -(1 - alpha) * p**gamma * log(1 - p)
            known = weight is not None and 0 <= label < logits.shape[1]
            losses[n, c] = (own if c == label else other) * (float(weight[label]) if known else 1)
    return losses


def softmax_by_loops(
    logits: Tensor, target: Tensor, gamma: float, alpha: float, weight: Tensor | None
) -> Tensor:
    losses = logits.new_zeros(len(logits))
    for n, label in enumerate(target.tolist()):
        if label >= 0:
            powers = [exp(x) for x in logits[n].tolist()]
            p = powers[label] / sum(powers)
            factor = 1 if weight is None else float(weight[label])
            losses[n] = -alpha * (1 - p) ** gamma * log(p) * factor
    return losses


@pytest.mark.parametrize('weight', WEIGHTS)
@pytest.mark.parametrize(('gamma', 'alpha'), PARAMETERS)
def test_sigmoid_form(gamma: float, alpha: float, weight: Tensor | None) -> None:
    wanted = sigmoid_by_loops(LOGITS, TARGET, gamma, alpha, weight)
    found = host.sigmoid_focal_loss(LOGITS, TARGET, gamma, alpha, weight, 'none')
    assert_close(found, wanted)
    single = None if weight is None else weight.float()
    found = host.sigmoid_focal_loss(LOGITS.float(), TARGET, gamma, alpha, single, 'none')
    assert_close(found, wanted.float(), rtol=1e-5, atol=1e-7)
    assert torch.autograd.gradcheck(
        lambda x: host.sigmoid_focal_loss(x, TARGET, gamma, alpha, weight, 'sum'),
        LOGITS.clone().requires_grad_(),
    )


@pytest.mark.parametrize('weight', WEIGHTS)
@pytest.mark.parametrize(('gamma', 'alpha'), PARAMETERS)
def test_softmax_form(gamma: float, alpha: float, weight: Tensor | None) -> None:
    target = torch.where(TARGET == 3, 0, TARGET)
    wanted = softmax_by_loops(LOGITS, target, gamma, alpha, weight)
    assert_close(host.softmax_focal_loss(LOGITS, target, gamma, alpha, weight, 'none'), wanted)
    single = None if weight is None else weight.float()
    found = host.softmax_focal_loss(LOGITS.float(), target, gamma, alpha, single, 'none')
    assert_close(found, wanted.float(), rtol=1e-5, atol=1e-7)
    assert torch.autograd.gradcheck(
        lambda x: host.softmax_focal_loss(x, target, gamma, alpha, weight, 'mean'),
        LOGITS.clone().requires_grad_(),
    )


def test_modules_of_mmcv_take_the_mean() -> None:
    each = sigmoid_by_loops(LOGITS, TARGET, 2.0, 0.25, None)
    assert_close(host.SigmoidFocalLoss(2.0, 0.25)(LOGITS, TARGET), each.sum() / 7)
    target = TARGET.clamp(-1, 2)
    each = softmax_by_loops(LOGITS, target, 2.0, 0.25, None)
    assert_close(host.SoftmaxFocalLoss(2.0, 0.25)(LOGITS, target), each.sum() / 7)


@pytest.mark.parametrize(('dtype', 'bits'), [(torch.float16, 10), (torch.bfloat16, 7)])
@pytest.mark.parametrize('form', ['sigmoid', 'softmax'])
def test_half_types_are_the_float32_result_rounded_once(
    form: str, dtype: torch.dtype, bits: int
) -> None:
    forward = getattr(focal_loss, f'{form}_focal_loss_forward')
    backward = getattr(focal_loss, f'{form}_focal_loss_backward')
    inputs = (LOGITS if form == 'sigmoid' else LOGITS.softmax(1)).to(dtype)
    target, results = TARGET.clamp(-1, 2), []
    for x in (inputs, inputs.float()):
        output = torch.zeros_like(x if form == 'sigmoid' else x[:, 0])
        grad, buffers = (
            torch.zeros_like(x),
            () if form == 'sigmoid' else (torch.zeros_like(x[:, 0]),),
        )
        forward(x, target, x.new_empty(0), output, gamma=2.0, alpha=0.25)
        backward(x, target, x.new_empty(0), *buffers, grad, gamma=2.0, alpha=0.25)
        results.append((output, grad, *buffers))
    for one, other in zip(*results):
        assert one.dtype == dtype
        assert_close(one.float(), other, rtol=2.0**-bits, atol=1e-7)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
def test_large_logits_keep_loss_and_gradient_finite(gamma: float, dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    logits = torch.tensor([[20, -20], [60, -60], [largest, -largest]], dtype=dtype)
    for label in (0, 1):
        for function in (host.sigmoid_focal_loss, host.softmax_focal_loss):
            x = logits[: 3 if function is host.sigmoid_focal_loss else 2].clone().requires_grad_()
            loss = function(x, torch.full((len(x),), label), gamma, 0.25, None, 'none')
            assert loss.isfinite().all()
            loss.sum().backward()
            assert x.grad.isfinite().all()


def test_logarithm_stops_at_the_smallest_float32() -> None:
    logits = torch.tensor([[200.0, -200.0]])
    loss = host.sigmoid_focal_loss(logits, torch.tensor([1]), 2.0, 0.25, None, 'none')
    assert_close(loss, -torch.tensor([[0.75, 0.25]]) * log(torch.finfo(torch.float32).tiny))


def test_loss_of_sure_mistakes_grows_with_the_logit() -> None:
    logits = torch.tensor([[20.0], [30.0]])  # 1 - sigmoid is 0 in float32
    loss = host.sigmoid_focal_loss(logits, torch.tensor([1, 1]), 2.0, 0.25, None, 'none')
    assert_close(loss, 0.75 * logits)


def test_labels_past_the_classes_are_a_runtime_error() -> None:
    logits = torch.zeros(2, 3)
    with pytest.raises(RuntimeError, match='target label'):
        host.sigmoid_focal_loss(logits, torch.tensor([0, 4]), 2.0, 0.25, None, 'none')
    with pytest.raises(RuntimeError, match='target label'):
        host.softmax_focal_loss(logits, torch.tensor([0, 3]), 2.0, 0.25, None, 'none')


@pytest.mark.parametrize('form', ['sigmoid', 'softmax'])
def test_no_samples_are_a_runtime_error(form: str) -> None:
    with pytest.raises(RuntimeError, match='no samples'):
        getattr(host, f'{form}_focal_loss')(torch.zeros(0, 3), torch.zeros(0).long())


@pytest.mark.parametrize('gamma', [0.0, 2.0])
def test_infinite_logits_on_the_right_side_are_no_loss(gamma: float) -> None:
    logits = torch.tensor([[inf, -inf]], requires_grad=True)
    loss = host.sigmoid_focal_loss(logits, torch.tensor([0]), gamma, 0.25, None, 'none')
    assert_close(loss, torch.zeros(1, 2))
    loss.sum().backward()
    assert_close(logits.grad, torch.zeros(1, 2))
