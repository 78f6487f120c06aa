"""The deploy form computes what the model does; the reference is the model itself."""

import pickle
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SMT, ConvHead, SGFormer, UnifiedBackbone
from mmsmt.deploy import deploy
from mmsmt.deploy.layers import JoinedModulation
from mmsmt.errors import CheckpointError
from mmsmt.layers import ConvFFN, LayerScale
from mmsmt.mixers import ScaleAwareModulation

BACKBONES = {
    'smt': lambda: SMT('pico', layer_scale_init_value=1e-4),
    'smt, wide stem': lambda: SMT('pico', stem_kernel=7, sam_heads=(2, 2, 1, 1)),
    'sg_former': lambda: SGFormer('pico'),
    'unified sam, detection': lambda: UnifiedBackbone('sam', 'pico', behaviour='detection'),
    **{
        f'unified {kind}': lambda kind=kind: UnifiedBackbone(kind, 'pico')
        for kind in ('halo', 'sra', 'window', 'dwconv', 'dcnv3', 'msa')
    },
}
SIZES = (2, 64, 64), (1, 61, 97), (3, 5, 32)


def randomized(model: nn.Module) -> nn.Module:
    """Far from the initial values, at which much of what is folded is nought or one."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.5, 0.5)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    return model.eval()


def images(batch: int, height: int, width: int) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def largest_difference(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> float:
    return max(
        ((x - y).abs().max() / x.square().mean().sqrt()).item() for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize('name', BACKBONES)
def test_equals_the_model(name: str) -> None:
    model = randomized(BACKBONES[name]())
    deployed, wide = deploy(model), deepcopy(model).double()
    folded = deploy(wide)
    with torch.inference_mode():
        for size in SIZES:
            x = images(*size)
            # Of two pixels of equal significance rounding may put either first.
            limit = 1e-3 if name == 'sg_former' else 1e-5
            assert largest_difference(model(x), deployed(x)) < limit, size
            assert largest_difference(wide(x.double()), folded(x.double())) < 1e-12, size


@pytest.mark.parametrize('join_kernels', [True, False])
def test_what_is_folded_is_gone(join_kernels: bool) -> None:
    model = randomized(SMT('pico', layer_scale_init_value=1e-4)).double()
    deployed = deploy(model, join_kernels)
    kinds = {type(part) for part in deployed.modules()}
    assert not kinds & {nn.BatchNorm2d, nn.LayerNorm, LayerScale, ConvFFN}
    assert (JoinedModulation in kinds) == join_kernels
    assert (ScaleAwareModulation in kinds) != join_kernels
    assert not any(part.training for part in deployed.modules())
    x = images(2, 64, 64).double()
    assert largest_difference(model(x), deployed(x)) < 1e-13


def test_the_model_stays_as_it_is_and_shares_nothing() -> None:
    model = SMT('pico')
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    deployed = deploy(model)
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in deployed.parameters())
    for tensor in deployed.state_dict().values():
        tensor.zero_()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_its_weights_do_not_pass_for_the_models() -> None:
    model = SMT('pico')
    with pytest.raises(CheckpointError, match='does not fit the model'):
        model.load_state_dict(deploy(model).state_dict())


def test_copies_files_and_a_second_conversion() -> None:
    x = images(1, 32, 32)
    deployed = deploy(randomized(SMT('pico')))
    with torch.inference_mode():
        expected = deployed(x)
        for other in (deepcopy(deployed), pickle.loads(pickle.dumps(deployed)), deploy(deployed)):
            assert largest_difference(expected, other(x)) == 0


def test_half_precision_and_gradients_of_images() -> None:
    x = images(1, 32, 32)
    model = randomized(SMT('pico'))
    deployed = deploy(model)
    with torch.inference_mode():
        want = deepcopy(model).double()(x.double())
        with torch.autocast('cpu', torch.bfloat16):
            for form in (model, deployed):
                assert largest_difference(want, form(x)) < 0.07
    gradients = []
    for form in (model, deployed):
        y = x.clone().requires_grad_()
        form(y)[-1].square().sum().backward()
        gradients.append(y.grad)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_exports_with_any_size() -> None:
    deployed = deploy(randomized(SMT('pico')))
    batch, height, width = (torch.export.Dim(name, min=2, max=64) for name in 'bhw')
    shapes = {0: batch, 2: 32 * height, 3: 32 * width}
    program = torch.export.export(deployed, (images(2, 96, 64),), dynamic_shapes=[shapes])
    with torch.inference_mode():
        x = images(3, 64, 128)
        assert largest_difference(deployed(x), program.module()(x)) < 1e-5


def test_head_of_unified_models() -> None:
    model = randomized(nn.Sequential(SMT('pico', out_indices=(3,)), ConvHead(160)))
    model[1] = randomized(ConvHead(model[0].embed_dims[-1]))
    with torch.inference_mode():
        x = images(2, 64, 64)
        assert largest_difference(model(x), deploy(model)(x)) < 1e-5


def test_a_model_of_others_is_refused() -> None:
    with pytest.raises(ValueError, match='Conv2d has no backbone of mmsmt'):
        deploy(nn.Conv2d(3, 3, 1))


def test_a_model_whose_eval_returns_nothing() -> None:
    """Several backbones of the hosts are such, which may hold one of ours."""

    class Silent(nn.Sequential):
        def train(self, mode: bool = True) -> None:
            super().train(mode)

    model = Silent(randomized(SMT('pico')))
    with torch.inference_mode():
        x = images(1, 32, 32)
        assert largest_difference(model[0](x), deploy(model)(x)) < 1e-5


@pytest.mark.cuda
@pytest.mark.parametrize('name', BACKBONES)
def test_on_a_gpu_it_equals_the_model(name: str) -> None:
    model = randomized(BACKBONES[name]())
    deployed, wide = deploy(model).cuda(), deepcopy(model).double()
    x = images(1, 61, 97)
    y = x.cuda()
    with torch.inference_mode():
        want = [each.cuda() for each in wide(x.double())]
        assert largest_difference(want, deploy(wide).cuda()(y.double())) < 1e-6
        # Of two pixels of equal significance rounding may put either first.
        if name != 'sg_former':
            single = model.cuda()(y)
            assert largest_difference(single, deployed(y)) < 1e-4
            for dtype, limit in ((torch.bfloat16, 0.1), (torch.float16, 0.015)):
                with torch.autocast('cuda', dtype):
                    half = deployed(y)
                assert all(rms_difference(*pair) < limit for pair in zip(single, half, strict=True))


def rms_difference(x: Tensor, y: Tensor) -> float:
    return ((x - y).square().mean() / x.square().mean()).sqrt().item()
