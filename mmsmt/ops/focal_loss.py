"""Focal losses (https://arxiv.org/abs/1708.02002): of independent classes, and of a softmax."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Logarithms stop at that of the smallest normal float32, as in the compiled operators.
_SMALLEST = 2.0**-126
_LEAST_LOG = math.log(_SMALLEST)


def _check_target(target: Tensor, most: int) -> None:
    """Checks the labels; fails for no labels at all, as the compiled operators do.

    Raises:
        RuntimeError: A label is larger than `most`, or there is no label.
    """
    if target.numel() == 0:
        raise RuntimeError('focal loss of no samples: there is no largest label')
    if int(target.max()) > most:
        raise RuntimeError('target label should smaller or equal than num classes')


def _working_type(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _power(logits: Tensor, gamma: float) -> Tensor:
    """sigmoid(logits)**gamma; 1 for a gamma of 0, also at minus infinity."""
    return F.logsigmoid(logits).clamp_(min=-1e30).mul_(gamma).exp_()


def _class_weights(weight: Tensor, target: Tensor, classes: int, kind: torch.dtype) -> Tensor:
    """Weight of each sample (N, 1); 1 for labels that are no class."""
    known = (target >= 0) & (target < classes)
    chosen = weight.to(kind)[target.clamp(0, classes - 1)]
    return torch.where(known, chosen, torch.ones_like(chosen))[:, None]


def _scatter_positive(result: Tensor, positive: Tensor, target: Tensor) -> Tensor:
    """Puts `positive` (N, 1) at the label's column of `result` (N, C), where there is one."""
    classes = result.shape[1]
    known = ((target >= 0) & (target < classes))[:, None]
    column = target.clamp(0, classes - 1)[:, None]
    return result.scatter_(1, column, torch.where(known, positive, result.gather(1, column)))


@torch.no_grad()
def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fills `output` (N, C) with the loss of each sample and class.

    The logarithm of 1 - p is exact for large logits, where the compiled operator loses it.

    Args:
        input: Logits (N, C).
        target: Labels (N,), int64; C or below 0: no class.
        weight: Of the label's class (C,), or empty for ones. Samples of no class weigh 1, where
            the compiled operator reads past the end.
        output: Filled in place.
        gamma: Exponent.
        alpha: Factor of the label's class; 1 - alpha of the others.

    Raises:
        RuntimeError: A label is larger than C, or there are no samples.
    """
    classes = input.shape[1]
    _check_target(target, classes)
    logits = input.to(_working_type(input))
    log_not = F.logsigmoid(-logits)
    power = _power(logits, gamma)
    loss = log_not.clamp_(min=_LEAST_LOG).mul_(power).mul_(alpha - 1)
    own = logits.gather(1, target.clamp(0, classes - 1)[:, None])
    log_own = F.logsigmoid(own).clamp_(min=_LEAST_LOG)
    positive = -alpha * _power(-own, gamma) * log_own
    _scatter_positive(loss, positive, target)
    if weight.numel():
        loss *= _class_weights(weight, target, classes, loss.dtype)
    output.copy_(loss)


@torch.no_grad()
def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fills `grad_input` (N, C) with the derivative of each loss by its logit.

    Arguments are those of the forward.
    """
    classes = input.shape[1]
    if target.numel() == 0:
        return
    logits = input.to(_working_type(input))
    log_not = F.logsigmoid(-logits)
    power = _power(logits, gamma)
    chance = logits.sigmoid()
    # (alpha - 1) p^gamma (gamma (1 - p) log(1 - p) - p)
    grad = log_not.clamp_(min=_LEAST_LOG).mul_(gamma).mul_(1 - chance).sub_(chance)
    grad.mul_(power).mul_(alpha - 1)
    own = logits.gather(1, target.clamp(0, classes - 1)[:, None])
    log_own, chance = F.logsigmoid(own).clamp_(min=_LEAST_LOG), own.sigmoid()
    power = _power(-own, gamma)
    positive = -alpha * power * ((-own).sigmoid() - gamma * chance * log_own)
    _scatter_positive(grad, positive, target)
    if weight.numel():
        grad *= _class_weights(weight, target, classes, grad.dtype)
    grad_input.copy_(grad)


def _own_chance(input: Tensor, target: Tensor) -> Tensor:
    """Probability of each sample's label (N,); of class 0 for labels below 0."""
    chances = input.gather(1, target.clamp(min=0)[:, None])[:, 0]
    return chances.to(_working_type(input))


@torch.no_grad()
def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fills `output` (N,) with the loss of each sample.

    Args:
        input: Probabilities (N, C), the softmax of the logits.
        target: Labels (N,), int64; below 0: ignored, loss 0.
        weight: Of the label's class (C,), or empty for ones.
        output: Filled in place.
        gamma: Exponent.
        alpha: Factor.

    Raises:
        RuntimeError: A label is C or larger (for C, the compiled operator reads another sample's
            probability), or there are no samples.
    """
    _check_target(target, input.shape[1] - 1)
    chance = _own_chance(input, target)
    loss = -alpha * (1 - chance).pow(gamma) * chance.clamp(min=_SMALLEST).log()
    if weight.numel():
        loss *= _class_weights(weight, target, len(weight), loss.dtype)[:, 0]
    output.copy_(loss.masked_fill_(target < 0, 0))


@torch.no_grad()
def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Fills `grad_input` (N, C) with the derivative of each loss by the logits.

    Args:
        input: Probabilities (N, C), as the other arguments those of the forward.
        target: As there.
        weight: As there.
        buff: Filled with the common factor of each sample (N,).
        grad_input: Filled in place.
        gamma: As there.
        alpha: As there.
    """
    chance = _own_chance(input, target)
    rest = 1 - chance
    # log(p) / (1 - p) is -1 in the limit p = 1, where a gamma below 1 would give 0 times infinity.
    slope = torch.where(rest > 0, chance.clamp(min=_SMALLEST).log() / rest, -1.0)
    factor = alpha * rest.pow(gamma) * (gamma * chance * slope - 1)
    if weight.numel():
        factor *= _class_weights(weight, target, len(weight), factor.dtype)[:, 0]
    factor.masked_fill_(target < 0, 0)
    buff.copy_(factor)
    grad = input.to(factor.dtype) * -factor[:, None]
    own = target.clamp(min=0)[:, None]
    grad.scatter_add_(1, own, factor[:, None])
    grad_input.copy_(grad)
