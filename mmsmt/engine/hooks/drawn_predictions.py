"""Hook that draws the predictions of a test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from mmsmt.registry import HOOKS

SMALLEST = 224  # pixels; text on smaller images cannot be read


@HOOKS.register_module()
class DrawnPredictionsHook(Hook):
    """Draw each prediction of a test next to its labels, as `<folder>/<image name>.png`.

    The hosts' own hooks write to a different place for each task. The host's visualizer draws; of
    several processes only the main one does. Class names are not written into label maps: to find
    a place for them takes mmseg several times as long as the test itself.

    Args:
        folder: Where pictures go.
        score_thr: Lowest score of the detections that are drawn.
    """

    def __init__(self, folder: str, score_thr: float = 0.3) -> None:
        self.folder = Path(folder)
        self.score_thr = score_thr
        self.names: dict[str, int] = {}

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] = ()
    ) -> None:
        """Draw the predictions of a batch."""
        import mmcv  # here, so that importing the hooks does not need it

        for sample in outputs:
            image = mmcv.imread(sample.img_path, channel_order='rgb')
            self._draw(runner.visualizer, image, sample, str(self._file(sample.img_path)))

    def _file(self, image: str) -> Path:
        """A file of its own for each image, even where folders have images of equal names."""
        name = Path(image).stem
        self.names[name] = self.names.get(name, 0) + 1
        return self.folder / (f'{name}_{n}.png' if (n := self.names[name]) > 1 else f'{name}.png')

    def _draw(self, visualizer: Any, image: Any, sample: Any, file: str) -> None:
        if 'pred_score' in sample:  # mmpretrain
            size = dict(resize=SMALLEST) if min(image.shape[:2]) < SMALLEST else {}
            visualizer.visualize_cls(image, sample, name=file, out_file=file, **size)
            return
        detections = 'pred_instances' in sample or 'pred_panoptic_seg' in sample
        options = dict(pred_score_thr=self.score_thr) if detections else dict(with_labels=False)
        visualizer.add_datasample(file, image, sample, out_file=file, **options)
