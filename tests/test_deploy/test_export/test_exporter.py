"""Files for ONNX Runtime and OpenVINO; and one line where no file can be had."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmsmt.backbones import SGFormer, UnifiedBackbone
from mmsmt.deploy.export import exporter, tasks
from mmsmt.deploy.export.exporter import Exported, export
from mmsmt.deploy.openvino.session import OpenVinoSession, read_model
from mmsmt.deploy.session import Session, open_session
from mmsmt.errors import CheckpointError, UsageError
from mmsmt.hosts.images import read_samples
from mmsmt.hosts.model import load_model
from mmsmt.hosts.request import Request

Network = Callable[[str], tuple[str, str]]


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
@pytest.mark.parametrize('kind', ['classifier', 'segmenter'])
def test_any_size_and_batch(
    network: Network, images: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    config, checkpoint = network(kind)
    out = tmp_path / 'new' / f'{kind}{suffix}'
    exported = export(config, checkpoint, out, images=images)
    files = [out, out.with_suffix('.bin')] if suffix == '.xml' else [out]
    assert sorted(out.parent.iterdir()) == sorted(files)
    assert exported.inputs == {'images': ['batch', 'height', 'width', 3]}
    assert [each[:3] for each in exported.checks] == [(3, 70, 90), (1, 53, 113)]
    assert_equal(open_session(out, 1), exported, network(kind), images)


def assert_equal(
    session: Session, exported: Exported, network: tuple[str, str], images: Path, **options: bool
) -> None:
    """Compare a file with the host at sizes and batches that the tool itself does not try."""
    loaded = load_model(Request('', *network))
    task = tasks.task_of(loaded.model, **options)
    for width, height in ((32, 32), (37, 160), (96, 64)):
        batch = [image.resize((width, height)) for image in read_samples(images).images[:2]]
        values = session(np.stack([np.asarray(image) for image in batch]))
        with torch.inference_mode():
            expected = task.expect(loaded, batch)
        assert list(exported.outputs) == list(expected) == list(values)
        assert exported.types == {name: str(value.dtype) for name, value in values.items()}
        found = {name: torch.from_numpy(value) for name, value in values.items()}
        assert max(task.differences(found, expected).values()) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ('kind', 'type_'),
    [('segmenter', 'uint8'), ('binary segmenter', 'uint8'), ('segmenter of 300', 'int32')],
)
def test_labels_at_any_size_and_batch(
    network: Network, images: Path, tmp_path: Path, kind: str, type_: str
) -> None:
    """In ONNX Runtime; OpenVINO reads the same file."""
    out = tmp_path / 'x.onnx'
    exported = export(*network(kind), out, labels=True, images=images)
    assert exported.outputs == {'labels': ['batch', 'height', 'width']}
    assert exported.types == {'labels': type_}
    for session in (open_session(out, 1), OpenVinoSession(read_model(out), 1)):
        assert_equal(session, exported, network(kind), images, labels=True)


def test_fixed_size_of_the_model_as_it_is(network: Network, images: Path, tmp_path: Path) -> None:
    exported = export(
        *network('backbone'), tmp_path / 'x.onnx', size=(64, 40), deployed=False, images=images
    )
    assert exported.inputs == {'images': ['batch', 64, 40, 3]}
    assert exported.outputs['map_3'] == ['batch', 48, 2, 2]
    assert [each[:3] for each in exported.checks] == [(3, 64, 40), (1, 64, 40)]


def test_deformable_mixer_at_any_size(tmp_path: Path, images: Path) -> None:
    """The operator that infers fastest cannot be exported."""
    torch.manual_seed(0)
    options = dict(mixer='dcnv3', arch='pico')
    torch.save(UnifiedBackbone(**options).state_dict(), tmp_path / 'x.pth')
    (tmp_path / 'x.py').write_text(f"backbone = dict(type='mmsmt.UnifiedBackbone', **{options})\n")
    config, checkpoint = str(tmp_path / 'x.py'), str(tmp_path / 'x.pth')
    exported = export(config, checkpoint, tmp_path / 'x.onnx', images=images)
    assert exported.inputs == {'images': ['batch', 'height', 'width', 3]}


def test_sg_former_with_its_stable_sort(tmp_path: Path, images: Path) -> None:
    torch.manual_seed(0)
    torch.save(SGFormer('pico').state_dict(), tmp_path / 'x.pth')
    (tmp_path / 'x.py').write_text("backbone = dict(type='mmsmt.SGFormer', arch='pico')\n")
    config, checkpoint = str(tmp_path / 'x.py'), str(tmp_path / 'x.pth')
    exported = export(config, checkpoint, tmp_path / 'x.onnx', size=(50, 70), images=images)
    assert exported.inputs == {'images': ['batch', 50, 70, 3]}
    assert len(exported.checks) == 2


def test_a_file_that_differs_is_not_left(
    network: Network, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / 'x.onnx'
    out.write_bytes(b'what stood there')
    wrong = tasks.CLASSIFIER._replace(compute=lambda model, x, _: {'scores': model(x).sigmoid()})
    monkeypatch.setattr(exporter, 'task_of', lambda *_: wrong)
    with pytest.raises(UsageError, match='nothing is written: for 3 images of 70 x 90, scores'):
        export(*network('classifier'), out, images=images)
    assert out.read_bytes() == b'what stood there'
    assert not list(tmp_path.glob('.*'))


def test_what_torch_cannot_export_is_one_line(
    network: Network, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fickle(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {'map_0': x * 2 if x.sum() > 0 else x}

    fickle = tasks.BACKBONE._replace(compute=lambda model, x, _: Fickle()(x))
    monkeypatch.setattr(exporter, 'task_of', lambda *_: fickle)
    with pytest.raises(UsageError, match='cannot export this network at any size .*--size H W'):
        export(*network('classifier'), tmp_path / 'x.onnx', images=images)
    assert not (tmp_path / 'x.onnx').exists()


@pytest.fixture
def as_if_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused before anything is exported is refused without the exporter, too."""
    monkeypatch.setattr(exporter, '_require_packages', lambda kind: None)


