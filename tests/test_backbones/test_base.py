"""What every four-stage network shares: outputs, freezing, batch norms, what it keeps."""

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from torch import Tensor, nn

from mmsmt.backbones import FeatureInfo

SUBSETS = [subset for k in range(1, 5) for subset in combinations(range(4), k)]


@pytest.mark.parametrize('out_indices', [*SUBSETS, (3, 0), [2, 1]], ids=str)
def test_out_indices_choose_and_order_the_outputs(
    any_pico: Callable, images: Callable, out_indices: list
) -> None:
    x = images(1, 64, 96)
    everything = any_pico().eval()(x)
    model = any_pico(out_indices=out_indices).eval()
    outputs = model(x)
    assert isinstance(outputs, tuple)
    assert len(outputs) == len(model.feature_info) == len(out_indices)
    for index, feature, info in zip(out_indices, outputs, model.feature_info, strict=True):
        torch.testing.assert_close(feature, everything[index])
        assert isinstance(info, FeatureInfo)
        assert feature.shape == (1, info.channels, 64 // info.stride, 96 // info.stride)


def test_one_index_may_be_a_number(any_pico: Callable) -> None:
    assert any_pico(out_indices=3).feature_info == (FeatureInfo(channels=256, stride=32),)


def test_the_signature_names_every_field_of_a_variant(any_pico: Callable) -> None:
    network = type(any_pico())
    named = {
        name
        for name, parameter in inspect.signature(network).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert named == {field.name for field in dataclasses.fields(any_pico().arch)}
    with pytest.raises(TypeError, match="unexpected keyword argument 'dephts'"):
        any_pico(dephts=(1, 1, 1, 1))


def test_stages_after_the_last_output_do_not_run(any_pico: Callable, images: Callable) -> None:
    model = any_pico(out_indices=(1, 0))
    model.stages[2][0].register_forward_hook(lambda *_: pytest.fail('stage 3 ran for nothing'))
    model(images())


@pytest.mark.parametrize('in_channels', [1, 4])
def test_in_channels(any_pico: Callable, images: Callable, in_channels: int) -> None:
    model = any_pico(in_channels=in_channels)
    assert model(images(channels=in_channels))[3].shape == (2, 256, 2, 2)
    with pytest.raises(
        ValueError, match=rf'expected images \(B, {in_channels}, H, W\), got \(2, 3'
    ):
        model(images())


def stage_of(name: str) -> int:
    """Number of the stage, from 1, that an entry of the state dict belongs to."""
    return int(name.split('.')[1]) + 1


@pytest.mark.parametrize('frozen', [-1, 0, 1, 2, 3, 4])
def test_frozen_stages(
    any_pico: Callable, images: Callable, loss_of: Callable, frozen: int
) -> None:
    """One optimiser step changes every weight and statistic of the other stages, and no other."""
    model = any_pico(frozen_stages=frozen).eval().train()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad is (stage_of(name) > frozen), name
    for name, module in model.named_modules():
        if name.count('.') >= 1:
            assert module.training is (stage_of(name) > frozen), name
    before = copy.deepcopy(model.state_dict())
    parameters = [p for p in model.parameters() if p.requires_grad]
    if frozen == 4:
        assert not parameters
        with torch.no_grad():
            model(images())
    else:
        optimizer = torch.optim.AdamW(parameters, lr=1e-2)
        loss_of(model(images(4))).backward()
        optimizer.step()
    for name, value in model.state_dict().items():
        changed = not torch.equal(value, before[name])
        assert changed is (stage_of(name) > frozen), name


def test_frozen_parts_follow_eval_and_train(any_pico: Callable) -> None:
    model = any_pico(frozen_stages=2)
    assert model.train() is model
    assert model.training
    model.eval()
    assert not any(m.training for m in model.modules())


@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval_keeps_statistics(pico: Callable, images: Callable, norm_eval: bool) -> None:
    model = pico(norm_eval=norm_eval).eval().train()
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert len(norms) == 4
    for name, norm in norms.items():
        assert norm.training is not norm_eval, name
        assert norm.weight.requires_grad
    assert model.stages[0][0].norm1.training
    before = copy.deepcopy(dict(model.named_buffers()))
    model(images())
    assert len(before) == 12
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name]) is norm_eval, name


def tensors_kept(model: nn.Module) -> list[str]:
    """Tensors on modules that are neither parameters nor buffers."""
    return [
        f'{name}.{key}'
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, Tensor)
    ]


@pytest.mark.parametrize('with_cp', [False, True])
def test_nothing_of_a_forward_stays(
    any_pico: Callable, images: Callable, loss_of: Callable, with_cp: bool
) -> None:
    """A kept graph tensor breaks deepcopy, and with it every EMA of a trained model."""
    model, x = any_pico(with_cp=with_cp), images()
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    loss = loss_of(model(x))
    assert tensors_kept(model) == []
    copy.deepcopy(model)
    loss.backward()
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    twin, unpickled = copy.deepcopy(model).eval(), pickle.loads(pickle.dumps(model)).eval()
    want = model.eval()(x)
    for other in (twin, unpickled):
        for got, feature in zip(other(x), want, strict=True):
            assert torch.equal(got, feature)


def test_exponential_moving_average(
    any_pico: Callable, images: Callable, loss_of: Callable
) -> None:
    model = any_pico()
    average = ExponentialMovingAverage(model, momentum=0.25, update_buffers=True)
    start = copy.deepcopy(model.state_dict())
    average.update_parameters(model)  # the first call copies
    loss_of(model(images())).backward()
    torch.optim.SGD(model.parameters(), lr=10.0).step()
    average.update_parameters(model)
    now = model.state_dict()
    for name, value in average.module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * start[name] + 0.25 * now[name], msg=name)
    assert type(average.module) is type(model)
    average.eval()
    assert average(images())[3].isfinite().all()


@pytest.mark.parametrize('out_indices', SUBSETS, ids=str)
def test_every_trainable_parameter_has_a_gradient(
    any_pico: Callable, images: Callable, loss_of: Callable, out_indices: tuple
) -> None:
    """Stages behind the last output are frozen, but a state dict holds them."""
    model = any_pico(out_indices=out_indices)
    loss_of(model(images(2, 48, 64))).backward()
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert trainable and not [name for name, p in trainable.items() if p.grad is None]
    assert model.state_dict().keys() == any_pico().state_dict().keys()
    behind = [f'{part}.{i}.' for part in ('patch_embeds', 'stages', 'norms') for i in range(4)]
    behind = [prefix for prefix in behind if int(prefix.split('.')[1]) > max(out_indices)]
    assert not [name for name in trainable if name.startswith(tuple(behind))]


@pytest.mark.parametrize(
    'wrong', [{'depths': (True, 1, 1, 1)}, {'in_channels': True}, {'out_indices': (True,)}], ids=str
)
def test_a_flag_is_no_number(any_pico: Callable, wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        any_pico(**wrong)
