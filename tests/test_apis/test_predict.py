"""Predictions against those of the hosts' own inferencers, and what is written."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from mmsmt.apis.predict import predict
from mmsmt.apis.predictor import Predictor, Sample
from mmsmt.apis.sources import Item
from mmsmt.errors import BadSampleError, UsageError

TASKS = ('cls', 'mask_rcnn', 'upernet')


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob('*') if file.is_file()}


def rows(out: Path) -> list[list[str]]:
    with (out / 'scores.csv').open(newline='') as file:
        return list(csv.reader(file))


def test_scores_are_those_of_the_host(network: Callable, images: Path, tmp_path: Path) -> None:
    from mmpretrain.apis import ImageClassificationInferencer

    net = network('cls')
    predict(net.config, net.checkpoint, str(images), tmp_path / 'out', batch_size=2, device='cpu')
    header, *found = rows(tmp_path / 'out')
    assert header == ['file', 'class', 'score', *net.classes]
    assert [row[0] for row in found] == ['a.png', 'b/a.png', 'b/c.png', 'd.png']
    host = ImageClassificationInferencer(net.config, pretrained=net.checkpoint, device='cpu')
    for file, best, score, *scores in found:
        expected = host(str(images / file))[0]
        np.testing.assert_allclose(np.array(scores, float), expected['pred_scores'], rtol=1e-4)
        assert best == net.classes[expected['pred_label']]
        assert float(score) == pytest.approx(expected['pred_score'], rel=1e-4)
    assert files(tmp_path / 'out/pictures') == {'a.jpg', 'b/a.jpg', 'b/c.jpg', 'd.jpg'}


def test_detections_are_those_of_the_host(network: Callable, images: Path, tmp_path: Path) -> None:
    from mmdet.apis import DetInferencer

    net, out = network('mask_rcnn'), tmp_path / 'out'
    names = ['a.png', 'b/a.png', 'b/c.png', 'd.png']
    host = DetInferencer(net.config, net.checkpoint, device='cpu', show_progress=False)
    all_found = [
        host(str(images / name), return_datasamples=True)['predictions'][0].pred_instances
        for name in names
    ]
    # Between two scores, so that rounding does not decide.
    ordered = torch.cat([each.scores for each in all_found]).sort().values
    gaps = ordered.diff()[: len(ordered) // 2]
    threshold = float(ordered[int(gaps.argmax())] + gaps.max() / 2)
    predict(net.config, net.checkpoint, str(images), out, score_thr=threshold, device='cpu')
    found = json.loads((out / 'detections.json').read_text())
    assert {(each['image_id'], each['file_name']) for each in found} <= set(enumerate(names))
    assert 0 < len(found) < len(ordered)
    for name, expected in zip(names, all_found, strict=True):
        expected = expected[expected.scores > threshold]
        ours = [each for each in found if each['file_name'] == name]
        assert len(ours) == len(expected)
        left, top, right, bottom = expected.bboxes.numpy().T
        boxes = np.stack([left, top, right - left, bottom - top], 1)
        np.testing.assert_allclose([each['bbox'] for each in ours], boxes, atol=1e-2)
        np.testing.assert_allclose(
            [each['score'] for each in ours], expected.scores.numpy(), atol=1e-4
        )
        assert [each['category_id'] for each in ours] == expected.labels.tolist()
        assert all(each['category_name'] == net.classes[each['category_id']] for each in ours)
        masks = np.stack([coco.decode(each['segmentation']) for each in ours])
        assert (masks == expected.masks.numpy()).mean() > 0.999


def test_labels_are_those_of_the_host(network: Callable, images: Path, tmp_path: Path) -> None:
    from mmsmt.apis.mmseg import MMSegInferencer

    net, out = network('upernet'), tmp_path / 'out'
    predict(net.config, net.checkpoint, str(images), out, batch_size=3, device='cpu')
    host = MMSegInferencer(net.config, net.checkpoint, device='cpu')
    host.show_progress = False
    for name in ('a', 'b/a', 'b/c', 'd'):
        labels = cv2.imread(str(out / f'labels/{name}.png'), cv2.IMREAD_UNCHANGED)
        expected = host(str(images / f'{name}.png'))['predictions']
        assert labels.dtype == np.uint8 and labels.shape == expected.shape
        assert (labels == expected).mean() > 0.999
        assert len(np.unique(labels)) > 1


@pytest.mark.parametrize('task', TASKS)
def test_batches_equal_single_images(
    network: Callable, images: Path, tmp_path: Path, task: str
) -> None:
    net = network(task)
    for size in (1, 4):
        predict(
            *(net.config, net.checkpoint, str(images), tmp_path / str(size)),
            batch_size=size,
            device='cpu',
            pictures=False,
        )
    assert files(tmp_path / '1') == files(tmp_path / '4')
    if task == 'cls':
        one, four = ([row[3:] for row in rows(tmp_path / n)[1:]] for n in '14')
        np.testing.assert_allclose(np.array(one, float), np.array(four, float), rtol=1e-4)
    elif task == 'upernet':
        for name in files(tmp_path / '1'):
            one, four = (cv2.imread(str(tmp_path / n / name), 0) for n in '14')
            assert (one == four).mean() > 0.999
    else:
        one, four = (json.loads((tmp_path / n / 'detections.json').read_text()) for n in '14')
        assert [e['file_name'] for e in one] == [e['file_name'] for e in four]
        boxes = ([each['bbox'] for each in found] for found in (one, four))
        np.testing.assert_allclose(*boxes, atol=1e-2)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video of six frames, the later ones brighter."""
    path = tmp_path / 'clip.avi'
    code = cv2.VideoWriter_fourcc(*'MJPG')
    file = cv2.VideoWriter(str(path), code, 5, (96, 64))
    for step in range(6):
        file.write(np.full((64, 96, 3), 40 * step, np.uint8))
    file.release()
    return path


