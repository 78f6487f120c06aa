"""Hooks that promises depend on, wrapped models, and errors that keep their traceback."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import ExponentialMovingAverage
from mmengine.runner import Runner

from mmsmt.backbones import SMT
from mmsmt.engine.arguments import remove_pretrained
from mmsmt.engine.runner import REQUIRED_HOOKS, add_required_hooks
from mmsmt.engine.tool import run_tool
from mmsmt.engine.tta.config import describe_views
from mmsmt.errors import UsageError
from mmsmt.paths import carried


@pytest.mark.parametrize(
    'hooks',
    [None, [], [dict(type='StrictLoadHook', allow=['head'])], [dict(type='mmsmt.AnomalyHook')]],
    ids=str,
)
def test_a_list_of_the_user_loses_no_promise(hooks: Any) -> None:
    cfg = Config({} if hooks is None else {'custom_hooks': hooks})
    add_required_hooks(cfg)
    names = [hook.type.rpartition('.')[2] for hook in cfg.custom_hooks]
    assert sorted(names) == sorted(name.rpartition('.')[2] for name in REQUIRED_HOOKS)
    assert cfg.custom_hooks[: len(hooks or [])] == (hooks or []), 'what is given stays first'
    before = list(cfg.custom_hooks)
    add_required_hooks(cfg)
    assert cfg.custom_hooks == before


def test_what_may_differ_has_a_place_of_its_own() -> None:
    cfg = Config({'load_allow': ['head.fc'], 'custom_hooks': [dict(type='EMAHook')]})
    add_required_hooks(cfg)
    (hook,) = [hook for hook in cfg.custom_hooks if hook.type == 'mmsmt.StrictLoadHook']
    assert hook.allow == ['head.fc']


@pytest.mark.parametrize('wrapper', [None, 'detector', 'segmentor', 'model'])
def test_a_backbones_weights_are_not_asked_for_in_a_test(wrapper: str | None) -> None:
    inner = {'backbone': {'type': 'mmsmt.SMT', 'init_cfg': {'type': 'Pretrained'}}}
    model = ConfigDict({wrapper: inner, 'type': 'SoftTeacher'} if wrapper else inner)
    remove_pretrained(model)
    part = model[wrapper] if wrapper else model
    assert part.backbone == {'type': 'mmsmt.SMT'}


def raise_it(error: Exception) -> None:
    raise error


@pytest.mark.parametrize('stage', ['prepare', 'run'])
@pytest.mark.parametrize('error', [TypeError('of a user'), KeyError('x'), AttributeError('y')])
def test_errors_of_the_users_code_keep_their_traceback(stage: str, error: Exception) -> None:
    with pytest.raises(type(error)):
        if stage == 'prepare':
            run_tool(lambda: raise_it(error), lambda _: None)
        else:
            run_tool(lambda: None, lambda _: raise_it(error))


def test_our_errors_are_one_line(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        run_tool(lambda: raise_it(UsageError('no\nsuch  thing')), lambda _: None)
    assert end.value.code == 1 and capsys.readouterr().err == 'error: no such thing\n'


def test_gradients_lie_as_their_parameters(tiny_training: Callable[..., Runner]) -> None:
    """Else DDP warns of strides, and every step copies."""
    backbone = tiny_training('cls_smt_pico').model.backbone
    backbone(torch.rand(2, 3, 64, 64))[0].square().mean().backward()
    gradients = [(p.stride(), p.grad.stride()) for p in backbone.parameters()]
    assert [own for own, _ in gradients] == [gradient for _, gradient in gradients]
    strides = [own for own, _ in gradients]
    plain = SMT('pico', out_indices=(3,))
    assert strides != [p.stride() for p in plain.parameters()], 'else nothing is tested'
    other = tiny_training('cls_smt_pico').model.backbone
    other.load_state_dict({n: v.contiguous() for n, v in plain.state_dict().items()})
    for copied in (other, copy.deepcopy(other), ExponentialMovingAverage(other).module):
        assert [p.stride() for p in copied.parameters()] == strides


def test_views_of_test_time_augmentation_are_told() -> None:
    cfg = Config.fromfile(carried('configs') / 'digits/upernet_smt_pico.py')
    said = describe_views(cfg.tta_pipeline)
    assert said.startswith('3 views of an image, each of mmseg.Resize (224, 224), mms')
    cfg = Config.fromfile(carried('configs') / 'det/mask_rcnn_smt_t_1x.py')
    assert describe_views(cfg.tta_pipeline).startswith('18 views of an image')
