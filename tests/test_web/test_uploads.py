"""Uploads: what is refused before anything is decoded, and what is reduced."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmsmt.errors import BadSampleError, UserError
from mmsmt.web.uploads import LONGEST_SIDE, Limits, open_upload

LIMITS = Limits()
EXIF_ORIENTATION = 0x0112


def test_an_image_is_given_as_its_file(image: Path) -> None:
    upload = open_upload(image, LIMITS)
    assert (upload.size, upload.frames) == ((128, 96), 0)
    (item,) = upload.items()
    assert (item.path, item.label, item.frame) == (str(image), 'noise.png', None)
    assert str(upload) == 'noise.png (128 x 96)'


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_a_large_image_is_reduced_and_turned(tmp_path: Path, kind: str) -> None:
    path, turned = tmp_path / 'large.jpg', Image.Exif()
    turned[EXIF_ORIENTATION] = 6  # its top is at the right
    picture = Image.new('RGB', (3000, 2000), 'blue')
    picture.paste('red', (0, 0, 3000, 1000))
    picture.save(path, kind, exif=turned)
    upload = open_upload(path, LIMITS)
    assert upload.size == (2000, 3000)
    assert str(upload) == f'large.jpg (2,000 x 3,000, reduced to {LONGEST_SIDE:,})'
    (item,) = upload.items()
    assert item.frame is not None
    height, width = item.frame.shape[:2]
    assert height == LONGEST_SIDE and abs(width - LONGEST_SIDE * 2 / 3) <= 1
    left, right = item.frame[height // 2, [9, -9]].tolist()  # BGR
    assert left[0] > 200 > 50 > left[2] and right[2] > 200 > 50 > right[0]


@pytest.mark.parametrize(
    ('side', 'says'),
    [
        (9_000, 'has 9,000 x 9,000 pixels; the limit is 50,000,000'),
        (20_000, 'has too many pixels; the limit is 50,000,000'),
    ],
)
def test_a_huge_image_is_refused_by_its_header(
    claiming: Callable[[int, int], Path], side: int, says: str
) -> None:
    tracemalloc.start()
    with pytest.raises(BadSampleError, match=f'{side}.png {says}'):
        open_upload(claiming(side, side), LIMITS)
    assert tracemalloc.get_traced_memory()[1] < 1e7
    tracemalloc.stop()


BAD = {
    'notes.jpg': (b'to do', 'notes.jpg cannot be read as an image'),
    'empty.png': (b'', 'empty.png is empty'),
    'drawing.png': (
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n',
        'cannot be read as an im',
    ),
    'letter.pdf': (b'%PDF', 'letter.pdf is not an image or video; the page accepts .jpg'),
    'config.py': (b'import os', 'config.py is not an image or video'),
    # FFmpeg would open what a playlist names.
    'list.mp4': (b'#EXTM3U\n#EXTINF:9,\nfile:///srv/private.mp4\n', 'list.mp4 is not a video'),
    'concat.mkv': (b'ffconcat version 1.0\nfile /srv/private.mp4', 'concat.mkv is not a video'),
    'torn.mp4': (b'\0\0\0\x18ftypmp42' + b'?' * 99, 'torn.mp4: cannot be opened as a video'),
}


@pytest.mark.parametrize('name', BAD)
def test_what_is_no_picture_is_refused(tmp_path: Path, name: str) -> None:
    content, says = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says):
        open_upload(tmp_path / name, LIMITS)


def test_a_damaged_large_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'cut.jpg'
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).resize((2000, 2000)).save(path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(BadSampleError, match='^cut.jpg is truncated'):
        list(open_upload(path, LIMITS).items())


def test_a_missing_or_large_file_is_refused(tmp_path: Path, image: Path) -> None:
    with pytest.raises(BadSampleError, match='no longer available: please drop it again'):
        open_upload(tmp_path / 'gone.png', LIMITS)
    with pytest.raises(BadSampleError, match='noise.png has more than 100 bytes'):
        open_upload(image, LIMITS._replace(upload_bytes=100))


def test_a_video_is_cut_to_its_first_frames(clip: Path) -> None:
    upload = open_upload(clip, LIMITS._replace(frames=4))
    assert (upload.size, upload.frames, upload.left_out, upload.fps) == ((128, 96), 4, 2, 5)
    assert str(upload) == 'clip.avi (128 x 96, the first 4 of 6 frames)'
    frames = [item.frame for item in upload.items()]
    assert [frame.shape for frame in frames] == [(96, 128, 3)] * 4
    assert len(list(open_upload(clip, LIMITS).items())) == 6
    with pytest.raises(BadSampleError, match='128 x 96 pixels; the limit is 9,000'):
        open_upload(clip, LIMITS._replace(pixels=9_000))
