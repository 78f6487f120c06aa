"""Adapter that runs an exported file in place of a host's model, for the host's evaluation."""

from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from mmsmt.deploy.session import Session
from mmsmt.errors import UsageError
from mmsmt.hosts.model import kind_of

Found = dict[str, Tensor]
NEEDED = {
    'classifier': ('scores',),
    'segmenter': ('logits',),
    'detector': ('boxes', 'scores', 'labels', 'count'),
}


class ExportedModel(nn.Module):
    """Model that predicts with an exported file.

    Args:
        session: The exported file in its runtime.
        model: A host's model, used to rescale results to the original images.

    Raises:
        UsageError: If the file lacks outputs that the evaluation of such a model needs.
    """

    def __init__(self, session: Session, model: Any) -> None:
        super().__init__()
        self.session, self.model = session, model
        self.kind = kind_of(model)
        needed = NEEDED[self.kind]
        if getattr(model, 'with_mask', False):
            needed += ('masks',)
        if missing := [name for name in needed if name not in session.outputs]:
            has_labels = self.kind == 'segmenter' and 'labels' in session.outputs
            raise UsageError(
                f'the exported file has the outputs {", ".join(session.outputs)}; to evaluate this '
                f"config's {self.kind} it also needs {', '.join(missing)}"
                f'{": export it without --labels" if has_labels else ""}'
            )

    def test_step(self, data: dict) -> list:
        """Predict a batch of the host's data loader."""
        inputs, samples = data['inputs'], data['data_samples']
        if len({tuple(image.shape) for image in inputs}) == 1:
            return self._predict(inputs, samples)
        single = zip(inputs, samples, strict=True)
        return [each for image, sample in single for each in self._predict([image], [sample])]

    def _predict(self, images: Sequence[Tensor], samples: list) -> list:
        """Predict images of one size, BGR (3, H, W) uint8 as read by the hosts."""
        pixels = torch.stack(list(images)).flip(1).permute(0, 2, 3, 1)
        given = self.session(np.ascontiguousarray(pixels.numpy()))
        found = {name: torch.from_numpy(np.array(value)) for name, value in given.items()}
        predict = {'classifier': _classify, 'segmenter': _segment, 'detector': _detect}[self.kind]
        return predict(self.model, found, samples)


def _require_classes(found: int, expected: int) -> None:
    if found != expected:
        raise UsageError(f'the exported file has {found} classes, the config {expected}')


def _classify(model: Any, found: Found, samples: list) -> list:
    _require_classes(found['scores'].shape[1], getattr(model.head, 'num_classes', None) or 0)
    for sample, score in zip(samples, found['scores'], strict=True):
        sample.set_pred_score(score).set_pred_label(score.argmax(0, keepdim=True))
    return samples


def _segment(model: Any, found: Found, samples: list) -> list:
    _require_classes(found['logits'].shape[1], model.decode_head.out_channels)
    return model.postprocess_result(found['logits'], samples)


def _detect(model: Any, found: Found, samples: list) -> list:
    """Return boxes, and masks of whole images, in pixels of the original images."""
    from mmengine.structures import InstanceData

    results = []
    for image, (number, sample) in enumerate(zip(found['count'].tolist(), samples, strict=True)):
        boxes, scores, labels = (found[n][image, :number] for n in ('boxes', 'scores', 'labels'))
        result = InstanceData(bboxes=boxes, scores=scores, labels=labels)
        if 'masks' in found:
            result = _paste(model, result, found['masks'][image, :number], sample.metainfo)
        else:
            boxes /= boxes.new_tensor(sample.scale_factor).repeat(2)
        results.append(result)
    return model.add_pred_to_datasample(samples, results)


def _paste(model: Any, result: Any, masks: Tensor, info: dict) -> Any:
    """Paste one mask per box with the host's head, which also rescales the boxes."""
    if masks.dtype == torch.bool:
        # These have the size of the resized image; resizing them would not be exact.
        raise UsageError(
            'the exported file gives masks of whole images; to evaluate this config it needs '
            'masks of boxes: export it without --masks images'
        )
    head: Any = model.roi_head.mask_head
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    options = dict(rescale=True, activate_map=True)
    with mock.patch.object(head, 'class_agnostic', True):
        cfg = model.roi_head.test_cfg
        return head.predict_by_feat((masks[:, None],), [result], [info], cfg, **options)[0]
