"""Served models: prediction of uploads, drawing above a threshold, and maps."""

import pickle
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsmt.apis.models import find_model
from mmsmt.apis.pictures import Film, Pictures
from mmsmt.apis.predictor import Predictor, Sample
from mmsmt.apis.sources import Item
from mmsmt.errors import BadSampleError
from mmsmt.hosts.request import Request
from mmsmt.text import count
from mmsmt.web.maps import Maps
from mmsmt.web.tasks import Rows, find_task
from mmsmt.web.uploads import Upload

READABLE = 800  # pixels; smaller pictures are enlarged before labels are drawn
OPACITY = 0.5  # opacity of masks and label maps
Progress = Callable[[int, int], None]


class Frame(NamedTuple):
    """An image or frame with its prediction, compressed, because the page keeps it per visitor."""

    picture: bytes  # JPEG
    prediction: bytes

    @classmethod
    def of(cls, sample: Sample, prediction: Any) -> 'Frame':
        """Compress a sample and its prediction."""
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        jpeg = cv2.imencode('.jpg', np.ascontiguousarray(sample.picture[..., ::-1]), quality)[1]
        return cls(jpeg.tobytes(), zlib.compress(pickle.dumps(prediction), 1))

    def pixels(self) -> np.ndarray:
        """Return the picture, BGR (H, W, 3) uint8."""
        pixels = cv2.imdecode(np.frombuffer(self.picture, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return pixels

    def open(self) -> tuple[Sample, Any]:
        """Decompress the sample, without the pipeline's result, and the prediction."""
        pixels = self.pixels()
        prediction = pickle.loads(zlib.decompress(self.prediction))  # written by this process
        return Sample(Item('', '', '', pixels), pixels, {}), prediction


class Answer(NamedTuple):
    """The prediction for an upload."""

    model: str
    upload: Upload
    frames: list[Frame]
    seconds: float

    def __str__(self) -> str:
        what = count(len(self.frames), 'frame') if self.upload.frames else 'predicted'
        return f'{self.upload}: {what} in {self.seconds:.2f} s'


class Drawing(NamedTuple):
    """A drawn answer, above a threshold."""

    picture: np.ndarray | None  # RGB (H, W, 3) uint8, for an image
    video: Path | None
    columns: list[str]
    rows: Rows


class ServedModel:
    """A model that serves one visitor at a time.

    Args:
        request: Name on the page, and arguments of `find_model`.
        device: The GPU by default, if there is one.

    Raises:
        UserError: If it cannot be built or loaded, or the page does not support its predictions.
    """

    def __init__(self, request: Request, device: str | None = None) -> None:
        self.name = request.label
        self.predictor = Predictor(find_model(request.config, request.file), device)
        self.running, self.drawing = Lock(), Lock()
        # Building a visualizer needs the scope of the model's host; drawing does not.
        grey = Item('grey', 'grey', '', np.full((224, 224, 3), 128, np.uint8))
        prediction = self.predictor([self.predictor.read(grey)])[0]
        self.task = find_task(prediction, self.predictor.classes)
        # Without the sizes that a hook in the config sets.
        drawn_by = Config(dict(visualizer=self.predictor.cfg.get('visualizer')))
        pictures = Pictures(Path(), drawn_by, self.predictor.classes, 0.0, None)
        self.draw_sample = pictures.drawer(prediction, OPACITY)
        self.maps = Maps(self.name, request.file, self.predictor)

    def answer(self, upload: Upload, progress: Progress) -> Answer:
        """Predict an upload.

        Raises:
            BadSampleError: If the upload is damaged.
        """
        frames, start = list[Frame](), time.perf_counter()
        with self.running:
            init_default_scope(self.predictor.cfg.get('default_scope', 'mmengine'))
            for item in upload.items():
                sample = self._read(item)
                prediction = self.predictor([sample])[0]
                self.task.pack(prediction)
                frames.append(Frame.of(sample, prediction))
                progress(len(frames), upload.frames or 1)
        return Answer(self.name, upload, frames, time.perf_counter() - start)

    def _read(self, item: Item) -> Sample:
        try:
            return self.predictor.read(item)
        except BadSampleError as error:  # do not show visitors where uploads are stored
            reason = str(error).replace(item.path, item.label)
            raise BadSampleError(reason.replace(' (img_path):', '')) from error

    def draw(self, answer: Answer, threshold: float, folder: Path) -> Drawing:
        """Draw an answer without running the model.

        Args:
            answer: An answer of this model.
            threshold: From 0 to 1; its meaning depends on the task.
            folder: Folder for videos.
        """
        with self.drawing:
            if not answer.upload.frames:
                picture, rows, _ = self._draw(answer.frames[0], threshold)
                return Drawing(picture, None, list(self.task.columns), rows)
            return self._draw_video(answer, threshold, folder)

    def _draw(self, frame: Frame, threshold: float) -> tuple[np.ndarray, Rows, dict[str, float]]:
        """Return the drawn picture, its table, and the best score of each class."""
        sample, prediction = frame.open()
        self.task.keep(prediction, threshold)
        rows, best = self.task.rows(prediction), self.task.best(prediction)
        height, width = sample.pixels.shape[:2]
        factor = READABLE // max(height, width)
        if factor > 1:
            size = (width * factor, height * factor)
            sample.pixels = cv2.resize(sample.pixels, size, interpolation=cv2.INTER_CUBIC)
            self.task.enlarge(prediction, factor)
        np.random.seed(0)  # mmdet chooses colours of masks at random
        return self.draw_sample(sample, prediction), rows, best

    def _draw_video(self, answer: Answer, threshold: float, folder: Path) -> Drawing:
        stem = f'{answer.upload.path.stem}_{time.time_ns()}'
        film = Film(folder / f'{stem}.webm', answer.upload.fps)
        found: dict[str, list[float]] = {}
        for frame in answer.frames:
            picture, _, best = self._draw(frame, threshold)
            film.add(np.ascontiguousarray(picture[..., ::-1]))
            for name, score in best.items():
                found.setdefault(name, []).append(score)
        film.finish()
        rows = [[name, len(of), round(max(of), 3)] for name, of in found.items()]
        columns = ['class', 'frames', f'largest {self.task.measure}']
        return Drawing(None, film.path, columns, sorted(rows, key=lambda row: -row[1]))
