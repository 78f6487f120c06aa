"""Masks pasted into whole images, by torch and as the page does it, against mmdet."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from PIL import Image
from torch import Tensor

from mmsmt.deploy import paste_masks
from mmsmt.deploy.detections.paste import paste_found

SIZE = (57, 83)  # height, width


def regions(count: int = 40) -> tuple[Tensor, Tensor]:
    """Masks (N, 28, 28) and boxes, some of them reaching beyond the image."""
    torch.manual_seed(0)
    corners = torch.rand(count, 2, 2) * torch.tensor([100.0, 70.0]) - 5
    boxes = torch.cat([corners.amin(1), corners.amax(1)], 1)
    return torch.rand(count, 28, 28), boxes


@pytest.mark.parametrize('threshold', [0.5, 0.2])
@pytest.mark.parametrize('size', [SIZE, (256, 31)])
def test_pastes_as_mmdet(threshold: float, size: tuple[int, int]) -> None:
    """Below 0.5, too, where pixels next to a box count."""
    masks, boxes = regions()
    expected, _ = _do_paste_mask(masks[:, None], boxes, *size, skip_empty=False)
    pasted = paste_masks(masks, boxes, size, threshold)
    assert pasted.dtype == torch.bool
    assert torch.equal(pasted, expected >= threshold)


def test_any_leading_axes() -> None:
    masks, boxes = regions()
    pasted = paste_masks(masks.view(4, 10, 28, 28), boxes.view(4, 10, 4), SIZE)
    assert torch.equal(pasted.flatten(0, 1), paste_masks(masks, boxes, SIZE))
    assert paste_masks(masks[0], boxes[0], SIZE).shape == SIZE
    assert paste_masks(masks[:0], boxes[:0], SIZE).shape == (0, *SIZE)


def test_boxes_without_extent() -> None:
    """One side is 0, and a pixel's centre lies on none: there mmdet divides 0 by 0."""
    masks, boxes = regions()
    boxes[:, 2:3] = boxes[:, :1]
    boxes[::2, 3] = boxes[::2, 1]
    expected, _ = _do_paste_mask(masks[:, None], boxes.clone(), *SIZE, skip_empty=False)
    assert torch.equal(paste_masks(masks, boxes, SIZE), expected >= 0.5)
    nothing = paste_masks(torch.zeros(3, 28, 28), torch.full((3, 4), 0.5), SIZE)
    assert not nothing.any()


def test_places_without_a_box_are_empty() -> None:
    """At a threshold of 0, too, from which every pixel of an image belongs to an object."""
    found = {
        'masks': torch.zeros(1, 2, 28, 28),
        'boxes': torch.tensor([[[3.0, 4.0, 20.0, 30.0], [0.0, 0.0, 0.0, 0.0]]]),
        'labels': torch.tensor([[1, -1]]),
    }
    masks = paste_found(found, SIZE, 0.0)['masks']
    assert masks[0, 0].all() and not masks[0, 1].any()


def test_page_pastes_with_numpy_and_pil() -> None:
    """A probability at the threshold within float32's rounding may count or not."""
    page = (Path(__file__).parents[3] / 'docs' / 'guides' / 'deploy.md').read_text()
    blocks = re.findall(r'```python\n(.*?)```', page, re.S)
    (block,) = [each for each in blocks if 'transform' in each]
    assert block.count('\n') <= 6 and 'import' not in block
    masks, boxes = regions()
    expected, _ = _do_paste_mask(masks[:, None], boxes, *SIZE, skip_empty=False)
    found = {'masks': masks[None].numpy(), 'boxes': boxes[None].numpy()}
    image = np.zeros((*SIZE, 3), dtype=np.uint8)
    for k, value in enumerate(expected):
        names = dict(np=np, Image=Image, found=found, image=image, k=k)
        exec(block, names)
        mask = torch.from_numpy(names['mask'])
        assert mask.dtype == torch.bool and mask.shape == SIZE
        near = (value - 0.5).abs() < 1e-4
        assert torch.equal(mask[~near], (value >= 0.5)[~near])
