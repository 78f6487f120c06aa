"""Focal losses (https://arxiv.org/abs/1708.02002) with sigmoid and with softmax."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Logarithms are clamped at that of the smallest normal float32, as in the compiled operators.
_SMALLEST = 2.0**-126
_LEAST_LOG = math.log(_SMALLEST)


def _check_target(target: Tensor, most: int) -> None:
    """Check the labels; fail if there are none, as the compiled operators do.

    Raises:
        RuntimeError: If a label is larger than `most`, or there is no label.
    """
    if target.numel() == 0:
        raise RuntimeError('focal loss of no samples: there is no largest label')
    if int(target.max()) > most:
        raise RuntimeError('target label should smaller or equal than num classes')


def _working_type(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _power(logits: Tensor, gamma: float) -> Tensor:
    """Return sigmoid(logits)**gamma; 1 for a gamma of 0, also at minus infinity."""
    return F.logsigmoid(logits).clamp_(min=-1e30).mul_(gamma).exp_()


def _class_weights(weight: Tensor, target: Tensor, classes: int, kind: torch.dtype) -> Tensor:
    """Return the weight of each sample (N, 1); 1 for labels that are not classes."""
    known = (target >= 0) & (target < classes)
    chosen = weight.to(kind)[target.clamp(0, classes - 1)]
    return torch.where(known, chosen, torch.ones_like(chosen))[:, None]


def _scatter_positive(result: Tensor, positive: Tensor, target: Tensor) -> Tensor:
    """Write `positive` (N, 1) to the label's column of `result` (N, C), if there is one."""
    classes = result.shape[1]
    known = ((target >= 0) & (target < classes))[:, None]
    column = target.clamp(0, classes - 1)[:, None]
    return result.scatter_(1, column, torch.where(known, positive, result.gather(1, column)))


@torch.no_grad()
def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill `output` (N, C) with the loss of each sample and class.

    The logarithm of 1 - p is accurate for large logits, unlike in the compiled operator.

    Args:
        input: Logits (N, C).
        target: Labels (N,), int64; C or negative for no class.
        weight: Weights of the classes (C,), or empty for ones. Samples without a class have weight
            1, where the compiled operator reads out of bounds.
        output: Filled in place.
        gamma: Exponent.
        alpha: Factor of the label's class; the other classes have 1 - alpha.

    Raises:
        RuntimeError: If a label is larger than C, or there are no samples.
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
    """Fill `grad_input` (N, C) with the derivative of each loss by its logit.

    See `sigmoid_focal_loss_forward` for the arguments.
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
    """Return the probability of each sample's label (N,), or of class 0 for negative labels."""
    chances = input.gather(1, target.clamp(min=0)[:, None])[:, 0]
    return chances.to(_working_type(input))


@torch.no_grad()
def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill `output` (N,) with the loss of each sample.

    Args:
        input: Probabilities (N, C), the softmax of the logits.
        target: Labels (N,), int64; negative ones are ignored, with loss 0.
        weight: Weights of the classes (C,), or empty for ones.
        output: Filled in place.
        gamma: Exponent.
        alpha: Factor.

    Raises:
        RuntimeError: If a label is C or larger (for C, the compiled operator reads another sample's
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
    """Fill `grad_input` (N, C) with the derivative of each loss by the logits.

    Args:
        input: Probabilities (N, C), see `softmax_focal_loss_forward`.
        target: See `softmax_focal_loss_forward`.
        weight: See `softmax_focal_loss_forward`.
        buff: Filled with the common factor of each sample (N,).
        grad_input: Filled in place.
        gamma: See `softmax_focal_loss_forward`.
        alpha: See `softmax_focal_loss_forward`.
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
