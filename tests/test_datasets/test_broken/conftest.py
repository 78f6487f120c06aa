"""Pictures of every kind, good and bad, and small data sets of the three tasks that hold them."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

WIDTH, HEIGHT = 40, 24
PIXELS = np.random.RandomState(0).randint(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
Write = Callable[[Path], object]


def cut(suffix: str, share: float) -> Write:
    """Only the first share of a file's bytes."""

    def write(path: Path) -> None:
        RGB.resize((400, 240)).save(path, format=suffix)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return write


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack('>I', len(content))
        + kind
        + content
        + struct.pack('>I', zlib.crc32(kind + content))
    )


def bomb(width: int, height: int) -> Write:
    """A PNG of a few hundred bytes whose header claims any size."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    data = (
        _chunk(b'IHDR', header) + _chunk(b'IDAT', zlib.compress(bytes(1000))) + _chunk(b'IEND', b'')
    )
    return lambda path: path.write_bytes(b'\x89PNG\r\n\x1a\n' + data)


def flipped(path: Path) -> None:
    """Bits of the compressed pixels turned."""
    RGB.save(path, format='PNG')
    data = bytearray(path.read_bytes())
    data[200:300] = bytes(byte ^ 0xFF for byte in data[200:300])
    path.write_bytes(data)


def turned(path: Path) -> None:
    """Lies on its side; EXIF says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    RGB.rotate(90, expand=True).save(path, format='JPEG', exif=exif)


def with_preview(path: Path) -> None:
    """Broken off behind a whole thumbnail, whose end looks like that of the picture."""
    RGB.resize((8, 8)).save(path, format='JPEG')
    thumbnail = path.read_bytes()
    RGB.save(path, format='JPEG')
    data = path.read_bytes()
    comment = b'\xff\xfe' + struct.pack('>H', len(thumbnail) + 2) + thumbnail
    path.write_bytes(data[:2] + comment + data[2:-300])


def palette_of_seven(path: Path) -> None:
    """A label image with a palette: its values are the indices."""
    labels = Image.fromarray(np.full((HEIGHT, WIDTH), 7, np.uint8))
    labels.putpalette(bytes(768))
    labels.save(path)


def mode(name: str, kind: str = 'PNG') -> Write:
    return lambda path: RGB.convert(name).save(path, format=kind)


# Unusable: how it is written, and what is said of it.
DAMAGED: dict[str, tuple[Write, str]] = {
    'corrupt': (flipped, 'cannot be read as an image'),
    'noise': (lambda p: p.write_bytes(PIXELS.tobytes()), 'cannot be read as an image'),
    'truncated_jpeg': (cut('JPEG', 0.6), 'is truncated'),
    'truncated_png': (cut('PNG', 0.6), 'is truncated'),
    'truncated_at_its_end': (cut('JPEG', 0.999), 'is truncated'),
    'truncated_with_preview': (with_preview, 'is truncated'),
    'bomb': (bomb(60_000, 60_000), 'claims more than the maximum'),
    'bomb_below_the_limit': (bomb(6_000, 6_000), 'is truncated'),
    'zero_bytes': (lambda p: p.write_bytes(b''), 'is empty'),
    'html': (lambda p: p.write_text('<!DOCTYPE html><p>404'), 'cannot be read as an image'),
    'floats': (mode('F', 'TIFF'), 'is a TIFF in mode F, which the hosts cannot read'),
}
DEEP = PIXELS[:, :, 0].astype(np.uint16) * 256 + 37
# Usable: how it is written, the level and the text of what is said, and how hosts load it.
ODD: dict[str, tuple[Write, str, str, np.ndarray | None]] = {
    'grey': (mode('L'), 'note', 'in mode L, which the hosts read as three equal channels', None),
    'grey_alpha': (
        mode('LA'),
        'warning',
        'in mode LA, which the hosts read as three equal channels without',
        None,
    ),
    'rgb_alpha': (mode('RGBA'), 'warning', 'as RGB without the transparency', PIXELS),
    'cmyk': (mode('CMYK', 'JPEG'), 'warning', 'in mode CMYK, which the hosts read as RGB', None),
    'palette': (
        mode('P'),
        'warning',
        'in mode P, which the hosts read as the colours of the palette',
        np.asarray(RGB.convert('P').convert('RGB')),
    ),
    'bits_16': (
        lambda p: Image.fromarray(DEEP).save(p, format='PNG'),
        'warning',
        'in mode I;16, which the hosts read as three equal channels of the upper 8 bits',
        np.repeat(PIXELS[:, :, :1], 3, axis=2),
    ),
    'one_pixel': (
        lambda p: RGB.resize((1, 1)).save(p, format='PNG'),
        'warning',
        'of 1x1 pixels',
        None,
    ),
    'animated': (
        lambda p: RGB.save(p, format='GIF', save_all=True, append_images=[RGB.rotate(180)]),
        'warning',
        'of several frames; the hosts read only the first',
        np.asarray(RGB.quantize().convert('RGB')),
    ),
    'wide': (lambda p: RGB.resize((20_000, 8)).save(p, format='PNG'), '', '', None),
    'turned': (turned, '', '', None),
}