@pytest.mark.parametrize('task', TASKS)
def test_video(network: Callable, clip: Path, tmp_path: Path, task: str) -> None:
    from mmpretrain.apis import ImageClassificationInferencer

    net, out = network(task), tmp_path / 'out'
    summary = predict(net.config, net.checkpoint, str(clip), out, batch_size=4, device='cpu')
    assert summary.images == 6
    drawn = cv2.VideoCapture(str(out / 'pictures/clip.mp4'))
    assert drawn.get(cv2.CAP_PROP_FPS) == 5
    frames = [drawn.read() for _ in range(7)]
    assert [good for good, _ in frames] == [True] * 6 + [False]
    if task == 'upernet':
        assert files(out / 'labels') == {f'clip/{i:06}.png' for i in range(6)}
    if task == 'cls':
        host = ImageClassificationInferencer(net.config, pretrained=net.checkpoint, device='cpu')
        source = cv2.VideoCapture(str(clip))
        for name, *_, first, _ in rows(out)[1:]:
            expected = host(source.read()[1])[0]['pred_scores'][-2]
            assert float(first) == pytest.approx(expected, rel=1e-4), name


def test_broken_image_stops_after_the_results_before_it(
    network: Callable, images: Path, tmp_path: Path
) -> None:
    whole = (images / 'b/c.png').read_bytes()
    (images / 'b/c.png').write_bytes(whole[: len(whole) // 2])
    net, out = network('cls'), tmp_path / 'out'
    with pytest.raises(BadSampleError, match='b/c.png .*: is truncated; results of the 2 images'):
        predict(net.config, net.checkpoint, str(images), out, batch_size=4, device='cpu')
    assert [row[0] for row in rows(out)[1:]] == ['a.png', 'b/a.png']
    summary = predict(
        net.config, net.checkpoint, str(images), out, device='cpu', on_bad='skip', pictures=False
    )
    assert [row[0] for row in rows(out)[1:]] == ['a.png', 'b/a.png', 'd.png']
    assert (summary.images, len(summary.skipped)) == (3, 1)
    assert 'b/c.png' in summary.skipped[0]


@pytest.mark.parametrize('error', [KeyboardInterrupt, ZeroDivisionError])
def test_ends_in_the_middle(
    network: Callable,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    """Ctrl-C writes what there is; a fault leaves no half-written video."""
    read = Predictor.read

    def read_three(self: Predictor, item: Item) -> Sample:
        if item.name.endswith('3'):
            raise error
        return read(self, item)

    monkeypatch.setattr(Predictor, 'read', read_three)
    net, out = network('cls'), tmp_path / 'out'
    if error is KeyboardInterrupt:
        summary = predict(net.config, net.checkpoint, str(clip), out, device='cpu')
        assert summary.interrupted and summary.images == 3
        assert files(out) == {'scores.csv', 'pictures/clip.mp4'}
        assert len(rows(out)) == 4
    else:
        with pytest.raises(error):
            predict(net.config, net.checkpoint, str(clip), out, device='cpu')
        assert not files(out)


def test_only_broken_images(network: Callable, tmp_path: Path) -> None:
    (tmp_path / 'text.jpg').write_text('no image')
    net = network('cls')
    source, out = str(tmp_path / 'text.jpg'), tmp_path / 'out'
    for on_bad in ('stop', 'skip'):
        with pytest.raises(BadSampleError, match='text.jpg'):
            predict(net.config, net.checkpoint, source, out, device='cpu', on_bad=on_bad)
    assert not out.exists()


def test_classes_that_are_kept(network: Callable, images: Path, tmp_path: Path) -> None:
    options = dict(device='cpu', classes=['digit 8', 'digit 3'], score_thr=0, pictures=False)
    for task in TASKS:
        net = network(task)
        predict(net.config, net.checkpoint, str(images), tmp_path / task, **options)
    header, *found = rows(tmp_path / 'cls')
    assert header[3:] == ['digit 3', 'digit 8']
    for _, best, score, *scores in found:
        assert score == max(scores, key=float) and best == header[3 + scores.index(score)]
    detections = json.loads((tmp_path / 'mask_rcnn/detections.json').read_text())
    assert {each['category_name'] for each in detections} <= {'digit 3', 'digit 8'}
    labels = cv2.imread(str(tmp_path / 'upernet/labels/a.png'), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(labels)) <= {4, 9, 255}
    with pytest.raises(UsageError, match="no class 'digit 33'; did you mean digit 3"):
        options['classes'] = ['digit 33']
        predict(net.config, net.checkpoint, str(images), tmp_path / 'x', **options)


def test_images_without_detections(network: Callable, images: Path, tmp_path: Path) -> None:
    net, out = network('mask_rcnn'), tmp_path / 'out'
    predict(net.config, net.checkpoint, str(images), out, score_thr=1, device='cpu')
    assert json.loads((out / 'detections.json').read_text()) == []
    assert len(files(out / 'pictures')) == 4


def test_results_in_the_folder_of_images_are_no_images(network: Callable, images: Path) -> None:
    net = network('cls')
    for _ in range(2):
        predict(net.config, net.checkpoint, str(images), images / 'out', device='cpu')
    assert len(rows(images / 'out')) == 5


@pytest.mark.slow
@pytest.mark.parametrize('task', ['cls', 'upernet'])
def test_exported_file(network: Callable, images: Path, tmp_path: Path, task: str) -> None:
    from mmsmt.deploy.export.exporter import export

    net, file = network(task), tmp_path / 'net.onnx'
    export(net.config, net.checkpoint, file, images=images, limit=1)
    for name, checkpoint in (('net', net.checkpoint), ('onnx', str(file))):
        predict(
            net.config, checkpoint, str(images), tmp_path / name, pictures=False, batch_size=2,
            device='cpu',
        )  # fmt: skip
    if task == 'cls':
        plain, exported = ([row[3:] for row in rows(tmp_path / n)[1:]] for n in ('net', 'onnx'))
        np.testing.assert_allclose(np.array(plain, float), np.array(exported, float), rtol=1e-3)
    else:
        names = [tmp_path / n / 'labels/b/a.png' for n in ('net', 'onnx')]
        plain, exported = (cv2.imread(str(n), 0) for n in names)
        assert (plain == exported).mean() > 0.999
