"""The stock data set classes of the three hosts read what is written."""

from pathlib import Path

import mmcv.transforms
import mmdet.datasets.transforms
import mmpretrain.datasets
import mmseg.datasets.transforms
import numpy as np
import pytest
from PIL import Image

from mmsmt.datasets.digits import CLASSES, Parameters, load_split
from mmsmt.datasets.digits.annotations import BackgroundAsStuff


@pytest.mark.parametrize('split, tiles', [('train', 2), ('val', 1)])
def test_mmpretrain_custom_dataset(prepared: Path, split: str, tiles: int) -> None:
    dataset = mmpretrain.datasets.CustomDataset(
        data_root=str(prepared / 'cls'),
        data_prefix=split,
        pipeline=[mmpretrain.datasets.LoadImageFromFile()],
    )
    assert dataset.CLASSES == CLASSES
    assert len(dataset) == tiles * len(load_split()[split])
    assert dataset[0]['img'].shape == (64, 64, 3)
    expected = np.bincount(load_split()[split].labels) * tiles
    np.testing.assert_array_equal(np.bincount(dataset.get_gt_labels()), expected)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_mmdet_coco_dataset(prepared: Path, parameters: Parameters, split: str) -> None:
    dataset = mmdet.datasets.CocoDataset(
        data_root=str(prepared / 'scenes'),
        ann_file=f'annotations/instances_{split}.json',
        data_prefix={'img': f'images/{split}/'},
        metainfo={'classes': CLASSES},
        pipeline=[
            mmcv.transforms.LoadImageFromFile(),
            mmdet.datasets.transforms.LoadAnnotations(with_bbox=True, with_mask=True),
        ],
    )
    assert len(dataset) == getattr(parameters, f'scenes_{split}')
    for sample in dataset:
        labels = np.asarray(
            Image.open(
                prepared / 'scenes' / 'labels' / split / f'{Path(sample["img_path"]).stem}.png'
            )
        )
        assert sample['img'].shape == (256, 256, 3)
        masks = sample['gt_masks'].masks.astype(bool)
        assert len(masks) == len(sample['gt_bboxes']) == len(sample['gt_bboxes_labels']) > 0
        assert not sample['gt_ignore_flags'].any()
        for mask, label in zip(masks, sample['gt_bboxes_labels']):
            assert set(labels[mask]) == {label + 2}
        boxes = sample['gt_masks'].get_bboxes('hbox').tensor
        np.testing.assert_array_equal(boxes, sample['gt_bboxes'].tensor)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_mmseg_base_seg_dataset(prepared: Path, parameters: Parameters, split: str) -> None:
    dataset = mmseg.datasets.BaseSegDataset(
        data_root=str(prepared / 'scenes'),
        data_prefix={'img_path': f'images/{split}', 'seg_map_path': f'labels/{split}'},
        metainfo={'classes': ('background', *CLASSES)},
        reduce_zero_label=True,
        pipeline=[
            mmcv.transforms.LoadImageFromFile(),
            mmseg.datasets.transforms.LoadAnnotations(),
        ],
    )
    assert len(dataset) == getattr(parameters, f'scenes_{split}')
    seen = np.unique(np.concatenate([np.unique(sample['gt_seg_map']) for sample in dataset]))
    assert seen.min() == 0 and seen.max() <= 10, f'labels read: {seen}'
    assert len(seen) > 5


def test_the_background_is_stuff_for_a_panoptic_method() -> None:
    labels = np.array([[1, 2, 11]], np.uint8)
    assert BackgroundAsStuff()({'gt_seg_map': labels})['gt_seg_map'].tolist() == [[10, 255, 255]]