def write_folders(root: Path, pictures: dict[str, Write]) -> dict[str, Any]:
    """Folders of two classes; the pictures are among the cats. Gives the data set's entry."""
    for name in ('cat', 'dog'):
        (root / name).mkdir(parents=True)
        for number in range(4):
            RGB.save(root / name / f'good{number}.jpg')
    for name, write in pictures.items():
        write(root / 'cat' / f'{name}.jpg')
    return dict(type='CustomDataset', data_root=str(root))


def write_coco(root: Path, pictures: dict[str, Write]) -> dict[str, Any]:
    """An annotation file and a folder; every picture has a box. Gives the data set's entry."""
    (root / 'images').mkdir(parents=True)
    good: dict[str, Write] = {f'good{number}': lambda p: RGB.save(p) for number in range(4)}
    images, annotations = [], []
    for number, (name, write) in enumerate({**good, **pictures}.items()):
        write(root / 'images' / f'{name}.jpg')
        images.append(dict(id=number, file_name=f'{name}.jpg', width=WIDTH, height=HEIGHT))
        box = dict(bbox=[2, 2, 20, 10], area=200, segmentation=[[2, 2, 22, 2, 22, 12]])
        annotations.append(dict(id=number, image_id=number, category_id=1, **box))
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='cat')])
    (root / 'boxes.json').write_text(json.dumps(content))
    entry = dict(type='CocoDataset', data_root=str(root), ann_file='boxes.json')
    return dict(**entry, data_prefix=dict(img='images'), metainfo=dict(classes=('cat',)))


def write_maps(
    root: Path, pictures: dict[str, Write], maps: dict[str, Write] | None = None
) -> dict[str, Any]:
    """Pictures with label images of three classes. Gives the data set's entry."""
    for folder in ('images', 'labels'):
        (root / folder).mkdir(parents=True)
    good: dict[str, Write] = {f'good{number}': lambda p: RGB.save(p) for number in range(4)}
    labels = Image.fromarray(PIXELS[:, :, 0] % 4)  # 0 is not labelled
    for name, write in {**good, **pictures, **dict.fromkeys(maps or {}, good['good0'])}.items():
        write(root / 'images' / f'{name}.jpg')
        labels.save(root / 'labels' / f'{name}.png')
    for name, write in (maps or {}).items():
        write(root / 'labels' / f'{name}.png')
    prefix = dict(img_path='images', seg_map_path='labels')
    metainfo = dict(classes=('a', 'b', 'c'))
    entry = dict(type='BaseSegDataset', data_root=str(root), data_prefix=prefix)
    return dict(**entry, metainfo=metainfo, reduce_zero_label=True)


# Label images that cannot be used: how they are written, what is said before a training, and what
# during it.
MAPS: dict[str, tuple[Write, str, str]] = {
    'no_class': (
        lambda p: Image.new('L', (WIDTH, HEIGHT), 4).save(p),
        'are not classes',
        'has pixels of class 3; the 3 classes are 0 to 2',
    ),
    'another_no_class': (
        palette_of_seven,
        'with reduce_zero_label=True classes are 1 to 3',
        'has pixels of class 6; the 3 classes are 0 to 2',
    ),
    'other_size': (
        lambda p: Image.new('L', (HEIGHT, WIDTH), 1).save(p),
        'is 24x40 pixels, its image',
        'is 24x40 pixels, its image',
    ),
    'deep': (
        lambda p: Image.new('I;16', (WIDTH, HEIGHT), 257).save(p),
        'are not classes',
        'has the value 257; hosts read only 8 bits',
    ),
    'colours': (lambda p: RGB.save(p), 'has 3 channels', 'is read with the shape (24, 40, 3)'),
    'empty_map': (lambda p: p.write_bytes(b''), 'is empty', 'is empty'),
    'cut_map': (cut('PNG', 0.5), 'is truncated', 'is truncated'),
}


@pytest.fixture(scope='session')
def corpus() -> SimpleNamespace:
    """All of it, for modules that cannot import this one."""
    return SimpleNamespace(
        damaged=DAMAGED,
        odd=ODD,
        maps=MAPS,
        everything={name: write for name, (write, *_) in {**DAMAGED, **ODD}.items()},
        write_folders=write_folders,
        write_coco=write_coco,
        write_maps=write_maps,
    )
