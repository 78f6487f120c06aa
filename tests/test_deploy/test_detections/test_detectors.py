"""Every family of detectors against its host's own predictions, in PyTorch and in ONNX Runtime."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from PIL import Image

from mmsmt.deploy.convert import deploy
from mmsmt.deploy.detections import dense
from mmsmt.deploy.detections.families import limit_detections
from mmsmt.deploy.export.exporter import export
from mmsmt.deploy.export.graph import Graph
from mmsmt.deploy.export.tasks import Task, task_of
from mmsmt.deploy.export.verify import check
from mmsmt.deploy.openvino.session import OpenVinoSession, read_model
from mmsmt.deploy.session import Session, open_session
from mmsmt.errors import UsageError
from mmsmt.hosts.images import open_image, read_samples
from mmsmt.hosts.model import LoadedModel, load_model
from mmsmt.hosts.request import Request

Detector = Callable[[str], tuple[str, str]]
FAMILIES = ['retinanet', 'atss', 'mask_rcnn', 'cascade_mask_rcnn', 'sparse_rcnn', 'dino']
SIZES = [(3, 70, 90), (1, 193, 101), (2, 32, 64), (1, 32, 848)]  # batch, height, width


WITH_MASKS = ['mask_rcnn', 'cascade_mask_rcnn']


def load(detector: Detector, family: str, **options: str) -> tuple[LoadedModel, Task]:
    loaded = load_model(Request(family, *detector(family)))
    return loaded, task_of(loaded.model, **options)


def assert_equal(
    run: Callable[[np.ndarray], dict], loaded: LoadedModel, task: Task, images: Path
) -> None:
    samples = read_samples(images).images
    for batch, height, width in SIZES:
        resized: list[Image.Image] = [each.resize((width, height)) for each in samples[:batch]]
        found = run(np.stack([np.asarray(each) for each in resized]))
        with torch.inference_mode():
            expected = task.expect(loaded, resized)
        assert expected['count'].min() > 1
        for name, difference in task.differences(found, expected).items():
            assert difference <= task.limit(name), name
        beyond = torch.arange(found['scores'].shape[1]) >= found['count'][:, None]
        assert (found['labels'][beyond] == -1).all()
        for name in set(found) - {'labels', 'count'}:
            assert not found[name][beyond].any()
            assert not found[name].isnan().any()


@pytest.mark.parametrize('family', FAMILIES)
def test_equals_the_host(detector: Detector, images: Path, family: str) -> None:
    loaded, task = load(detector, family)
    graph = Graph(loaded._replace(model=deploy(loaded.model)), task).eval()

    def run(pixels: np.ndarray) -> dict:
        with torch.inference_mode():
            return graph.named(torch.from_numpy(pixels))

    assert_equal(run, loaded, task, images)


@pytest.mark.slow
@pytest.mark.parametrize('threshold', [0.5, 0.02])
@pytest.mark.parametrize('family', WITH_MASKS)
def test_masks_of_images(detector: Detector, images: Path, family: str, threshold: float) -> None:
    """Results of `test_step`; below 0.5, on a CPU, it crops them next to their boxes."""
    loaded = load_model(Request(family, *detector(family)))
    model: Any = loaded.model
    model.roi_head.test_cfg.mask_thr_binary = threshold
    task = task_of(model, masks='images')
    graph = Graph(loaded._replace(model=deploy(model)), task).eval()

    def run(pixels: np.ndarray) -> dict:
        with torch.inference_mode():
            found = graph.named(torch.from_numpy(pixels))
            if threshold == 0.5:
                compare_with_test_step(found, pixels)
        assert found['masks'].shape == (len(pixels), 200, *pixels.shape[1:3])
        assert found['masks'].any()
        return found

    def compare_with_test_step(found: dict, pixels: np.ndarray) -> None:
        size = pixels.shape[1:3]
        meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
        inputs = [torch.from_numpy(each).permute(2, 0, 1).flip(0) for each in pixels]
        samples = [DetDataSample(metainfo=meta) for _ in inputs]
        for image, result in enumerate(model.test_step(dict(inputs=inputs, data_samples=samples))):
            expected = result.pred_instances
            assert len(expected) == found['count'][image]
            gap = (found['boxes'][image, :, None] - expected.bboxes).abs().amax(2)
            nearest = gap.masked_fill(
                found['labels'][image, :, None] != expected.labels, torch.inf
            ).argmin(0)
            other = (found['masks'][image, nearest] != expected.masks).sum()
            assert other <= 1e-3 * expected.masks.sum()

    assert_equal(run, loaded, task, images)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('family', 'masks'),
    # Both kinds of masks, one a family: an export takes up to a minute.
    [(each, 'images' if each.startswith('cascade') else 'regions') for each in FAMILIES],
)
def test_file_at_any_size_and_batch(
    detector: Detector, images: Path, tmp_path: Path, family: str, masks: str
) -> None:
    """In ONNX Runtime; OpenVINO reads the same file."""
    import onnx

    out = tmp_path / 'x.onnx'
    exported = export(*detector(family), out, images=images, masks=masks)
    if masks == 'images':
        assert exported.outputs['masks'] == ['batch', 200, 'height', 'width']
        assert exported.types['masks'] == 'bool'
    assert exported.inputs == {'images': ['batch', 'height', 'width', 3]}
    names = ['boxes', 'scores', 'labels', 'count']
    assert list(exported.outputs)[:4] == names
    few = 3 if family == 'dino' else 1  # it ranks pixels: half of several images must agree
    assert [each[:3] for each in exported.checks] == [(3, 70, 90), (few, 53, 113)]
    assert all(each.detections for each in exported.checks)
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    assert [each.domain for each in model.opset_import] == ['']
    loaded, task = load(detector, family, masks=masks)
    for session in (open_session(out, 1), OpenVinoSession(read_model(out), 1)):

        def run(pixels: np.ndarray, session: Session = session) -> dict:
            return {name: torch.from_numpy(value) for name, value in session(pixels).items()}

        assert session.outputs == list(exported.outputs)
        assert_equal(run, loaded, task, images)


def test_number_of_boxes(detector: Detector, images: Path) -> None:
    loaded, _ = load(detector, 'mask_rcnn')
    limit_detections(loaded.model, 4)
    task = task_of(loaded.model)
    image = read_samples(images).images[:1]
    with torch.inference_mode():
        found = Graph(loaded, task).named(torch.from_numpy(np.stack(image)))
        expected = task.expect(loaded, image)
    assert found['boxes'].shape == (1, 4, 4)
    assert found['count'].tolist() == expected['count'].tolist() == [4]
    with pytest.raises(UsageError, match='--max-per-img must be positive, got 0'):
        limit_detections(loaded.model, 0)
    with pytest.raises(UsageError, match='this model is not a detector'):
        limit_detections(loaded.model.backbone, 4)


@pytest.mark.slow
def test_page_prints_boxes(detector: Detector, images: Path, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / 'docs' / 'guides' / 'deploy.md').read_text()
    block = re.search(r'```python\n(.*?)```', page, re.S)
    assert block and block[1].count('\n') <= 18
    (tmp_path / 'boxes.py').write_text(block[1])
    config, checkpoint = detector('retinanet')
    export(config, checkpoint, tmp_path / 'detector.onnx', images=images, size=(70, 90))
    picture = sorted(images.iterdir())[0]
    command = [sys.executable, 'boxes.py', 'detector.onnx', str(picture)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded, task = load(detector, 'retinanet')
    with torch.inference_mode():
        expected = task.expect(loaded, [open_image(picture)])
    printed = [list(map(float, line.split())) for line in run.stdout.splitlines()]
    assert len(printed) == expected['count'][0] > 1
    for label, score, *box in printed:
        gap = (expected['boxes'][0] - torch.tensor(box)).abs().amax(1)
        gap, k = gap.masked_fill(expected['labels'][0] != label, torch.inf).min(0)
        assert gap < 0.06 and abs(score - expected['scores'][0, k]) < 0.006


def test_other_boxes_are_refused(
    detector: Detector, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an export compares before it writes, with a graph in place of a file."""
    loaded, task = load(detector, 'retinanet')
    graph = Graph(loaded._replace(model=deploy(loaded.model)), task).eval()

    class InPyTorch:
        runtime = 'PyTorch'

        def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
            with torch.inference_mode():
                found = graph.named(torch.from_numpy(pixels))
            return {name: value.numpy() for name, value in found.items()}

    session: Any = InPyTorch()
    samples = read_samples(images).images
    assert all(each.detections for each in check(session, loaded, task, samples))
    monkeypatch.setattr(dense, '_apart', lambda boxes, scores, labels: boxes)
    with pytest.raises(UsageError, match='nothing is written: for 3 images of 70 x 90, count'):
        check(session, loaded, task, samples)
