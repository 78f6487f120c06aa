"""A model goes into a folder and comes back as it was."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from safetensors.torch import load_file

import mmsmt
from mmsmt.apis.hub import from_pretrained, read_folder, save_pretrained
from mmsmt.apis.models import find_model
from mmsmt.apis.predictor import Predictor
from mmsmt.apis.sources import Item
from mmsmt.checkpoints import read_container, write_atomically
from mmsmt.errors import CheckpointError, ConfigError, TargetError, UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.meta_device import build_model
from mmsmt.hosts.weights import load_weights

TASKS = ('cls', 'mask_rcnn', 'upernet')


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError('asked the network')

    monkeypatch.setattr(socket.socket, 'connect', connect)
    monkeypatch.setattr(socket, 'getaddrinfo', connect)


@pytest.mark.parametrize('task', TASKS)
def test_a_model_comes_back_bit_for_bit(
    network: Callable, saved: Callable, images: Path, task: str, no_network: None
) -> None:
    net, folder = network(task), saved(task)
    names = {'README.md', 'config.py', 'metadata.json', 'model.safetensors'}
    assert {path.name for path in folder.iterdir()} == names
    model = mmsmt.from_pretrained(folder)
    expected = Predictor(find_model(net.config, net.checkpoint), device='cpu')
    assert model.dataset_meta['classes'] == net.classes and not model.training
    assert [tuple(color) for color in model.dataset_meta['palette']] == expected.classes.colors
    original: Any = build_model(read_config(net.config)).eval()
    load_weights(original, read_container(net.checkpoint), net.checkpoint)
    state = original.state_dict()
    assert list(model.state_dict()) == list(state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name

    sample = expected.read(Item('a', 'a.png', str(images / 'a.png')))
    batch = expected.collate([sample.packed])
    with torch.no_grad():
        found, wanted = (one.test_step(batch)[0] for one in (model, original))
    for field, value in wanted.all_items():
        assert_equal(found.get(field), value)


def assert_equal(found: object, wanted: object) -> None:
    if isinstance(wanted, torch.Tensor):
        assert torch.equal(found, wanted)
    elif isinstance(wanted, np.ndarray):
        np.testing.assert_array_equal(found, wanted)
    elif hasattr(wanted, 'all_items'):
        for name, value in wanted.all_items():
            assert_equal(found.get(name), value)
    else:
        assert type(found) is type(wanted)


def test_hosts_find_config_and_classes(saved: Callable, images: Path) -> None:
    from mmdet.apis import inference_detector
    from mmpretrain.apis import ImageClassificationInferencer

    model = from_pretrained(saved('cls'))
    image = np.asarray(Image.open(images / 'a.png'))
    found = ImageClassificationInferencer(model, device='cpu')(image)[0]
    assert found['pred_class'].startswith('digit ')
    model = from_pretrained(saved('mask_rcnn'))
    assert len(inference_detector(model, image).pred_instances)


def test_the_hosts_read_the_config_as_theirs(saved: Callable) -> None:
    ours = read_folder(saved('mask_rcnn')).cfg
    assert Config.fromfile(saved('mask_rcnn') / 'config.py').to_dict() == ours.to_dict()
    # mmcv takes a list for no size.
    assert ours.test_pipeline[1].scale == (256, 256)


def test_only_weights_are_written(network: Callable, tmp_path: Path) -> None:
    net = network('cls')
    content = torch.load(net.checkpoint)
    content |= dict(optimizer=dict(state={0: torch.ones(10_000_000)}), ema_state_dict={})
    torch.save(content, tmp_path / 'trained.pth')
    folder = save_pretrained(tmp_path / 'out', net.config, tmp_path / 'trained.pth')
    written = load_file(folder / 'model.safetensors')
    assert set(written) == set(content['state_dict'])
    assert (folder / 'model.safetensors').stat().st_size < 10_000_000


def test_released_weights_and_names(released_file: Path, tmp_path: Path) -> None:
    folder = save_pretrained(tmp_path / 'out', 'smt_t_in1k', released_file)
    written = load_file(folder / 'model.safetensors')
    assert all(name.startswith(('backbone.', 'head.fc.')) for name in written)
    assert len(read_folder(folder).dataset_meta['classes']) == 1000
    assert json.loads((folder / 'metadata.json').read_text())['name'] == 'smt_t_in1k'


def test_a_model_itself_can_be_saved(saved: Callable, tmp_path: Path) -> None:
    model = from_pretrained(saved('cls'))
    with torch.no_grad():
        model.head.fc.bias.fill_(7)
    again = from_pretrained(mmsmt.save_pretrained(tmp_path / 'again', model))
    assert again.head.fc.bias.tolist() == [7] * 10
    assert again.dataset_meta == model.dataset_meta
    with pytest.raises(UsageError, match='already has weights'):
        save_pretrained(tmp_path / 'more', model, 'x.pth')
    with pytest.raises(UsageError, match='no `cfg`'):
        save_pretrained(tmp_path / 'more', torch.nn.Linear(1, 1))


def test_what_cannot_be_saved(network: Callable, tmp_path: Path) -> None:
    net, other = network('cls'), network('upernet')
    with pytest.raises(UsageError, match='needs a checkpoint'):
        save_pretrained(tmp_path / 'out', net.config)
    with pytest.raises(UsageError, match='no such config file'):
        save_pretrained(tmp_path / 'out', 'smt_t_in2k', net.checkpoint)
    with pytest.raises(CheckpointError, match='fit'):
        save_pretrained(tmp_path / 'out', net.config, other.checkpoint)
    cfg = read_config(net.config)
    cfg.model.head.topk = print
    with pytest.raises(ConfigError, match=r'model\.head\.topk: .* not a plain value'):
        save_pretrained(tmp_path / 'out', cfg, net.checkpoint)
    assert not [*tmp_path.iterdir()]


def test_a_folder_is_complete_or_absent(
    network: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network('cls')
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/letter.txt').write_text('keep me')
    with pytest.raises(TargetError, match=r'full: already exists; remove it'):
        save_pretrained(tmp_path / 'full', net.config, net.checkpoint)
    assert [path.name for path in (tmp_path / 'full').iterdir()] == ['letter.txt']

    def fail_at_the_card(path: Path, content: bytes) -> None:
        if path.name == 'README.md':
            raise CheckpointError('disk full')
        write_atomically(path, content)

    monkeypatch.setattr('mmsmt.apis.hub.folder.write_atomically', fail_at_the_card)
    with pytest.raises(CheckpointError, match='disk full'):
        save_pretrained(tmp_path / 'out', net.config, net.checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ['full']
    monkeypatch.undo()
    (tmp_path / 'out').mkdir()  # empty is free
    save_pretrained(tmp_path / 'out', net.config, net.checkpoint)
    assert (tmp_path / 'out/README.md').is_file()


def test_a_wrong_folder_is_no_question_to_the_hub(tmp_path: Path, no_network: None) -> None:
    with pytest.raises(
        UsageError, match='not a model folder; on the hub its name would be OWNER/NAME'
    ):
        from_pretrained('some/longer/path')
    with pytest.raises(UsageError, match='not a model folder$'):
        from_pretrained(tmp_path)
