"""Images for networks: folders of files, with or without classes, and batches."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import functional as TF

from mmsmt.errors import UsageError
from mmsmt.hosts.request import fingerprint

# Statistics of ImageNet's training images in RGB, as in mmpretrain's configs.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


class Samples(NamedTuple):
    """Images and their classes."""

    images: list[Image.Image]  # RGB
    labels: list[int] | None  # class indices; None if the folder has no classes
    classes: tuple[str, ...]  # names of the subfolders, sorted
    content: str  # fingerprint of the selected files


def read_samples(folder: str | Path, limit: int | None = None, seed: int = 0) -> Samples:
    """Read the images of a folder, optionally with one subfolder per class.

    Args:
        folder: Folder of images, or of one folder of images per class.
        limit: Maximum number of images, drawn at random; all by default.
        seed: Seed of the draw.

    Raises:
        UsageError: If the folder is missing or has no images, or one cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f'{root}: no such folder of images; `mmsmt prepare digits` writes one')
    if limit is not None and limit < 1:
        raise UsageError(f'the number of images must be positive, got {limit}')
    files = [f for f in sorted(root.rglob('*')) if f.suffix.lower() in IMG_EXTENSIONS]
    if not files:
        raise UsageError(f'{root}: no images in it ({", ".join(IMG_EXTENSIONS)})')
    nested = all(len(file.relative_to(root).parts) == 2 for file in files)
    classes = tuple(sorted({file.parent.name for file in files})) if nested else ()
    if limit is not None and limit < len(files):
        files = sorted(random.Random(seed).sample(files, limit))
    labels = [classes.index(file.parent.name) for file in files] if classes else None
    content = fingerprint([str(file.relative_to(root)) for file in files])
    return Samples([open_image(file) for file in files], labels, classes, content)


def open_image(file: Path) -> Image.Image:
    """Read an image as RGB; UsageError if it cannot be read."""
    try:
        with Image.open(file) as image:
            return image.convert('RGB')
    except (OSError, UnidentifiedImageError) as error:
        raise UsageError(f'{file}: cannot be read as an image: {error}') from error


def central_view(image: Image.Image, crop: int, resize: int | None = None) -> Image.Image:
    """Resize the short side (bicubic; to `crop` by default) and crop a square from the centre."""
    resized = TF.resize(image, [resize or crop], TF.InterpolationMode.BICUBIC)
    return TF.center_crop(resized, [crop, crop])


def to_batch(
    images: Sequence[Image.Image],
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
    bgr: bool = False,
) -> Tensor:
    """Normalise RGB images of one size to a batch (N, 3, H, W) in float32.

    Args:
        images: Images of H x W pixels.
        mean: Mean of the channels, in the model's order, on a scale to 255.
        std: Standard deviation of the channels, like `mean`.
        bgr: Whether the model's order is blue, green, red.
    """
    pixels = torch.stack([TF.pil_to_tensor(image) for image in images]).float()
    pixels = pixels.flip(1) if bgr else pixels
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
