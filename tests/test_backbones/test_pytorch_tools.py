"""PyTorch's own tools work on the networks as on those of torchvision."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.ao.nn.quantized import dynamic
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models.feature_extraction import create_feature_extractor

from mmsmt.backbones import SMT, FourStageBackbone, SGFormer, UnifiedBackbone

MIXERS = ('halo', 'sra', 'window', 'dwconv', 'dcnv3')
NETWORKS = {
    'SMT': lambda **options: SMT('pico', **options),
    'SGFormer': lambda **options: SGFormer('pico', **options),
    **{m: lambda m=m, **options: UnifiedBackbone(m, 'pico', **options) for m in MIXERS},
    'sra, detection': lambda **o: UnifiedBackbone('sra', 'pico', behaviour='detection', **o),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest, shake: Callable) -> FourStageBackbone:
    torch.manual_seed(0)
    return shake(NETWORKS[request.param](drop_path_rate=0.1)).eval()


def test_feature_extraction_at_any_size(network: FourStageBackbone, images: Callable) -> None:
    """torchvision traces a network once for training and once for evaluation."""
    extractor = create_feature_extractor(
        network, {'stages.1.0.ffn.fc1': 'wide', 'norms.3': 'last'}
    ).eval()
    for height, width in ((64, 64), (61, 97), (33, 40)):
        x = images(2, height, width)
        wide: list[Tensor] = []
        hook = network.stages[1][0].ffn.fc1.register_forward_hook(lambda *a: wide.append(a[-1]))  # noqa: B023
        want = network(x)[3]
        hook.remove()
        found = extractor(x)
        assert torch.equal(found['wide'], wide[0])
        assert torch.equal(found['last'].permute(0, 3, 1, 2), want)
    assert extractor.train()(images())['last'].grad_fn is not None


def squares(outputs: tuple[Tensor, ...]) -> Tensor:
    return sum(feature.square().mean() for feature in outputs)


def test_gradients_by_torch_func(network: FourStageBackbone, images: Callable) -> None:
    x = images(2, 32, 40)
    weights = {name: p.detach() for name, p in network.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return squares(torch.func.functional_call(network, weights, (x,)))

    found = torch.func.grad(loss)(weights, x)
    squares(network(x)).backward()
    for name, p in network.named_parameters():
        torch.testing.assert_close(found[name], p.grad, msg=lambda m, n=name: f'{n}: {m}')
    # Of each image on its own: their mean is that of the batch.
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x[:, None])
    alone = torch.func.grad(loss)(weights, x[1:])
    for name, gradient in alone.items():
        torch.testing.assert_close(each[name][1], gradient, rtol=1e-3, atol=1e-6)


def test_forward_derivatives(pico: Callable, images: Callable, shake: Callable) -> None:
    """Fused attention of a CPU has none; group norm of PyTorch 2.11 fails on channels-last maps."""
    model, x = shake(pico()).double().eval(), images(1, 32, 32).double()
    step = torch.randn_like(x)
    with sdpa_kernel(SDPBackend.MATH):
        _, found = torch.func.jvp(lambda x: model(x)[3], (x,), (step,))
        difference = (model(x + 1e-6 * step)[3] - model(x - 1e-6 * step)[3]) / 2e-6
    torch.testing.assert_close(found, difference, rtol=1e-5, atol=1e-7)


def test_dynamic_quantisation_reaches_every_linear_layer(
    network: FourStageBackbone, images: Callable
) -> None:
    small = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, torch.qint8)
    layers = sum(type(m) is nn.Linear for m in network.modules())
    assert layers == sum(type(m) is dynamic.Linear for m in small.modules()) > 0
    for got, want in zip(small(images()), network(images()), strict=True):
        assert (got - want).norm() < 0.2 * want.norm()


@pytest.mark.slow
def test_export(network: FourStageBackbone, images: Callable) -> None:
    program = torch.export.export(network, (images(2, 61, 97),))
    for got, want in zip(program.module()(images(2, 61, 97)), network(images(2, 61, 97))):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_one_export_of_smt_serves_all_sizes(pico: Callable, images: Callable) -> None:
    model = pico().eval()
    batch, height, width = (torch.export.Dim(n, min=m, max=512) for n, m in zip('bhw', (1, 64, 64)))
    shapes = [{0: batch, 2: height, 3: width}]
    program = torch.export.export(model, (images(2, 64, 96),), dynamic_shapes=shapes)
    for size in ((1, 71, 97), (3, 160, 96)):
        for got, want in zip(program.module()(images(*size)), model(images(*size))):
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_conversion_to_synchronised_batch_norms(network: FourStageBackbone) -> None:
    """Names and values stay; PyTorch runs them on GPUs only."""
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(network))
    norms = [type(m) for m in converted.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert set(norms) <= {nn.SyncBatchNorm}
    assert converted.state_dict().keys() == network.state_dict().keys()


def test_stochastic_weight_averaging(network: FourStageBackbone, images: Callable) -> None:
    average = torch.optim.swa_utils.AveragedModel(network, use_buffers=True)
    average.update_parameters(network)
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(3.0)
    average.update_parameters(network)
    for (name, value), now in zip(average.module.named_parameters(), network.parameters()):
        torch.testing.assert_close(value, now * 2 / 3, msg=lambda m, n=name: f'{n}: {m}')
    assert average.eval()(images())[3].isfinite().all()
