"""What is wrong with a sample that a data set hands to its pipeline, or with what was loaded."""

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mmsmt.datasets.image_files import describe

END_OF_JPEG, START_OF_SCAN = b'\xff\xd9', b'\xff\xda'  # ITU-T T.81, table B.1
END_OF_PNG = b'IEND'  # PNG specification, third edition, 11.2.5
DEEP_MODES = ('I', 'I;16', 'I;16B', 'I;16L', 'F')  # more than eight bits in Pillow


class Fault(NamedTuple):
    """Why a sample cannot be used.

    Args:
        path: File that is at fault; `sample 17` for data that are in no file of their own.
        field: Key of the sample that names or holds it, or the transform that failed.
        wrong: What is wrong.
    """

    path: str
    field: str
    wrong: str

    def __str__(self) -> str:
        return ' '.join(f'{self.path} ({self.field}): {self.wrong}'.split())


def find_faults(sample: dict[str, Any], num_classes: int | None) -> Iterator[Fault]:
    """Look at a sample before anything of it is loaded.

    Args:
        sample: As the data set gives it to its pipeline.
        num_classes: Labels of whole images have to be below; None if nothing says it.
    """
    name = name_of(sample)
    for field in ('img_path', 'seg_map_path'):
        if (path := sample.get(field)) and (damage := _hidden_damage(path, field)):
            yield Fault(str(path), field, damage)
    if num_classes and (strange := _outside(sample.get('gt_label', ()), num_classes)):
        yield Fault(name, 'gt_label', f'is {strange[0]}; {_allowed(num_classes)}')
    for number, instance in enumerate(sample.get('instances') or ()):
        box = instance.get('bbox', ())
        if not all(map(math.isfinite, box)):
            yield Fault(name, f'instances[{number}].bbox', f'is {list(box)}: not all are numbers')


def find_loaded_faults(
    sample: dict[str, Any], new: Iterable[str], num_classes: int | None, ignored: int
) -> Iterator[Fault]:
    """Look at what a transform has loaded.

    Args:
        sample: After the transform.
        new: Keys that it has not had before it.
        num_classes: Values of label images have to be below; None if nothing says it.
        ignored: The value of pixels without a label.
    """
    shape = tuple(sample.get('ori_shape', ()))[:2]  # height, width in pixels
    if 'img' in new and 'height' in sample and 'width' in sample:
        said = (sample['height'], sample['width'])
        if shape and said != shape:
            wrong = f'is {_size(shape)} pixels, but the annotations say {_size(said)}'
            yield Fault(name_of(sample), 'height, width', wrong)
    if 'gt_seg_map' in new:
        path = str(sample.get('seg_map_path') or name_of(sample))
        labels = sample['gt_seg_map']
        if labels.ndim != 2:
            wrong = f'is read with the shape {labels.shape}; label images have one channel, and'
            yield Fault(path, 'seg_map_path', f'{wrong} height and width of more than a pixel')
        elif shape and labels.shape != shape:
            wrong = f'is {_size(labels.shape)} pixels, its image {name_of(sample)} {_size(shape)}'
            yield Fault(path, 'seg_map_path', wrong)
        elif num_classes and ((labels >= num_classes) & (labels != ignored)).any():
            strange = sorted({int(v) for v in np.unique(labels) if v >= num_classes} - {ignored})
            wrong = f'has pixels of class {strange[0]}; {_allowed(num_classes)}'
            yield Fault(path, 'seg_map_path', wrong)


def name_of(sample: dict[str, Any]) -> str:
    """The image's path, or its number in the data set where it has none."""
    path = sample.get('img_path')
    return str(path) if path else f'sample {sample.get("sample_idx", "without a number")}'


def _hidden_damage(path: str | Path, field: str) -> str:
    """What decoders of the hosts pass over in silence, or pay for before they notice.

    Some decoders fill up in grey what a file that broke off lacks, or give a header whatever
    memory it claims. Label images lose all but their lowest eight bits.
    """
    try:
        with open(path, 'rb') as file, Image.open(file) as picture:
            if _is_cut(file, picture.format):
                return 'is truncated'
            if field == 'seg_map_path' and picture.mode in DEEP_MODES:
                highest = np.asarray(picture).max()
                return f'holds {highest:g}; hosts read 8 bits' if highest > 255 else ''
    except Image.DecompressionBombError as error:
        return describe(error, str(path))
    except (OSError, SyntaxError, ValueError):
        return ''  # missing, or of a format that the host may know: it will say
    return ''


def _is_cut(file: Any, kind: str | None) -> bool:
    """Whether a file lacks its end; what follows the end is nobody's concern."""
    if kind == 'JPEG':
        file.seek(-2, os.SEEK_END)
        if file.read() == END_OF_JPEG:
            return False
        file.seek(0)
        data = file.read()
        end = data.rfind(END_OF_JPEG)  # of the image, or of a thumbnail before it
        return end < 0 or data.find(START_OF_SCAN, end) >= 0
    if kind == 'PNG':
        file.seek(-8, os.SEEK_END)
        if file.read(4) == END_OF_PNG:
            return False
        file.seek(0)
        return END_OF_PNG not in file.read()
    return False


def _outside(labels: Any, num_classes: int) -> list[int]:
    """Labels, one or several, that no class has."""
    return [int(v) for v in np.atleast_1d(labels) if not 0 <= v < num_classes]


def _allowed(num_classes: int) -> str:
    return f'the {num_classes} classes count from 0 to {num_classes - 1}'


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]}x{shape[0]}'
