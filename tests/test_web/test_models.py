"""Models of the page: one run, then any threshold; one visitor at a time."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.structures import BaseDataElement

from mmsmt.apis.predict import predict
from mmsmt.apis.predictor import Predictor
from mmsmt.errors import BadSampleError, UsageError
from mmsmt.hosts.request import Request
from mmsmt.web.models import Answer, ServedModel
from mmsmt.web.uploads import Limits, open_upload

TASKS = ('cls', 'mask_rcnn', 'upernet')


@pytest.fixture(scope='module')
def served(network: Callable) -> Callable[..., ServedModel]:
    made: dict[tuple[str, ...], ServedModel] = {}

    def load(task: str, backbone: str = 'smt_pico') -> ServedModel:
        if (task, backbone) not in made:
            net = network(task, backbone)
            made[task, backbone] = ServedModel(Request(task, net.config, net.checkpoint), 'cpu')
        return made[task, backbone]

    return load


def ask(model: ServedModel, path: Path) -> Answer:
    return model.answer(open_upload(path, Limits()), lambda done, of: None)


def middle(answer: Answer) -> float:
    """A threshold that half of an answer is above."""
    prediction = answer.frames[0].open()[1]
    if 'pred_instances' in prediction:
        scores = prediction.pred_instances.scores
    elif 'pred_score' in prediction:
        scores = prediction.pred_score
    else:
        scores = prediction.pred_sem_seg.probability.float()
    return float(scores.median())


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_a_threshold_needs_no_second_run(
    served: Callable, image: Path, tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(task)
    answer = ask(model, image)
    assert str(answer).startswith('noise.png (128 x 96): predicted in ')
    monkeypatch.setattr(model.predictor, 'model', None)
    thresholds = (0.0, middle(answer), 1.01)  # a random network may be quite sure
    everything, half, none = (model.draw(answer, t, tmp_path) for t in thresholds)
    assert everything.columns[:1] == ['class']
    if task == 'upernet':
        assert 96 * 128 / 2 <= sum(row[1] for row in half.rows) < 96 * 128
    else:
        assert len(everything.rows) > len(half.rows) > len(none.rows) == 0
    assert (everything.picture != none.picture).any()
    assert none.picture.shape == (96 * 6, 128 * 6, 3)  # enlarged, so that labels can be read
    if task != 'cls':  # whose visualizer draws the name of nothing
        shown = cv2.resize(cv2.imread(str(image))[..., ::-1], (128 * 6, 96 * 6)).astype(int)
        shown = shown / 2 if task == 'upernet' else shown  # mmseg dims pixels without a class
        assert abs(none.picture - shown).mean() < 8  # nothing drawn, up to JPEG and resizing
    again = model.draw(answer, thresholds[1], tmp_path)
    assert again.rows == half.rows and (again.picture == half.picture).all()


def test_detections_are_those_of_predict(
    served: Callable, network: Callable, image: Path, tmp_path: Path
) -> None:
    net, model = network('mask_rcnn'), served('mask_rcnn')
    predict(net.config, net.checkpoint, str(image), tmp_path, device='cpu', score_thr=0.2)
    expected = json.loads((tmp_path / 'detections.json').read_text())
    rows = model.draw(ask(model, image), 0.2, tmp_path).rows
    assert rows and len(rows) == min(len(expected), 100)
    expected.sort(key=lambda found: -found['score'])
    for row, found in zip(rows, expected, strict=False):
        assert row[1] == pytest.approx(found['score'], abs=1e-3)
        np.testing.assert_allclose(row[2:], found['bbox'], atol=0.51)
    assert {row[0] for row in rows} <= set(net.classes)


def test_scores_and_shares_add_up(served: Callable, image: Path, tmp_path: Path) -> None:
    rows = served('cls').draw(ask(served('cls'), image), 0, tmp_path).rows
    assert len(rows) == 10 and sum(row[1] for row in rows) == pytest.approx(1, abs=1e-3)
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)
    model = served('upernet')
    answer = ask(model, image)
    rows = model.draw(answer, 0, tmp_path).rows
    assert sum(pixels for _, pixels, _ in rows) == 128 * 96
    fewer = model.draw(answer, middle(answer), tmp_path).rows
    assert 0 < sum(pixels for _, pixels, _ in fewer) < 128 * 96


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_a_video_becomes_one_that_browsers_play(
    served: Callable, clip: Path, tmp_path: Path, task: str
) -> None:
    model = served(task)
    answer = ask(model, clip)
    assert ': 6 frames in ' in str(answer)
    drawn = model.draw(answer, 0.0, tmp_path)
    assert drawn.picture is None and drawn.video is not None and drawn.video.suffix == '.webm'
    file = cv2.VideoCapture(str(drawn.video))
    assert file.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert file.get(cv2.CAP_PROP_FPS) == pytest.approx(5)
    assert drawn.columns[:2] == ['class', 'frames']
    assert drawn.rows and all(1 <= row[1] <= 6 and 0 < row[2] <= 1 for row in drawn.rows)


def test_kept_answers_are_small(served: Callable, image: Path) -> None:
    (frame,) = ask(served('mask_rcnn'), image).frames
    masks = frame.open()[1].pred_instances.masks
    assert len(frame.prediction) < masks.numel() / 10


def test_visitors_are_served_one_after_another(
    served: Callable, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inside, most = served('cls'), [], []
    run = model.predictor.model.test_step

    def slow(batch: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        try:
            return run(batch)
        finally:
            inside.pop()

    monkeypatch.setattr(model.predictor.model, 'test_step', slow)
    answers: list[Answer] = []
    visitors = [
        threading.Thread(target=lambda: answers.append(ask(model, image))) for _ in range(4)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert len(answers) == 4 and most == [1] * 4
    found = [answer.frames[0].open()[1].pred_score for answer in answers]
    assert all((scores == found[0]).all() for scores in found)


def test_messages_do_not_say_where_uploads_lie(served: Callable, tmp_path: Path) -> None:
    path = tmp_path / 'cut.png'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadSampleError, match='^cut.png is truncated$'):
        ask(served('cls'), path)


@pytest.mark.parametrize(
    ('backbone', 'kinds'),
    [
        ('smt_pico', ['Modulation', 'Receptive field']),
        ('sg_former_pico', ['Significance', 'Receptive field']),
    ],
)
def test_maps_that_a_model_has(
    served: Callable, image: Path, backbone: str, kinds: list[str]
) -> None:
    model = served('cls', backbone)
    assert list(model.maps.kinds) == kinds
    pixels = ask(model, image).frames[0].pixels()
    for kind in kinds:
        drawn = model.maps.draw(kind, pixels)
        assert drawn.dtype == np.uint8 and drawn.ndim == 3 and drawn.std() > 10
        assert drawn.shape[1] > 400


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A model that predicts what the page has no form for."""
    monkeypatch.setattr(Predictor, '__call__', lambda self, _: [BaseDataElement(pred_depth=1)])
    yield


def test_a_model_of_another_task_is_refused(network: Callable, other: None) -> None:
    net = network('cls')
    with pytest.raises(UsageError, match='the model predicts pred_depth; the page shows'):
        ServedModel(Request('cls', net.config, net.checkpoint), 'cpu')
