"""A pipeline names the sample that it fails on: path, field and reason."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmengine.registry import TRANSFORMS
from mmpretrain.datasets import CustomDataset
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations as LoadLabelImage
from PIL import Image
from torch.utils.data import DataLoader

from mmsmt.datasets.guarded_pipeline import MOST_IN_A_ROW, GuardedPipeline, journal_of_rank
from mmsmt.errors import BadSampleError


def guarded(dataset: Any, transforms: list[Any], **options: Any) -> Any:
    dataset.pipeline = GuardedPipeline(transforms, **options)
    return dataset


def refused(dataset: Any, index: int) -> str:
    with pytest.raises(BadSampleError) as caught:
        dataset[index]
    assert '\n' not in str(caught.value)
    return str(caught.value)


def index_of(dataset: Any, name: str) -> int:
    """Where a data set has the file."""
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    return next(i for i, path in enumerate(paths) if Path(path).stem == name)


def test_damaged_pictures(corpus: SimpleNamespace, tmp_path: Path) -> None:
    entry = corpus.write_folders(tmp_path / 'data', corpus.everything)
    dataset = guarded(CustomDataset(data_root=entry['data_root']), [LoadImageFromFile()])
    for name, (_, says) in corpus.damaged.items():
        path = tmp_path / f'data/cat/{name}.jpg'
        assert refused(dataset, index_of(dataset, name)).startswith(f'{path} (img_path): {says}')
    for name in corpus.odd:
        assert dataset[index_of(dataset, name)]['img'].shape[2] == 3
    gone = tmp_path / 'data/dog/good0.jpg'
    gone.unlink()
    last = [i for i in range(len(dataset)) if dataset.get_data_info(i)['img_path'] == str(gone)]
    assert refused(dataset, last[0]) == f'{gone} (img_path): no such file'


def test_label_images(corpus: SimpleNamespace, tmp_path: Path) -> None:
    writers = {name: write for name, (write, *_) in corpus.maps.items()}
    entry = corpus.write_maps(tmp_path / 'data', {}, writers)
    entry.pop('type')
    steps = [LoadImageFromFile(), LoadLabelImage()]
    dataset = guarded(BaseSegDataset(**entry), steps, num_classes=3)
    for name, (_, _, says) in corpus.maps.items():
        path = tmp_path / f'data/labels/{name}.png'
        text = refused(dataset, index_of(dataset, name))
        assert text.startswith(f'{path} (seg_map_path): {says}')
    assert dataset[index_of(dataset, 'good0')]['gt_seg_map'].max() == 255


def test_boxes_that_are_no_numbers_and_sizes(corpus: SimpleNamespace, tmp_path: Path) -> None:
    entry = corpus.write_coco(tmp_path / 'data', {'wide': corpus.odd['wide'][0]})
    path = tmp_path / 'data/boxes.json'
    # Of the boxes with NaN and Infinity mmdet takes this one.
    path.write_text(path.read_text().replace('[2, 2, 20, 10]', '[2, 2, Infinity, 10]', 1))
    entry.pop('type')
    dataset = guarded(CocoDataset(**entry), [LoadImageFromFile(), LoadAnnotations()])
    images = tmp_path / 'data/images'
    says = 'is [2, 2, inf, 12]: not all are finite'
    assert refused(dataset, 0) == f'{images}/good0.jpg (instances[0].bbox): {says}'
    says = 'is 20000x8 pixels, but the annotations say 40x24'
    assert refused(dataset, 4) == f'{images}/wide.jpg (height, width): {says}'
    assert dataset[1]['gt_bboxes'].shape == (1, 4)


@pytest.mark.parametrize('label', [2, -1, [0, 5], np.array([0, 7])])
def test_labels_of_no_class(label: Any) -> None:
    pipeline = GuardedPipeline([dict], num_classes=2)
    with pytest.raises(BadSampleError, match=r'^a.jpg \(gt_label\): is -?\d; the 2 classes are'):
        pipeline({'img_path': 'a.jpg', 'gt_label': label})
    assert pipeline({'img_path': 'a.jpg', 'gt_label': 1}) == {'img_path': 'a.jpg', 'gt_label': 1}


def test_transforms_that_fail_are_named() -> None:
    def crop(sample: dict) -> dict:
        raise ValueError('too\nsmall')

    pipeline = GuardedPipeline([crop], advice='fix it')
    with pytest.raises(BadSampleError) as caught:
        pipeline({'img': 1, 'sample_idx': 17})
    assert str(caught.value) == 'sample 17 (function): ValueError: too small; fix it'
    assert isinstance(caught.value.__cause__, ValueError)


class Drops:
    """A transform that skips some samples, although they are good."""

    def __call__(self, sample: dict) -> dict | None:
        return None if sample['sample_idx'] % 2 else sample


@pytest.mark.parametrize('workers', [0, 2])
def test_skipped_samples_are_replaced_and_listed(
    corpus: SimpleNamespace, tmp_path: Path, workers: int
) -> None:
    entry = corpus.write_folders(tmp_path / 'data', {'html': corpus.damaged['html'][0]})
    journal = tmp_path / 'new/skipped.txt'
    dataset = guarded(
        CustomDataset(data_root=entry['data_root']),
        [LoadImageFromFile(), Drops()],
        on_bad='skip',
        journal=journal,
    )
    bad = index_of(dataset, 'html')
    loader = DataLoader(dataset, 1, sampler=[bad, 0, bad], num_workers=workers, collate_fn=list)
    names = [Path(batch[0]['img_path']).stem for batch in loader]
    assert len(names) == 3 and 'html' not in names
    lines = journal_of_rank(journal, 0).read_text().splitlines()
    assert len(lines) >= 2
    says = f'{tmp_path}/data/cat/html.jpg (img_path): cannot be read as an image'
    assert all(line.startswith(says) for line in lines)


def test_the_message_of_a_worker_is_one_line(corpus: SimpleNamespace, tmp_path: Path) -> None:
    entry = corpus.write_folders(tmp_path / 'data', {'html': corpus.damaged['html'][0]})
    dataset = guarded(CustomDataset(data_root=entry['data_root']), [LoadImageFromFile()])
    loader = DataLoader(dataset, sampler=[index_of(dataset, 'html')], num_workers=1)
    with pytest.raises(BadSampleError) as caught:
        next(iter(loader))
    says = f'{tmp_path}/data/cat/html.jpg (img_path): cannot be read as an image'
    assert str(caught.value).startswith(says)


def test_nothing_but_failures_stops_even_a_run_that_skips(tmp_path: Path) -> None:
    options = dict(on_bad='skip', journal=tmp_path / 'skipped.txt')
    pipeline = GuardedPipeline([LoadImageFromFile()], **options)
    tries = 0
    with pytest.raises(BadSampleError, match='no such file; so were the 99 samples before it'):
        for tries in range(1, 2 * MOST_IN_A_ROW):
            assert pipeline({'img_path': f'{tries}.jpg'}) is None
    assert tries == MOST_IN_A_ROW == 100


def test_a_fault_of_the_pipeline_blames_no_picture(tmp_path: Path) -> None:
    """The same failure on several good files in a row is not the files' fault."""

    def broken(sample: dict) -> dict:
        raise AssertionError('reduce_zero_label')

    for number in range(9):
        Image.new('RGB', (9, 9)).save(tmp_path / f'{number}.png')
    options = dict(on_bad='skip', journal=tmp_path / 'skipped.txt')
    pipeline = GuardedPipeline([broken], **options)
    with pytest.raises(BadSampleError, match=r'is readable.*function.*: 5 samples in a row'):
        for number in range(9):
            assert pipeline({'img_path': str(tmp_path / f'{number}.png')}) is None
    assert number == 4
    stops = GuardedPipeline([broken])
    with pytest.raises(BadSampleError, match='is readable, so func'):
        stops({'img_path': str(tmp_path / '0.png')})


def test_a_registered_pipeline_goes_to_workers_that_are_spawned(tmp_path: Path) -> None:
    built = TRANSFORMS.build(
        dict(
            type='mmsmt.GuardedPipeline',
            transforms=[dict(type='LoadImageFromFile')],
            on_bad='skip',
            journal=str(tmp_path / 'skipped.txt'),
        )
    )
    sent = pickle.loads(pickle.dumps(built))
    assert sent({'img_path': 'nowhere.jpg'}) is None
    assert journal_of_rank(tmp_path / 'skipped.txt', 0).read_text().startswith('nowhere.jpg')


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (dict(on_bad='ignore'), "on_bad must be one of stop, skip, got 'ignore'"),
        (dict(on_bad='skip'), "on_bad='skip' needs `journal`"),
    ],
)
def test_wrong_options(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GuardedPipeline([], **options)
