"""Grad-CAM against its formula, on networks that are known, and in every layout of a layer."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.analysis.cam.layers import Layer, arrange, find_layer, stage_ends, tapped
from mmsmt.analysis.cam.maps import METHODS, enlarge, layer_cam, share_inside
from mmsmt.backbones import SMT
from mmsmt.errors import ConfigError, UsageError

IMAGE = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def grad_cam(
    model: nn.Module, layer: Layer, score: Callable, image: Tensor, method: str = 'gradcam'
) -> Tensor:
    return enlarge(layer_cam(model, layer, score, image, method), tuple(image.shape[2:]))


class Pooled(nn.Module):
    """A linear head on the global mean of a backbone's last map."""

    def __init__(self, backbone: nn.Module, channels: int, classes: int = 3) -> None:
        super().__init__()
        self.backbone, self.fc = backbone, nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.backbone(x)[-1].mean((2, 3)))


class Quarters(nn.Module):
    """A backbone of four channels; each sees the brightness of one quarter of the image."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        map_ = F.avg_pool2d(x.mean(1, keepdim=True), 4)
        height, width = map_.shape[2:]
        lower = (torch.arange(height) >= height // 2).float()[:, None]
        right = (torch.arange(width) >= width // 2).float()
        parts = [(1 - lower) * (1 - right), (1 - lower) * right, lower * (1 - right), lower * right]
        return (map_ * torch.stack(parts),)


@pytest.fixture
def smt() -> Pooled:
    torch.manual_seed(0)
    return Pooled(SMT('pico'), 256).eval()


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('index', [0, 2])
def test_a_linear_head_on_pooling_gives_the_formula(smt: Pooled, index: int, method: str) -> None:
    cam = grad_cam(smt, find_layer(smt), lambda x: smt(x)[:, index], IMAGE, method)
    with torch.no_grad():
        map_ = smt.backbone(IMAGE)[-1]
    expected = torch.einsum('c,bchw->bhw', smt.fc.weight[index], map_).relu()[:, None]
    expected = F.interpolate(expected, IMAGE.shape[2:], mode='bilinear')[0, 0]
    # The gradient of a mean is the weight over the number of places.
    places = map_.shape[2] * map_.shape[3]
    assert expected.max() > 0.1
    torch.testing.assert_close(cam * places, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('index', range(4))
def test_only_the_region_that_counts_is_lit(index: int) -> None:
    """Four equal bright spots; each class depends on one of them."""
    image = torch.zeros(1, 3, 64, 64)
    spots = [(8, 8), (8, 40), (40, 8), (40, 40)]
    for y, x in spots:
        image[..., y : y + 16, x : x + 16] = 1
    model = Pooled(Quarters(), 4, 4)
    with torch.no_grad():
        model.fc.weight.copy_(torch.eye(4))
    region = torch.zeros(64, 64, dtype=torch.bool)
    y, x = spots[index]
    region[y - 2 : y + 18, x - 2 : x + 18] = True  # with the rim of the interpolation
    cam = grad_cam(model, find_layer(model), lambda x: model(x)[:, index], image)
    assert cam.shape == (64, 64) and cam[region].max() > 0
    assert share_inside(cam, region) == pytest.approx(1)


def test_a_score_of_one_place() -> None:
    """Two equal spots; the score looks at one. A channel's mean gradient lights both alike."""
    image = torch.zeros(1, 3, 64, 64)
    image[..., 8:24, 8:24] = image[..., 40:56, 40:56] = 1
    pool = nn.AvgPool2d(4)
    layer = Layer('pool', pool)
    region = torch.zeros(64, 64, dtype=torch.bool)
    region[:32, :32] = True
    shares = [
        share_inside(
            grad_cam(pool, layer, lambda x: pool(x)[:, 0, 2:6, 2:6].sum()[None], image, m), region
        )
        for m in METHODS
    ]
    assert shares == pytest.approx([0.5, 1.0])
    with pytest.raises(UsageError, match='--method must be gradcam or hirescam, got cam'):
        layer_cam(pool, layer, lambda x: pool(x).sum()[None], image, 'cam')


