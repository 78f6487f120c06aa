"""Counts: exact where arithmetic tells, and as other people's counters count."""

from collections.abc import Callable

import pytest
import torch
from mmengine.analysis import FlopAnalyzer, get_model_complexity_info
from mmengine.hub import get_config
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import ResNet50_Weights, resnet50

from mmsmt.analysis.complexity.config import count_config
from mmsmt.analysis.complexity.counter import Complexity, count_complexity
from mmsmt.backbones import SMT
from mmsmt.hosts.meta_device import build_on_meta


class Network(nn.Module):
    """A function of an image, and the layers that it uses."""

    def __init__(self, run: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.run = run
        self.layers = nn.ModuleDict(layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.run(images, **self.layers)


def test_convolution() -> None:
    conv = nn.Conv2d(6, 8, (3, 5), stride=2, padding=1, groups=2)
    macs = 8 * 5 * 5 * (3 * 5 * 6 // 2)  # 5 x 5 pixels from 9 x 11
    assert count_complexity(conv, (6, 9, 11)) == Complexity(8 * 3 * 15 + 8, macs, macs)


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('frozen', [True, False])
def test_linear_layer_on_a_permuted_map(bias: bool, frozen: bool) -> None:
    linear = nn.Linear(3, 7, bias=bias).requires_grad_(not frozen)
    net = Network(lambda x, linear: linear(x.permute(0, 2, 3, 1)), linear=linear)
    macs = 4 * 5 * 3 * 7
    assert count_complexity(net, (3, 4, 5)) == Complexity(21 + 7 * bias, macs, macs)


def test_fused_attention_is_two_products_and_no_module() -> None:
    def attend(x: Tensor) -> Tensor:
        q = x.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(q, q[:, :5], q[:, :5])

    assert count_complexity(Network(attend), (8, 4, 4)) == Complexity(0, 2 * 16 * 5 * 8, 0)


def test_attention_of_pytorch_has_three_projections_and_one_out() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    net = Network(
        lambda x, attention: attention(*[x.flatten(2).transpose(1, 2)] * 3)[0], attention=attention
    )
    modules = 4 * 16 * 8 * 8
    params = 4 * (64 + 8)
    assert count_complexity(net, (8, 4, 4)) == (params, modules + 2 * 16 * 16 * 8, modules)


def test_nothing_counts_nothing() -> None:
    assert count_complexity(nn.ReLU(), (3, 4, 4)) == (0, 0, 0)


def test_sizes_in_a_tensor_can_be_read() -> None:
    """Deformable attention does this: sizes are moved to the images' device and sliced by."""

    def run(x: Tensor, linear: nn.Module) -> Tensor:
        height, width = torch._shape_as_tensor(x)[2:].to(x.device)
        offsets = torch.stack([width, height]) / 2
        return linear(x.flatten(2)[..., : height * width // 2] / offsets.repeat(5))

    net = Network(run, linear=nn.Linear(10, 4))
    assert count_complexity(net, (3, 4, 5)).macs == 3 * 10 * 4


def test_resnet_agrees_with_torchvision_and_mmengine() -> None:
    model = resnet50()
    counted = count_complexity(model, (3, 224, 224))
    meta = ResNet50_Weights.IMAGENET1K_V2.meta
    assert counted.params == meta['num_params'] and counted.macs == counted.macs_module_only
    assert counted.macs / 1e9 == pytest.approx(meta['_ops'], abs=5e-4)
    # mmengine's sum includes batch norms and pooling besides convolutions and the linear layer.
    small = count_complexity(model, (3, 64, 64)).macs_module_only
    others = {'batch_norm', 'adaptive_avg_pool2d'}
    by_name = FlopAnalyzer(model.eval(), inputs=torch.zeros(1, 3, 64, 64)).by_operator()
    assert set(by_name) == {'conv', 'linear'} | others
    info = get_model_complexity_info(model, (3, 64, 64), show_table=False, show_arch=False)
    assert info['params'] == counted.params
    assert info['flops'] - small == sum(by_name[name] for name in others) < 0.03 * small


def test_a_model_whose_eval_returns_nothing() -> None:
    """Several backbones of mmpretrain are such."""

    class Silent(nn.Conv2d):
        def train(self, mode: bool = True) -> None:
            super().train(mode)

    silent, plain = (kind(3, 4, 3) for kind in (Silent, nn.Conv2d))
    assert count_complexity(silent, (3, 8, 8)) == count_complexity(plain, (3, 8, 8))


def test_model_stays_as_it_is() -> None:
    model = SMT('pico', frozen_stages=1).train()
    modes = [module.training for module in model.modules()]
    before = {name: (p.device, p.requires_grad, p.clone()) for name, p in model.named_parameters()}
    counted = count_complexity(model, (3, 64, 64))
    assert counted.macs > counted.macs_module_only > 0
    assert [module.training for module in model.modules()] == modes
    for name, p in model.named_parameters():
        device, trained, value = before[name]
        assert (p.device, p.requires_grad) == (device, trained) and torch.equal(p, value)
    assert counted == count_complexity(model.to('meta').eval(), (3, 64, 64))


@pytest.mark.parametrize('shape', [(3, 8), (3, 0, 8), (1, 3, 8, 8)])
def test_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='channels, height, width'):
        count_complexity(nn.ReLU(), shape)  # type: ignore[arg-type]


def test_network_that_needs_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r'shape \(3, 8, 8\) without values: .*nonzero'):
        count_complexity(Network(lambda x: x[x > 0]), (3, 8, 8))


def test_retinanet_agrees_with_the_guide_of_mmdet() -> None:
    """Its guide to tools prints 239.32 GFLOPs and 37.74 M trained parameters at 1280 x 800.

    That sum includes biases, batch norms and activations besides convolutions.
    """
    cfg = get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    counted, size = count_config(cfg)
    assert size == (800, 1280)
    assert 0.995 * 239.32e9 < counted.macs < 239.32e9
    trained = sum(p.numel() for p in build_on_meta(cfg).parameters() if p.requires_grad)
    assert round(trained / 1e6, 2) == 37.74 < counted.params / 1e6


@pytest.mark.parametrize(
    ('config', 'size', 'macs'),
    [
        # torchvision's figure, and that of backbone papers (CSWin, arXiv 2107.00652).
        ('mmpretrain::resnet/resnet50_8xb32_in1k.py', (224, 224), 4.09e9),
        ('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', (800, 1280), 260e9),
    ],
)
def test_usual_sizes_and_published_counts(config: str, size: tuple[int, int], macs: float) -> None:
    counted, used = count_config(get_config(config))
    assert used == size and counted.macs == pytest.approx(macs, rel=0.005)
