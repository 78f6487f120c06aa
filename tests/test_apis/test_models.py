"""A model by all that names one, and what is said of names that name none."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from PIL import Image

import mmsmt
from mmsmt.apis.models import find_model
from mmsmt.deploy.export.exporter import export
from mmsmt.deploy.session import DESCRIPTION
from mmsmt.errors import CheckpointError, ConfigError, UsageError


@pytest.fixture(scope='module')
def exported(network: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits' classifier as ONNX."""
    net, file = network('cls'), tmp_path_factory.mktemp('exported') / 'cls.onnx'
    image = file.parent / 'images/a.png'
    image.parent.mkdir()
    Image.new('RGB', (64, 64)).save(image)
    export(net.config, net.checkpoint, file, images=image.parent, limit=1)
    return file


def test_config_and_checkpoint(network: Callable) -> None:
    net = network('cls')
    found = find_model(net.config, net.checkpoint)
    assert found.cfg.model.head.num_classes == 10 and found.session is None
    assert 'state_dict' in found.container and found.source == net.checkpoint


def test_names(released_file: Path, network: Callable) -> None:
    found = find_model('smt_t_in1k')  # the published weights, from the cache
    assert found.cfg.model.backbone.arch == 'tiny' and 'model' in found.container
    assert found.source.startswith('https://')
    other = find_model('smt_t_in1k', str(released_file))
    assert other.source == str(released_file)


def test_folder(network: Callable, tmp_path: Path) -> None:
    net, folder = network('cls'), tmp_path / 'model'
    mmsmt.save_pretrained(folder, net.config, net.checkpoint)
    found = find_model(str(folder))
    assert found.container['meta']['dataset_meta']['classes'] == net.classes
    state = torch.load(net.checkpoint)['state_dict']
    assert torch.equal(found.container['state_dict']['head.fc.weight'], state['head.fc.weight'])
    with pytest.raises(UsageError, match='has its own weights'):
        find_model(str(folder), net.checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize('runtime', [None, 'openvino'])
def test_exported_file_alone(exported: Path, network: Callable, runtime: str | None) -> None:
    found = find_model(str(exported), runtime=runtime)
    assert found.session.runtime == ('OpenVINO' if runtime else 'ONNX Runtime')
    assert found.cfg.model.head.num_classes == 10
    assert found.container['meta']['dataset_meta']['classes'] == [*network('cls').classes]


@pytest.mark.slow
def test_what_a_file_says_is_data(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    (entry,) = [entry for entry in model.metadata_props if entry.key == DESCRIPTION]
    ran = tmp_path / 'ran'
    hostile = f"__import__('pathlib').Path({str(ran)!r}).touch()"
    cases = [
        (hostile, 'invalid description of the model'),
        (entry.value.replace("'mmpretrain.ImageClassifier'", "'os.system'")
         .replace("'ImageClassifier'", "'os.system'"), 'model.type: .os.system. is refused'),
        ('', 'does not describe its model'),
    ]  # fmt: skip
    for text, says in cases:
        entry.value = text
        onnx.save(model, tmp_path / 'other.onnx')
        with pytest.raises((ConfigError, UsageError), match=says):
            find_model(str(tmp_path / 'other.onnx'))
    assert not ran.exists()


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (('smt_t_in1kk',), "unknown model 'smt_t_in1kk'; did you mean smt_t_in1k"),
        (('nowhere/smt.py', 'x.pth'), 'nowhere/smt.py: no such config file'),
        (('nowhere.onnx',), 'nowhere.onnx: no such file'),
        (('mask_rcnn_smt_s_3x',), 'mask_rcnn_smt_s_3x: no published weights'),
    ],
)
def test_names_of_nothing(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_model(*arguments)


def test_what_does_not_go_together(network: Callable, tmp_path: Path) -> None:
    net = network('cls')
    with pytest.raises(UsageError, match='cls_smt_pico.py: a config needs a checkpoint'):
        find_model(net.config)
    with pytest.raises(UsageError, match='--runtime openvino only applies to exported files'):
        find_model(net.config, net.checkpoint, runtime='openvino')
    with pytest.raises(UsageError, match='--precision bfloat16 only applies to exported files'):
        find_model(net.config, net.checkpoint, 'bfloat16')
    with pytest.raises(CheckpointError, match='none.pth'):
        find_model(net.config, str(tmp_path / 'none.pth'))
    (tmp_path / 'net.xml').touch()
    with pytest.raises(UsageError, match='.xml files need OpenVINO'):
        find_model(str(tmp_path / 'net.xml'), runtime='onnxruntime')
