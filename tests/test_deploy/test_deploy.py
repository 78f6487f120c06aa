"""The deploy form computes what the model does; the reference is the model itself."""

import pickle
from copy import deepcopy
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SMT, ConvHead, SGFormer, UnifiedBackbone
from mmsmt.deploy import deploy, layers, tiling
from mmsmt.deploy.prepacked import Packed
from mmsmt.errors import CheckpointError

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
    with torch.inference_mode():
        for size in SIZES:
            x = images(*size)
            packed = largest_difference(model(x), deploy(model)(x))
            # In float64 no packed operator runs, so this sees the folding alone.
            wide = deepcopy(model).double()
            folded = largest_difference(wide(x.double()), deploy(model).double()(x.double()))
            # Of two pixels of equal significance rounding may put either first.
            assert packed < (1e-3 if name == 'sg_former' else 1e-5), size
            assert folded < 1e-6, size


def test_folding_is_exact() -> None:
    model = randomized(SMT('pico', layer_scale_init_value=1e-4)).double()
    x = images(2, 64, 64).double()
    assert largest_difference(model(x), deploy(model)(x)) < 1e-13


@pytest.mark.parametrize('name,bytes_', list(product(['smt', 'smt, wide stem'], [2**11, 2**14])))
def test_pieces_and_strips(name: str, bytes_: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = randomized(BACKBONES[name]())
    monkeypatch.setattr(layers, 'TILE_BYTES', bytes_)
    monkeypatch.setattr(tiling, 'TILE_BYTES', bytes_)
    cut, evenly = [], tiling._evenly
    monkeypatch.setattr(tiling, '_evenly', lambda *sizes: cut.append(sizes) or evenly(*sizes))
    deployed = deploy(model)
    with torch.inference_mode():
        for batch, height in ((1, 61), (1, 62), (1, 63), (1, 64), (5, 61)):
            x = images(batch, height, 66)
            assert largest_difference(model(x), deployed(x)) < 1e-5
    assert any(total > most for total, most in cut)


@pytest.mark.parametrize('shape', [(1, 40, 8, 4), (5, 8, 8, 4), (3, 30, 8, 4)])
def test_a_large_map_goes_through_in_pieces(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiling, 'TILE_BYTES', 2**12)
    seen: list[torch.Size] = []

    def step(x: torch.Tensor, other: torch.Tensor, rows: slice) -> torch.Tensor:
        seen.append(x.shape)
        above_and_below = torch.nn.functional.pad(x, (0, 0, 0, 0, 1, 1))
        return (above_and_below[:, :-2] - above_and_below[:, 2:])[:, rows] + other

    x, other = torch.rand(shape), torch.rand(shape)
    expected = step(x, other, slice(None))
    assert torch.equal(tiling.run_in_tiles(step, x, other, reach=1, width=4), expected)
    shapes = seen[1:]
    assert len(shapes) > 1 and all(shape[1] <= 2**12 // (8 * 4 * 4) + 2 for shape in shapes)
    x.requires_grad_()
    assert torch.equal(tiling.run_in_tiles(step, x, other, reach=1, width=4), expected)
    assert seen[-1] == shape, 'gradients need the whole'


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


def test_copies_files_and_types_of_a_form_that_has_run() -> None:
    x = images(1, 32, 32)
    deployed = deploy(randomized(SMT('pico')))
    with torch.inference_mode():
        expected = deployed(x)
        assert any(m._packed is not None for m in deployed.modules() if isinstance(m, Packed))
        for other in (deepcopy(deployed), pickle.loads(pickle.dumps(deployed)), deploy(deployed)):
            assert largest_difference(expected, other(x)) == 0
        # What was packed must not outlive a change of the weights.
        changed = deepcopy(deployed)
        changed(x)
        changed.load_state_dict({k: v * 1.1 for k, v in deployed.state_dict().items()})
        assert largest_difference(expected, changed(x)) > 1e-2
        assert largest_difference(expected, deployed.double()(x.double())) < 1e-5


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
def test_on_a_gpu_it_equals_the_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after it has run on a CPU, whose layout of weights and pieces of maps stay there."""
    model = randomized(BACKBONES[name]())
    deployed, wide = deploy(model), deepcopy(model).double()
    x = images(1, 61, 97)
    with torch.inference_mode():
        want = wide(x.double())
        on_cpu = deployed(x)
    deployed.cuda()
    folded = deepcopy(deployed).double()
    cut: list[tuple[int, ...]] = []
    monkeypatch.setattr(tiling, 'TILE_BYTES', 2**11)
    monkeypatch.setattr(layers, 'TILE_BYTES', 2**11)
    monkeypatch.setattr(tiling, '_evenly', lambda *sizes: cut.append(sizes) or sizes[1])
    y = x.cuda()
    with torch.inference_mode():
        assert largest_difference([each.cuda() for each in want], folded(y.double())) < 1e-6
        # Of two pixels of equal significance rounding may put either first.
        if name != 'sg_former':
            single = model.cuda()(y)
            assert largest_difference(single, deployed(y)) < 1e-4
            for dtype, limit in ((torch.bfloat16, 0.1), (torch.float16, 0.015)):
                with torch.autocast('cuda', dtype):
                    half = deployed(y)
                assert all(rms_difference(*pair) < limit for pair in zip(single, half, strict=True))
    assert not cut
    monkeypatch.undo()
    with torch.inference_mode():
        assert largest_difference(on_cpu, deployed.cpu()(x)) == 0


def rms_difference(x: Tensor, y: Tensor) -> float:
    return ((x - y).square().mean() / x.square().mean()).sqrt().item()
