"""Exported files whose results a host cannot evaluate."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmsmt.engine.exported import ExportedModel
from mmsmt.errors import UsageError


class Session:
    """Gives the same for all images."""

    runtime = 'none'

    def __init__(self, **values: np.ndarray) -> None:
        self.values, self.outputs = values, list(values)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return self.values


def test_labels_of_a_segmenter() -> None:
    session = Session(labels=np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(
        UsageError, match='has the outputs labels; .* needs logits: export it without --labels'
    ):
        ExportedModel(session, SimpleNamespace(decode_head=None))


def test_masks_of_whole_images() -> None:
    session = Session(
        boxes=np.zeros((1, 1, 4), np.float32),
        scores=np.zeros((1, 1), np.float32),
        labels=np.zeros((1, 1), np.int64),
        count=np.ones(1, np.int64),
        masks=np.ones((1, 1, 4, 4), bool),
    )
    model = ExportedModel(session, SimpleNamespace(with_mask=True))
    data = dict(
        inputs=[torch.zeros(3, 4, 4, dtype=torch.uint8)],
        data_samples=[SimpleNamespace(metainfo={})],
    )
    with pytest.raises(UsageError, match='masks of whole images; .* without --masks images'):
        model.test_step(data)
