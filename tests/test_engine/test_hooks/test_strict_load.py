"""`load_from`, `Pretrained` and resuming in real models of mmpretrain, mmdet and mmseg."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from torch import nn

from mmsmt.engine.patches import install_safe_loading
from mmsmt.errors import CheckpointError

HOSTS = ('mmpretrain', 'mmdet', 'mmseg')
FIT = ('local_conv.pth', 'dw_conv.pth', 'yacs.pth', 'local_conv.safetensors')
REFUSED = {
    'truncated.pth': 'truncated, damaged or of another format',
    'malicious.pth': r'refused, because loading it would run or import `posix\.system`',
    'nowhere.pth': 'no such checkpoint file',
}
# What a released classifier lacks for a model of the host, and has too much.
NEW_PARTS = {
    'mmpretrain': [],
    'mmdet': ['neck', 'bbox_head', 'head'],
    'mmseg': ['decode_head', 'head'],
}


def assert_loaded(model: nn.Module, released: dict) -> None:
    """First and last entries, and those that the two dialects call differently."""
    own = model.backbone.state_dict()
    for ours, theirs in {
        'patch_embeds.0.conv1.weight': 'patch_embed1.conv.0.weight',
        'stages.2.1.mixer.dwconv.weight': 'block3.1.attn.local_conv.weight',
        'stages.3.0.mixer.dwconv.bias': 'block4.0.attn.local_conv.bias',
        'norms.3.bias': 'norm4.bias',
    }.items():
        assert torch.equal(own[ours], released[theirs]), ours


def path_of(files: dict[str, Path], name: str) -> str:
    return str(files.get(name, files['marker'].with_name(name)))


@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.parametrize('name', FIT)
def test_pretrained(
    host: str, name: str, files: dict, host_model: Callable, released_state: Callable
) -> None:
    init_default_scope(host)
    pretrained = dict(type='Pretrained', checkpoint=path_of(files, name))
    model = MODELS.build(host_model(host, init_cfg=pretrained))
    model.init_weights()
    assert_loaded(model, released_state('tiny'))


@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.parametrize('name', [*REFUSED, 'small.pth'])
def test_pretrained_refused(host: str, name: str, files: dict, host_model: Callable) -> None:
    init_default_scope(host)
    pretrained = dict(type='Pretrained', checkpoint=path_of(files, name))
    model = MODELS.build(host_model(host, init_cfg=pretrained))
    with pytest.raises(CheckpointError, match=REFUSED.get(name, 'holds SMT small')):
        model.init_weights()
    assert not files['marker'].exists()


@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.parametrize('name', FIT)
def test_load_from(
    host: str,
    name: str,
    files: dict,
    host_model: Callable,
    make_runner: Callable,
    released_state: Callable,
) -> None:
    allow = NEW_PARTS[host] + (['head'] if name == 'dw_conv.pth' else [])
    runner = make_runner(
        model=host_model(host), default_scope=host, load_from=path_of(files, name), allow=allow
    )
    runner.load_or_resume()
    assert_loaded(runner.model, released_state('tiny'))
    if host == 'mmpretrain' and name != 'dw_conv.pth':
        assert torch.equal(runner.model.head.fc.weight, released_state('tiny')['head.weight'])


@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.parametrize('name', [*REFUSED, 'small.pth'])
def test_load_from_refused(
    host: str, name: str, files: dict, host_model: Callable, make_runner: Callable
) -> None:
    path = path_of(files, name)
    runner = make_runner(
        model=host_model(host), default_scope=host, load_from=path, allow=NEW_PARTS[host]
    )
    says = REFUSED.get(name, r'unexpected: backbone\.stages\..* The file holds SMT small: ')
    with pytest.raises(CheckpointError, match=f'^{re.escape(path)}: .*{says}'):
        runner.load_or_resume()
    assert not files['marker'].exists()


def test_malicious_file_is_malicious(files: dict) -> None:
    """Control: what PyTorch does with it when told to trust."""
    torch.load(files['malicious.pth'], weights_only=False)
    assert files['marker'].exists()
    files['marker'].unlink()


@pytest.mark.parametrize('host', ['mmdet', 'mmseg'])
def test_new_parts_are_allowed_by_name_only(
    host: str, files: dict, host_model: Callable, make_runner: Callable
) -> None:
    """A classifier's file lacks the parts of a detector and has a head too many."""
    options = dict(default_scope=host, load_from=str(files['local_conv.pth']))
    for forgotten in NEW_PARTS[host]:
        allow = [name for name in NEW_PARTS[host] if name != forgotten]
        runner = make_runner(model=host_model(host), **options, allow=allow)
        with pytest.raises(CheckpointError) as caught:
            runner.load_or_resume()
        accepted = ast.literal_eval(
            str(caught.value).split('To accept this, set load_allow=')[1][:-1]
        )
        assert all(name in NEW_PARTS[host] or name.startswith(forgotten) for name in accepted)
        make_runner(model=host_model(host), **options, allow=accepted).load_or_resume()


