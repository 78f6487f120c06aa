"""Matplotlib figures without a display, written atomically."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmsmt.checkpoints import write_atomically


def subplots(
    rows: int, columns: int, width: float, height: float, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Create a figure with (rows, columns) axes; sizes in inches, options of `Figure.subplots`."""
    figure = Figure(figsize=(width, height), layout='constrained')
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save_figure(figure: Figure, path: str | Path, dpi: int = 100) -> None:
    """Write a figure in the format of the file's suffix, PNG by default."""
    content = io.BytesIO()
    figure.savefig(content, dpi=dpi, format=Path(path).suffix[1:] or 'png')
    write_atomically(path, content.getvalue())


def to_pixels(figure: Figure, dpi: int = 100) -> np.ndarray:
    """Render a figure as an image, RGB (H, W, 3) uint8."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