@pytest.mark.parametrize(
    ('missing', 'out', 'extra'),
    [
        ('onnx', 'x.onnx', 'onnx'),
        ('onnxscript', 'x.onnx', 'onnx'),
        ('openvino', 'x.xml', 'openvino'),
    ],
)
def test_packages(
    network: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    out: str,
    extra: str,
) -> None:
    monkeypatch.setattr(exporter, 'find_spec', lambda name: None if name == missing else True)
    with pytest.raises(UsageError, match=rf"export needs {missing}: .*'mmsmt\[{extra}\]'"):
        export(*network('backbone'), tmp_path / out)


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (dict(out='x.pt'), 'x.pt: the name must end in .onnx or .xml'),
        (dict(to='openvino'), '--to openvino --out .*x.onnx: the name must end in .xml'),
        (dict(size=(32, 0)), '--size must be two positive numbers H W, got 32 0'),
        (dict(labels=True), '--labels needs a segmenter, this exports: backbone'),
        (dict(masks='images'), '--masks images needs a detector with masks, .*: backbone'),
        (dict(masks='all'), '--masks must be regions or images, got all'),
        (dict(opset=17), '--opset must be at least 18, got 17'),
        (dict(images='none'), 'none: no such folder of images'),
        (dict(config='none.py'), 'none.py: no such config file'),
    ],
)
@pytest.mark.usefixtures('as_if_installed')
def test_arguments(network: Network, tmp_path: Path, options: dict, says: str) -> None:
    config, checkpoint = network('backbone')
    asked = dict(config=config, checkpoint=checkpoint, out='x.onnx') | options
    asked['out'] = tmp_path / asked['out']
    with pytest.raises(UsageError, match=says):
        export(**asked)
    assert not asked['out'].exists()


@pytest.mark.usefixtures('as_if_installed')
def test_checkpoints(network: Network, tmp_path: Path) -> None:
    config, _ = network('classifier')
    _, other = network('detector')
    (tmp_path / 'broken.pth').write_bytes(b'hello')
    for file, says in (
        (other, 'does not fit'),
        (str(tmp_path / 'broken.pth'), 'broken.pth: not a readable checkpoint'),
        (str(tmp_path / 'none.pth'), 'none.pth: no such checkpoint file'),
    ):
        with pytest.raises((CheckpointError, FileNotFoundError), match=says):
            export(config, file, tmp_path / 'x.onnx')


@pytest.mark.usefixtures('as_if_installed')
def test_a_network_of_others_has_no_deploy_form(tmp_path: Path, images: Path) -> None:
    (tmp_path / 'r18.py').write_text(
        "backbone = dict(type='mmpretrain.ResNet', depth=18, out_indices=(0, 1, 2, 3))\n"
    )
    with pytest.raises(UsageError, match='--no-deploy'):
        export(str(tmp_path / 'r18.py'), '', tmp_path / 'x.onnx', images=images)


@pytest.mark.parametrize(
    ('backbone', 'says'),
    [
        ("type='mmsmt.UnifiedBackbone', mixer='window', arch='pico'", 'ShiftedWindowAttention'),
        ("type='mmsmt.SGFormer', arch='pico'", 'HybridScaleAttention and SelfGuidedAttention'),
    ],
)
@pytest.mark.usefixtures('as_if_installed')
def test_networks_of_one_size(tmp_path: Path, images: Path, backbone: str, says: str) -> None:
    (tmp_path / 'x.py').write_text(f'backbone = dict({backbone})\n')
    with pytest.raises(UsageError, match=f'{says} can only be exported for a fixed .*--size H W'):
        export(str(tmp_path / 'x.py'), '', tmp_path / 'x.onnx', images=images)
