"""Small networks and images for the tests of the backbones."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SMT, FourStageBackbone, SGFormer, UnifiedBackbone


def smallest(network: type[FourStageBackbone]) -> Callable[..., FourStageBackbone]:
    """Build a network's smallest variant, the same initial weights every time."""

    def build(**options: object) -> FourStageBackbone:
        torch.manual_seed(0)
        return network(**{'arch': 'pico', **options})

    return build


def loss_of(outputs: tuple[Tensor, ...]) -> Tensor:
    """A scalar that every output pixel influences with a weight of its own."""
    total = outputs[0].new_zeros((), dtype=torch.promote_types(outputs[0].dtype, torch.float32))
    for feature in outputs:
        generator = torch.Generator().manual_seed(feature.numel())
        weight = torch.randn(feature.shape, generator=generator).to(feature.dtype)
        total = total + (feature * weight).float().mean()
    return total


def random_images(
    batch: int = 2, height: int = 64, width: int = 64, channels: int = 3, **options: object
) -> Tensor:
    generator = torch.Generator().manual_seed(height * width)
    return torch.randn(batch, channels, height, width, generator=generator).to(**options)


def shake(model: nn.Module) -> nn.Module:
    """Move every weight and statistic away from its initial value, so that each one counts."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator).to(value.dtype)
                value.add_(0.1 * (noise.abs() if name.endswith('running_var') else noise))
    return model


@pytest.fixture
def pico() -> Callable[..., FourStageBackbone]:
    """The smallest SMT."""
    return smallest(SMT)


@pytest.fixture
def sg_pico() -> Callable[..., FourStageBackbone]:
    """The smallest SG-Former."""
    return smallest(SGFormer)


@pytest.fixture(params=[SMT, SGFormer, UnifiedBackbone], ids=lambda network: network.__name__)
def any_pico(request: pytest.FixtureRequest) -> Callable[..., FourStageBackbone]:
    """The smallest variant of each network in turn."""
    return smallest(request.param)


@pytest.fixture(name='loss_of')
def _loss_of() -> Callable[..., Tensor]:
    return loss_of


@pytest.fixture(name='images')
def _images() -> Callable[..., Tensor]:
    return random_images


@pytest.fixture(name='shake')
def _shake() -> Callable[[nn.Module], nn.Module]:
    return shake
