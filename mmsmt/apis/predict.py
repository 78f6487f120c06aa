"""Prediction of images or a video, with result files and pictures."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmsmt.apis.models import find_model
from mmsmt.apis.pictures import Pictures
from mmsmt.apis.predictor import Predictor, Sample
from mmsmt.apis.results import Writer, open_writer
from mmsmt.apis.sources import Images, Item, Video, open_source
from mmsmt.console import progress_console
from mmsmt.engine.hooks.progress_bar import new_bar
from mmsmt.errors import BadSampleError, UsageError
from mmsmt.text import count


class Summary(NamedTuple):
    """Summary of a prediction."""

    images: int
    seconds: float  # excluding the loading of the model
    written: list[tuple[Path, str]]  # file or folder, and its content
    skipped: list[str]  # unreadable images, and why
    interrupted: bool  # by Ctrl-C, which also ends a webcam


class Run:
    """The state of a prediction: its outputs and progress."""

    def __init__(
        self,
        predictor: Predictor,
        source: Images | Video,
        out: Path,
        wanted: Sequence[int],
        score_thr: float,
        pictures: bool,
    ) -> None:
        self.predictor, self.source, self.out = predictor, source, out
        self.wanted, self.score_thr = wanted, score_thr
        video = source if isinstance(source, Video) else None
        options = (out, predictor.cfg, predictor.classes, score_thr, video)
        self.pictures = Pictures(*options) if pictures else None
        self.writer: Writer | None = None
        self.done = 0

    def predict(self, batch: list[tuple[int, Sample]]) -> None:
        """Predict a batch, draw it and collect its results."""
        predictions = self.predictor([sample for _, sample in batch])
        for (number, sample), prediction in zip(batch, predictions, strict=True):
            if self.writer is None:
                classes = self.predictor.classes
                options = (self.out, classes, self.wanted, self.score_thr)
                self.writer = open_writer(prediction, *options)
            self.writer.keep(prediction)
            self.writer.add(sample.item, number, prediction)
            if self.pictures:
                self.pictures.add(sample, prediction)
            self.done += 1

    def discard(self) -> None:
        """Remove incomplete outputs."""
        if self.pictures:
            self.pictures.discard()

    def finish(self) -> list[tuple[Path, str]]:
        """Write the remaining outputs, and list all of them."""
        written = [(self.writer.path, self.writer.finish())] if self.writer else []
        return written + ([self.pictures.finish()] if self.pictures and self.done else [])


def predict(
    model: str,
    checkpoint: str,
    source: str,
    out: str | Path = 'work_dirs/predict',
    *,
    batch_size: int = 1,
    score_thr: float = 0.3,
    device: str | None = None,
    classes: Sequence[str] = (),
    precision: str = 'float32',
    runtime: str | None = None,
    tta: bool = False,
    on_bad: str = 'stop',
    pictures: bool = True,
) -> Summary:
    """Predict images or a video, and write results and pictures.

    Args:
        model: Config, name, folder or exported file, see `mmsmt.apis.models.find_model`.
        checkpoint: Checkpoint of a config or a name; empty if the model has its own weights.
        source: An image or video file, a folder, a glob pattern, or the number of a webcam.
        out: Folder for `detections.json`, `scores.csv` or `labels/`, and for `pictures/`.
        batch_size: Images per batch; results do not depend on it.
        score_thr: Minimum score of detections that are written and drawn.
        device: The GPU by default, if there is one.
        classes: Names of the classes to keep; all by default.
        precision: Precision in which OpenVINO computes: `float32` or `bfloat16`.
        runtime: Runtime of an exported file: `onnxruntime` or `openvino`.
        tta: Merge the predictions of the views listed in the config's `tta_pipeline`.
        on_bad: `stop` at an unreadable image, or `skip` it.
        pictures: Whether to draw.

    Raises:
        UserError: If any argument cannot be used. The results of the images before an unreadable
            one are written.
    """
    if batch_size < 1:
        raise UsageError(f'--batch-size must be at least 1, got {batch_size}')
    images = open_source(source, Path(out))
    predictor = Predictor(find_model(model, checkpoint, precision, runtime), device, tta)
    wanted = predictor.classes.find(classes)
    run = Run(predictor, images, Path(out), wanted, score_thr, pictures)
    skipped, interrupted, start = list[str](), False, time.perf_counter()
    try:
        for batch in _batches(predictor, images, batch_size, on_bad, skipped):
            run.predict(batch)
    except BadSampleError as error:
        written = run.finish()
        so_far = f'results of the {count(run.done, "image")} before it are written; '
        more = f'{so_far if written else ""}--on-bad skip skips it'
        raise BadSampleError(f'{error}; {more}') from error
    except KeyboardInterrupt:
        interrupted = True
    except BaseException:
        run.discard()
        raise
    written = run.finish()
    if not (run.done or interrupted):
        raise BadSampleError(f'{source}: no image can be read; first error: {skipped[0]}')
    return Summary(run.done, time.perf_counter() - start, written, skipped, interrupted)


def _batches(
    predictor: Predictor, images: Images | Video, size: int, on_bad: str, skipped: list[str]
) -> Iterable[list[tuple[int, Sample]]]:
    """Yield batches of numbered samples; the images before a bad one come before its error."""
    batch: list[tuple[int, Sample]] = []
    for number, item in enumerate(_with_bar(images)):
        try:
            batch.append((number, predictor.read(item)))
        except BadSampleError as error:
            if on_bad == 'stop':
                if batch:
                    yield batch
                raise
            skipped.append(str(error))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _with_bar(images: Any) -> Iterable[Item]:
    """Iterate over the images, with a progress bar in a terminal."""
    console = progress_console()
    if not console.is_terminal:
        yield from images
        return
    with new_bar(console) as bar:
        yield from bar.track(images, total=len(images) or None, description='predict')
