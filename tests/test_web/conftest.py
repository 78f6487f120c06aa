"""Digits networks with random weights, and files that visitors might drop."""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from digits_networks import Network, make_network
from PIL import Image


@pytest.fixture(scope='session')
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Network]:
    """A digits network by its task, `cls`, `mask_rcnn` or `upernet`, and backbone."""
    return partial(make_network, tmp_path_factory.mktemp('networks'))


@pytest.fixture(scope='session')
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coarse noise of 128 x 96 pixels."""
    path = tmp_path_factory.mktemp('image') / 'noise.png'
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(coarse).resize((128, 96)).save(path)
    return path


@pytest.fixture(scope='session')
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of 128 x 96 pixels, 5 a second."""
    path = tmp_path_factory.mktemp('clip') / 'clip.avi'
    file = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (128, 96))
    rng = np.random.default_rng(0)
    for _ in range(6):
        coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
        file.write(cv2.resize(coarse, (128, 96)))
    file.release()
    return path


@pytest.fixture(scope='session')
def claiming(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], Path]:
    """A PNG of a few bytes whose header claims any size."""
    folder = tmp_path_factory.mktemp('claims')

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    def make(width: int, height: int) -> Path:
        path = folder / f'claims_{width}x{height}.png'
        header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
        parts = chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'0')) + chunk(b'IEND', b'')
        path.write_bytes(b'\x89PNG\r\n\x1a\n' + parts)
        return path

    return make
