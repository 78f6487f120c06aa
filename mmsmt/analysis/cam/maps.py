"""Grad-CAM and HiResCAM maps for any layer and score."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.analysis.cam.layers import Layer, tapped
from mmsmt.errors import ConfigError, UsageError
from mmsmt.hosts.model import evaluation_mode

METHODS = ('gradcam', 'hirescam')


def layer_cam(
    model: nn.Module,
    layer: Layer,
    score: Callable[[Tensor], Tensor],
    image: Tensor,
    method: str = 'gradcam',
) -> Tensor:
    """Return the class activation map of a score at the resolution of a layer, using captum.

    The channels of the layer's map are multiplied by the score's gradient and summed, and negative
    sums are set to 0. Grad-CAM (https://arxiv.org/abs/1610.02391) uses a channel's mean gradient
    over the map, HiResCAM (https://arxiv.org/abs/2011.08891) the gradient at each place. They are
    equal for a linear head on global pooling. The score of a box depends on few places; there the
    mean also highlights similar-looking places elsewhere.

    Args:
        model: Runs in eval mode, and is restored afterwards.
        layer: A layer of the model.
        score: From a normalised image (1, 3, H, W) to the explained score, (1,); runs the model.
        image: The normalised image (1, 3, H, W).
        method: One of `METHODS`.

    Returns:
        Map (h, w), not negative.

    Raises:
        ConfigError: If the layer does not run, returns no map, or does not influence the score.
        UsageError: If the method is unknown, or captum is not installed.
    """
    if method not in METHODS:
        raise UsageError(f'--method must be {" or ".join(METHODS)}, got {method}')
    try:
        from captum.attr import LayerGradCam, LayerGradientXActivation
    except ImportError as error:
        install = "pip install 'mmsmt[analysis]'"
        raise UsageError(f'Grad-CAM needs captum ({error}): {install}') from error
    kind = LayerGradCam if method == 'gradcam' else LayerGradientXActivation
    size = (image.shape[2], image.shape[3])
    with evaluation_mode(model), _without_recomputation(model), tapped(layer, size) as tap:
        runs = list[nn.Module]()
        tap.register_forward_hook(lambda module, *_: runs.append(module))
        try:
            products = kind(score, tap).attribute(
                image, grad_kwargs=dict(allow_unused=True, materialize_grads=True)
            )
        except AssertionError as error:
            if runs:
                raise
            raise ConfigError(f'the {layer.name} does not run: choose another layer') from error
    if not products.any():
        raise ConfigError(f'the score does not depend on the {layer.name}: choose another layer')
    return products.detach().sum(1)[0].clamp(min=0)


def enlarge(cam: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate a map (h, w) bilinearly to the size of an image, (H, W)."""
    return F.interpolate(cam[None, None], size, mode='bilinear')[0, 0]


@contextmanager
def _without_recomputation(model: nn.Module) -> Iterator[None]:
    """Disable activation checkpointing, which `torch.autograd.grad` may not support."""
    recomputed = [m for m in model.modules() if getattr(m, 'with_cp', None) is True]
    for module in recomputed:
        module.with_cp = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in recomputed:
            module.with_cp = True  # type: ignore[assignment]


def share_inside(values: Tensor, region: Tensor) -> float:
    """Return the share of a map's sum (H, W) in a region (H, W) bool; 0 if the sum is 0."""
    return (values[region].sum() / values.sum().clamp(min=1e-12)).item()