def test_the_model_is_left_as_it_was(smt: Pooled) -> None:
    smt.train()
    smt.backbone.stages[0].eval()
    modes = [module.training for module in smt.modules()]
    before = {name: value.clone() for name, value in smt.state_dict().items()}
    for stage in (None, 1, 4):
        grad_cam(smt, find_layer(smt, stage), lambda x: smt(x)[:, 0], IMAGE)
    assert [module.training for module in smt.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in smt.state_dict().items())
    assert all(value.grad is None for value in smt.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in smt.modules())
    # A score that fails leaves nothing behind either.
    with pytest.raises(ZeroDivisionError):
        grad_cam(smt, find_layer(smt), lambda x: smt(x)[:, 0] / (1 // 0), IMAGE)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in smt.modules())
    assert [module.training for module in smt.modules()] == modes


@pytest.mark.parametrize('stage', [1, 2, 3, 4])
def test_maps_of_stages(smt: Pooled, stage: int) -> None:
    """Against a gradient that PyTorch takes of the stage's map, which follows the whole network."""
    cam = grad_cam(smt, find_layer(smt, stage), lambda x: smt(x)[:, 1], IMAGE)
    kept: list[Tensor] = []
    handle = smt.backbone.norms[stage - 1].register_forward_hook(lambda *of: kept.append(of[2]))
    score = smt(IMAGE)[0, 1]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    expected = (gradient.mean((1, 2), keepdim=True) * kept[0]).sum(-1).relu().detach()
    assert kept[0].shape[1:3] == (64 // 2 ** (stage + 1), 96 // 2 ** (stage + 1))
    expected = F.interpolate(expected[:, None], IMAGE.shape[2:], mode='bilinear')[0, 0]
    assert expected.max() > 0
    torch.testing.assert_close(cam, expected, rtol=1e-3, atol=1e-6)


def test_recomputing_blocks_of_hosts() -> None:
    """Their checkpoints are such that PyTorch refuses `autograd.grad`."""
    from mmpretrain.models import ResNet

    torch.manual_seed(0)
    model = Pooled(ResNet(18, with_cp=True), 512).eval()
    cam = grad_cam(model, find_layer(model, 3), lambda x: model(x)[:, 0], IMAGE)
    assert cam.max() > 0
    assert all(block.with_cp for block in model.backbone.layer3)


BACKBONES = {
    'mmpretrain.ResNet': (dict(depth=18), 4),
    'mmpretrain.SwinTransformer': (dict(arch='tiny', img_size=(64, 96), pad_small_map=True), 4),
    'mmpretrain.ConvNeXt': (dict(arch='atto', out_indices=(3,), gap_before_final_norm=False), 4),
    'mmdet.SwinTransformer': (dict(embed_dims=24, num_heads=(1, 2, 4, 8)), 4),
    'mmseg.MixVisionTransformer': (dict(embed_dims=16, num_heads=[1, 2, 4, 8]), 4),
    'mmsmt.SGFormer': (dict(arch='pico'), 4),
    'mmsmt.UnifiedBackbone': (dict(mixer='halo', arch='pico'), 4),
}


@pytest.mark.parametrize('kind', BACKBONES)
def test_backbones_of_any_host(kind: str) -> None:
    """Their maps and tokens: every stage gives a map, and what follows sees what it saw before."""
    import mmdet.models
    import mmpretrain.models
    import mmseg.models
    from mmengine.registry import MODELS

    assert mmdet.models and mmpretrain.models and mmseg.models
    options, stages = BACKBONES[kind]
    torch.manual_seed(0)
    model = Pooled(MODELS.build(dict(type=kind, **options)), 8).eval()
    with torch.no_grad():
        before = model.backbone(IMAGE)
    model.fc = nn.Linear(before[-1].shape[1], 3)
    assert len(stage_ends(model.backbone)) == stages
    for stage in (None, *range(1, stages + 1)):
        layer = find_layer(model, stage)
        with torch.no_grad(), tapped(layer, (64, 96)):
            after = model.backbone(IMAGE)
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        cam = grad_cam(model, layer, lambda x: model(x)[:, 0], IMAGE)
        assert cam.shape == (64, 96) and cam.isfinite().all()


def test_class_tokens_are_left_out() -> None:
    from mmpretrain.models import VisionTransformer

    torch.manual_seed(0)
    arch = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=32)
    model = nn.Module()
    model.backbone = VisionTransformer(arch=arch, img_size=(64, 96), patch_size=16)
    score = lambda x: model.backbone(x)[-1][:, 0]  # noqa: E731
    cam = grad_cam(model, find_layer(model, name='backbone.layers.1.ln1'), score, IMAGE)
    assert cam.shape == (64, 96) and cam.isfinite().all()
    with pytest.raises(ConfigError, match=r'no map .* \(1, 24\).* for example .*layers\.1\.ln1'):
        grad_cam(model, find_layer(model), score, IMAGE)
    # Only the class token is used after the last block.
    with pytest.raises(ConfigError, match='does not depend on the stage 2'):
        grad_cam(model, find_layer(model, 2), score, IMAGE)


def test_layouts() -> None:
    size = (33, 64)  # 5 x 8 at stride 8, or 4 x 8 where a network cuts off the rest
    layer = Layer('x', nn.Identity())
    map_ = torch.rand(2, 7, 5, 8)
    layouts = {
        'first': map_,
        'last': map_.permute(0, 2, 3, 1),
        'tokens': map_.flatten(2).mT,
        'with two more': torch.cat([torch.rand(2, 2, 7), map_.flatten(2).mT], 1),
    }
    for name, x in layouts.items():
        arranged, restore = arrange(x, size, layer)
        assert torch.equal(arranged, map_), name
        assert torch.equal(restore(arranged), x), name
    cut = torch.rand(1, 32, 7)
    assert arrange(cut, size, layer)[0].shape == (1, 7, 4, 8)
    square = torch.rand(1, 16, 16, 16)  # of any layout by its shape
    assert arrange(square, (64, 64), layer)[0] is square
    last = layer._replace(channels_last=True)
    assert torch.equal(arrange(square, (64, 64), last)[0], square.permute(0, 3, 1, 2))
    with pytest.raises(ConfigError, match=r'x returns no map .* \(1, 9\)'):
        arrange(torch.rand(1, 9), size, layer)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(stage=5), '--stage 5: unknown stage of SMT; it has 4'),
        (dict(stage=0), '--stage 0: unknown stage'),
        (dict(name='backbone.norm'), "no module 'backbone.norm'; did you mean backbone.norms"),
        (dict(name=''), "no module ''"),
    ],
    ids=str,
)
def test_layers_that_are_none(smt: Pooled, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_layer(smt, **options)


def test_layers_without_influence(smt: Pooled) -> None:
    smt.spare = nn.Linear(1, 1)
    with pytest.raises(ConfigError, match='the spare does not run: choose another layer'):
        grad_cam(smt, find_layer(smt, name='spare'), lambda x: smt(x)[:, 0], IMAGE)
    early = SMT('pico', out_indices=(0, 1))
    model = Pooled(early, 64).eval()
    with pytest.raises(ConfigError, match='the stage 3 does not run'):
        grad_cam(model, find_layer(model, 3), lambda x: model(x)[:, 0], IMAGE)
