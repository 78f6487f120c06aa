"""Faults of samples, before and after a pipeline loads them."""

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mmsmt.datasets.image_files import describe

# End markers, and their maximum distance from the end of the file. JPEG: ITU-T T.81, table B.1;
# PNG: third edition, 11.2.5.
ENDS = {'JPEG': (b'\xff\xd9', 2), 'PNG': (b'IEND', 8)}
START_OF_SCAN = b'\xff\xda'  # of a JPEG
DEEP_MODES = ('I', 'I;16', 'I;16B', 'I;16L', 'F')  # more than eight bits in Pillow


class Fault(NamedTuple):
    """The reason why a sample cannot be used."""

    path: str  # faulty file; `sample 17` for data without their own file
    field: str  # key of the sample that refers to it, or the transform that failed
    wrong: str

    def __str__(self) -> str:
        return ' '.join(f'{self.path} ({self.field}): {self.wrong}'.split())


def find_faults(sample: dict[str, Any], num_classes: int | None) -> Iterator[Fault]:
    """Yield faults of a sample before anything is loaded.

    Labels of whole images must be below `num_classes`, unless that is None.
    """
    name = name_of(sample)
    for field in ('img_path', 'seg_map_path'):
        if (path := sample.get(field)) and (damage := _hidden_damage(path, field)):
            yield Fault(str(path), field, damage)
    if num_classes:
        labels = np.atleast_1d(sample.get('gt_label', ()))
        for label in labels[(labels < 0) | (labels >= num_classes)][:1]:
            yield Fault(name, 'gt_label', f'is {int(label)}; {_allowed(num_classes)}')
    for number, instance in enumerate(sample.get('instances') or ()):
        box = instance.get('bbox', ())
        if not all(map(math.isfinite, box)):
            yield Fault(name, f'instances[{number}].bbox', f'is {list(box)}: not all are finite')


def find_loaded_faults(
    sample: dict[str, Any], new: Iterable[str], num_classes: int | None, ignored: int
) -> Iterator[Fault]:
    """Yield faults of what a transform has loaded: the `new` keys of a sample.

    Values of label images must be below `num_classes`, unless that is None, or equal `ignored`.
    """
    name, shape = name_of(sample), tuple(sample.get('ori_shape', ()))[:2]  # height, width in px
    if 'img' in new and 'height' in sample and 'width' in sample:
        said = (sample['height'], sample['width'])
        if shape and said != shape:
            wrong = f'is {_size(shape)} pixels, but the annotations say {_size(said)}'
            yield Fault(name, 'height, width', wrong)
    if 'gt_seg_map' in new:
        labels, wrong = sample['gt_seg_map'], ''
        if labels.ndim != 2:
            wrong = f'is read with the shape {labels.shape}; label images have one channel, and'
            wrong += ' height and width of more than a pixel'
        elif shape and labels.shape != shape:
            wrong = f'is {_size(labels.shape)} pixels, its image {name} {_size(shape)}'
        elif num_classes:
            strange = labels[(labels >= num_classes) & (labels != ignored)]
            if strange.size:
                wrong = f'has pixels of class {int(strange.min())}; {_allowed(num_classes)}'
                if strange.min() == strange.max():
                    reduced = bool(sample.get('reduce_zero_label'))
                    wrong += f'; {unlabelled_advice(int(strange.min()) + reduced, reduced)}'
        if wrong:
            yield Fault(str(sample.get('seg_map_path') or name), 'seg_map_path', wrong)


def unlabelled_advice(value: int, reduced: bool) -> str:
    """Return what to do if an unknown value means unlabelled pixels.

    Args:
        value: The value in the label images.
        reduced: Whether `reduce_zero_label` already treats 0 as unlabelled.
    """
    if reduced:
        return f'if {value} means unlabelled, write 0 in the files'
    heads = 'model.decode_head, model.auxiliary_head, val_evaluator and test_evaluator'
    padding = f'seg_pad_val={value} in data_preprocessor'
    return f'if {value} means unlabelled, set ignore_index={value} in {heads}, {padding}'


def name_of(sample: dict[str, Any]) -> str:
    """Return the path of the image, or its index in the data set if it has none."""
    path = sample.get('img_path')
    return str(path) if path else f'sample {sample.get("sample_idx", "without a number")}'


def _hidden_damage(path: str | Path, field: str) -> str:
    """Return damage that the hosts' decoders ignore, or notice only after allocating memory.

    Some decoders fill the missing part of a truncated file with grey, or allocate whatever memory a
    header claims. Label images lose all but their lowest eight bits.
    """
    try:
        with open(path, 'rb') as file, Image.open(file) as picture:
            if _is_truncated(file, picture.format):
                return 'is truncated'
            if field == 'seg_map_path' and picture.mode in DEEP_MODES:
                highest = np.asarray(picture).max()
                return f'has the value {highest:g}; hosts read only 8 bits' if highest > 255 else ''
    except Image.DecompressionBombError as error:
        return describe(error, str(path))
    except (OSError, SyntaxError, ValueError):
        return ''  # missing, or in a format that the host may know: leave it to the host
    return ''


def _is_truncated(file: Any, kind: str | None) -> bool:
    """Return whether a file lacks its end marker; data after the marker is ignored."""
    if kind not in ENDS:
        return False
    end, length = ENDS[kind]
    file.seek(-length, os.SEEK_END)
    if file.read(len(end)) == end:
        return False
    file.seek(0)
    data = file.read()
    found = data.rfind(end)  # end of the image, or of a thumbnail before it
    return found < 0 or (kind == 'JPEG' and data.find(START_OF_SCAN, found) >= 0)


def _allowed(num_classes: int) -> str:
    return f'the {num_classes} classes are 0 to {num_classes - 1}'


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]}x{shape[0]}'