@pytest.mark.parametrize('allow', ['backbone', 'backbone.patch_embeds.0.conv1'])
def test_a_differing_backbone_is_allowed_by_name(
    allow: str, files: dict, host_model: Callable, make_runner: Callable
) -> None:
    options = dict(
        model=host_model('mmpretrain', in_channels=1),
        default_scope='mmpretrain',
        load_from=str(files['local_conv.pth']),
    )
    with pytest.raises(CheckpointError, match=r'backbone\.patch_embeds\.0\.conv1\.weight'):
        make_runner(**options).load_or_resume()
    runner = make_runner(**options, allow=allow)
    runner.load_or_resume()
    assert runner.model.backbone.patch_embeds[0].conv1.weight.shape[1] == 1


class Regression:
    """A small data set: images and numbers."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        return {'image': torch.full((3, 32, 32), index / 4), 'target': torch.tensor(index / 4)}


@MODELS.register_module()
class MeanOfFeatures(nn.Module):
    """The least that trains: a backbone and a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = MODELS.build(dict(type='mmsmt.SMT', arch='pico'))

    def train_step(self, data: dict, optim_wrapper: object) -> dict:
        loss = (self.backbone(data['image'])[-1].mean((1, 2, 3)) - data['target']).square().mean()
        optim_wrapper.update_params(loss)
        return {'loss': loss.detach()}


@pytest.mark.parametrize('trained', [2, 3])
def test_own_checkpoint_resumes(make_runner: Callable, trained: int) -> None:
    """Histories, numpy scalars, optimizer and schedule come back under torch >= 2.6."""

    def run(epochs: int, **options: object) -> Runner:
        runner = make_runner(
            model=dict(type='MeanOfFeatures'),
            train_dataloader=dict(
                batch_size=2,
                dataset=Regression(),
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
            param_scheduler=dict(type='StepLR', step_size=1, gamma=0.5, end=9),
            default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
            **options,
        )
        runner.train()
        return runner

    straight = run(trained + 1)
    run(trained)
    file = Path(straight.work_dir) / f'epoch_{trained}.pth'
    assert 'train/loss' in torch.load(file, weights_only=False)['message_hub']['log_scalars']
    with pytest.raises(Exception, match='Weights only load failed'):  # mmengine's own way
        torch.load(file, weights_only=True)
    install_safe_loading()
    resumed = run(trained + 1, resume=True, load_from=str(file))
    assert resumed.iter == straight.iter == 2 * (trained + 1)
    assert resumed.epoch == trained + 1
    assert resumed.optim_wrapper.get_lr() == straight.optim_wrapper.get_lr()
    losses = [
        len(runner.message_hub.get_scalar('train/loss').data[0]) for runner in (straight, resumed)
    ]
    assert losses[0] == losses[1] == 2 * (trained + 1)
