"""Pictures and videos of predictions, drawn by the host's visualizer."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import VISUALIZERS

from mmsmt.apis.classes import Classes
from mmsmt.apis.predictor import Sample
from mmsmt.apis.results import write_image
from mmsmt.apis.sources import Video
from mmsmt.checkpoints.atomic import UNFINISHED
from mmsmt.engine.hooks.drawn_predictions import SMALLEST
from mmsmt.errors import UsageError
from mmsmt.text import count

# The host's visualizer, by the content of a prediction.
USUAL = {
    'pred_instances': 'mmdet.DetLocalVisualizer',
    'pred_sem_seg': 'mmseg.SegLocalVisualizer',
    'pred_score': 'mmpretrain.UniversalVisualizer',
}
CODECS = {'.mp4': 'mp4v', '.webm': 'VP80'}  # browsers play WebM
Draw = Callable[[Sample, Any], np.ndarray]


class Pictures:
    """Draw predictions to `pictures/`, as one JPEG per image, or one MP4 for a video.

    Args:
        folder: Folder of all results.
        cfg: Config of the model, with the visualizer.
        classes: Classes of the model.
        score_thr: Minimum score of drawn detections.
        video: The source, if it is a video.
    """

    def __init__(
        self, folder: Path, cfg: Config, classes: Classes, score_thr: float, video: Video | None
    ) -> None:
        self.path = folder / 'pictures'
        self.cfg, self.classes, self.score_thr = cfg, classes, score_thr
        self.draw: Draw | None = None
        self.film = Film(self.path / f'{video.name}.mp4', video.fps) if video else None
        self.drawn = 0

    def add(self, sample: Sample, prediction: Any) -> None:
        """Draw the prediction of an image and write it."""
        if self.draw is None:
            self.draw = self.drawer(prediction)
        picture = np.ascontiguousarray(self.draw(sample, prediction)[..., ::-1])
        if self.film:
            self.film.add(picture)
        else:
            write_image(self.path / f'{sample.item.name}.jpg', picture)
        self.drawn += 1

    def finish(self) -> tuple[Path, str]:
        """Close the video, and return what was written and how much."""
        if self.film:
            self.film.finish()
            return self.film.path, count(self.drawn, 'frame')
        return self.path, count(self.drawn, 'picture')

    def discard(self) -> None:
        """Remove an incomplete video."""
        if self.film:
            self.film.unfinished.unlink(missing_ok=True)

    def drawer(self, prediction: Any, opacity: float | None = None) -> Draw:
        """Return a function from a sample and such a prediction to RGB (H, W, 3).

        Args:
            prediction: A prediction of the model.
            opacity: Opacity of masks and label maps, that of the visualizer by default.
        """
        kind = next(field for field in USUAL if field in prediction)
        given = {**(self.cfg.get('visualizer') or dict(type=USUAL[kind]))}
        given |= dict(vis_backends=None, name=f'predict_{id(self)}')
        given.pop('save_dir', None)
        visualizer: Any = VISUALIZERS.build(given)
        if opacity is not None:
            visualizer.alpha = opacity
        meta = dict(classes=self.classes.names, palette=self.classes.colors)
        if kind == 'pred_score':
            return self._classifier(visualizer)
        visualizer.dataset_meta = meta
        options = dict(pred_score_thr=self.score_thr) if kind == 'pred_instances' else {}

        def draw(sample: Sample, prediction: Any) -> np.ndarray:
            visualizer.add_datasample(
                'prediction', sample.picture, prediction, draw_gt=False, **options
            )
            return visualizer.get_image()

        return draw

    def _classifier(self, visualizer: Any) -> Draw:
        hook = (self.cfg.get('default_hooks') or {}).get('visualization') or {}
        given = {key: hook[key] for key in ('resize', 'rescale_factor') if hook.get(key)}

        def draw(sample: Sample, prediction: Any) -> np.ndarray:
            picture = sample.picture
            small = min(picture.shape[:2]) < SMALLEST
            size = (given or dict(resize=SMALLEST)) if small else {}
            return visualizer.visualize_cls(
                picture, prediction, classes=self.classes.names, draw_gt=False, **size
            )

        return draw


class Film:
    """A video file, `.mp4` or `.webm`, with a temporary name until it is complete."""

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, fps
        self.unfinished = path.with_name(f'.{path.stem}.{os.getpid()}{UNFINISHED}{path.suffix}')
        self.file: Any = None
        self.frames, self.size = 0, (0, 0)

    def add(self, picture: np.ndarray) -> None:
        """Add a frame, BGR (H, W, 3) uint8, resized to the size of the first."""
        import cv2

        if self.file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.size = (picture.shape[1], picture.shape[0])
            codec = CODECS[self.path.suffix]
            code = cv2.VideoWriter_fourcc(*codec)  # type: ignore[attr-defined]
            self.file = cv2.VideoWriter(str(self.unfinished), code, self.fps, self.size)
            if not self.file.isOpened():
                raise UsageError(f'{self.path}: OpenCV cannot write this video')
        if (picture.shape[1], picture.shape[0]) != self.size:
            picture = cv2.resize(picture, self.size)
        self.file.write(picture)
        self.frames += 1

    def finish(self) -> None:
        """Give the file its final name.

        Raises:
            UsageError: If frames are missing, because OpenCV does not report a full disk.
        """
        if self.file is None:
            return
        import cv2

        self.file.release()
        try:
            written = cv2.VideoCapture(str(self.unfinished)).get(cv2.CAP_PROP_FRAME_COUNT)
            if written != self.frames:
                raise UsageError(f'{self.path}: cannot be written, is the disk full?')
            os.replace(self.unfinished, self.path)
        finally:
            self.unfinished.unlink(missing_ok=True)
